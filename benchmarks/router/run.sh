#!/bin/bash
# The router beside others: makes what it needs, loads each through the same stub, prints tables. Arguments: --help.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/venv.sh
export PATH=$PWD/.venv/bin:$PATH
exec python -m benchmarks.router "$@"
