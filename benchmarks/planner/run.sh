#!/bin/bash
# The planner against vLLM: makes what it needs, starts an engine of each family, prints a table. Arguments: --help.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/venv.sh
export PATH=$PWD/.venv/bin:$PATH
exec python -m benchmarks.planner "$@"
