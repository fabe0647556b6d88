#!/bin/bash
# Run Molecule over all scenarios, one after the other: molecule.sh test|destroy|...
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH=$PWD/.venv/bin:$PATH
exec molecule "${1:-test}" --all --report
