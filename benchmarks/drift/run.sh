#!/bin/bash
# How long a look for drift takes on two nodes and on eight. Makes the nodes and removes them. Arguments: --help.
set -euo pipefail
cd "$(dirname "$0")/../.."
scripts/venv.sh
export PATH=$PWD/.venv/bin:$PATH
scripts/lab-image >/dev/null
tandem lab model --out "${XDG_CACHE_HOME:-$HOME/.cache}/tandem/models/smollm2-135m-instruct"
exec python -m benchmarks.drift "$@"
