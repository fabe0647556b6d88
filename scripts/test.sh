#!/bin/bash
# Everything that can be tested on one machine, from bootstrap to the lab end to end. Leaves nothing running.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
export PATH=$PWD/.venv/bin:$PATH MOLECULE_COMMAND_BORDERS=false
passed=() failed=()

stage() {
    local name=$1 began=$SECONDS
    shift
    say "stage $name: starts"
    if "$@"; then passed+=("$name $((SECONDS - began)) s"); else failed+=("$name $((SECONDS - began)) s"); fi
    say "stage $name: took $((SECONDS - began)) s"
}

finish_rdma_tests() {
    wait "$rdma_tests"
    local status=$?
    rdma_tests=""
    cat "$rdma_log"
    return $status
}

clean_up() {
    say "removing the nodes"
    # Its machines end with it.
    [ -z "${rdma_tests:-}" ] || { kill "$rdma_tests" && wait "$rdma_tests"; } 2>/dev/null
    rm -f "${rdma_log:-}"
    molecule destroy --scenario-name default >/dev/null 2>&1
    scripts/lab-down.sh >/dev/null
}

finish() {
    trap - EXIT INT TERM
    clean_up
    [ ${#passed[@]} -eq 0 ] || printf '  passed  %s\n' "${passed[@]}"
    [ ${#failed[@]} -eq 0 ] || printf '  FAILED  %s\n' "${failed[@]}"
    echo "stages: ${#passed[@]} passed, ${#failed[@]} failed"
    # Within a trap a bare exit would take the status from before it.
    if [ ${#failed[@]} -eq 0 ] && [ "$1" -eq 0 ]; then exit 0; else exit 1; fi
}
trap 'finish $?' EXIT
trap 'failed+=(interrupted); exit 130' INT TERM

scripts/bootstrap.sh || exit
scripts/os-packages.sh test || exit
scripts/lab-down.sh || exit
stage check scripts/check.sh
stage "image of two virtual machines" scripts/rdma-image
rdma_log=$(mktemp)
say "rdma tests on two virtual machines: start, and go on beside Molecule, which leaves cores idle; their output comes behind its own"
pytest --verbose --durations 8 tests/rdma -m rdma >"$rdma_log" 2>&1 &
rdma_tests=$!
stage molecule molecule test --all --continue-on-failure --report
stage "rdma tests: two virtual machines" finish_rdma_tests
stage "lab tests" pytest tests/lab -m lab
