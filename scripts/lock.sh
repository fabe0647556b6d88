#!/bin/bash
# Resolve the versions and hashes of everything in .venv. UPGRADE=1 takes newer versions where pyproject.toml allows them.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
    .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
        ${UPGRADE:+--upgrade} --output-file "$1" "${@:2}"
}
compile requirements/uv.txt requirements/uv.in
compile requirements/dev.txt --all-extras pyproject.toml
