#!/bin/bash
# The fast checks, all of them even when one fails. No node, no network.
set -uo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
export PATH=$PWD/.venv/bin:$PATH
failed=()

run() {
    local title=$1 output
    shift
    if output=$("$@" 2>&1); then
        say "$title: fine"
    else
        say "$title: FAILED"
        echo "$output"
        failed+=("$title")
    fi
}

# It takes as long as all the others and has one process: it gets a core of its own.
lint=$(mktemp)
ansible-lint --offline --profile production -q >"$lint" 2>&1 &
linting=$!

run "ruff" ruff check --quiet --output-format concise .
run "ruff format" ruff format --quiet --diff .
run "mypy" mypy
run "yamllint" yamllint --strict .
for inventory in inventories/*/; do
    run "syntax with $inventory" ansible-playbook --syntax-check -i "$inventory" site.yml playbooks/lab/create.yml playbooks/lab/destroy.yml
done
# More at once than a small machine has cores: many wait for what they started.
say "unit and repository tests"
nice -n 10 pytest --quiet --numprocesses 4 --dist worksteal -m "not slow" || failed+=("pytest")
if wait "$linting"; then say "ansible-lint: fine"; else cat "$lint" && failed+=("ansible-lint"); fi
rm -f "$lint"

[ ${#failed[@]} -eq 0 ] || die "failed: ${failed[*]}"
