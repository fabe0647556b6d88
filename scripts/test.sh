#!/bin/bash
# Everything that can be tested on one machine, from bootstrap to the lab end to end. Leaves nothing running.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
export PATH=$PWD/.venv/bin:$PATH MOLECULE_COMMAND_BORDERS=false
passed=() failed=()
case ${TESTS:=all} in
    all) short= ;;
    short) short=yes ;;
    *) die "TESTS is '$TESTS': set it to short, or leave it out" ;;
esac

stage() {
    local name=$1 began=$SECONDS
    shift
    say "stage $name: starts"
    if "$@"; then passed+=("$name $((SECONDS - began)) s"); else failed+=("$name $((SECONDS - began)) s"); fi
    say "stage $name: took $((SECONDS - began)) s"
}

# With TESTS=short: not every fault on emulated machines, which are slow, and no Molecule for the scenarios that take
# longest: ray and vllm_engine, which the lab's tests converge, too, with the tests of their scenarios, and base.
rdma_tests() { pytest --verbose --durations 8 tests/rdma -m "rdma${short:+ and not long}"; }
molecule_scenarios() { molecule test --all ${short:+--exclude ray --exclude vllm_engine --exclude base} --continue-on-failure --report; }

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

[ -z "$short" ] || say "TESTS=short leaves out some faults of the RDMA tests, and Molecule for base, ray and vllm_engine"
scripts/bootstrap.sh || exit
scripts/os-packages.sh test || exit
scripts/lab-down.sh || exit
stage check scripts/check.sh
stage "slow unit tests" pytest --quiet --numprocesses 3 --dist worksteal -m slow
stage "image of two virtual machines" scripts/rdma-image
stage "rdma tests: two virtual machines" rdma_tests
stage molecule molecule_scenarios
stage "lab tests" pytest tests/lab -m lab
