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

# Emulated machines take long. With RDMA_TESTS=short only some of their faults are made, and the output says so.
rdma_tests() {
    local marked=rdma
    [ "${RDMA_TESTS:-all}" != short ] || marked="rdma and not long"
    say "rdma tests: ${RDMA_TESTS:-all} (\"make test\" alone makes every fault)"
    pytest --verbose --durations 8 tests/rdma -m "$marked"
}

clean_up() {
    say "removing the nodes"
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
stage "rdma tests: two virtual machines" rdma_tests
stage molecule molecule test --all --continue-on-failure --report
stage "lab tests" pytest tests/lab -m lab
