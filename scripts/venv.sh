#!/bin/bash
# Make .venv from the locked requirements, with tandem itself in it. Does nothing where it is up to date.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

# The interpreter behind the name: PATH may begin with the very .venv that is to be made.
real_path() {
    "$1" -c 'import sys; (3, 11) <= sys.version_info < (3, 14) or sys.exit(1); print(sys._base_executable)' 2>/dev/null
}
find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if real_path "$candidate"; then return; fi
    done
    die "no Python 3.11, 3.12 or 3.13 found (Ansible here does not run on others); install one, or name it: make venv PYTHON=..."
}
has_venv() { "$python" -c 'import ensurepip, venv' 2>/dev/null; }

python=$(find_python)
made_by="$("$python" -c 'import sys; print(sys.base_prefix, *sys.version.split())') $PWD"
stamp=$(cat requirements/*.txt pyproject.toml | sha256sum | cut -c1-16)-$(sha256sum <<<"$made_by" | cut -c1-16)
[ "$(cat .venv/stamp 2>/dev/null)" != "$stamp" ] || exit 0

if ! has_venv && command -v apt-get >/dev/null; then
    say "installing the missing package python3-venv"
    as_root=$([ "$(id -u)" -eq 0 ] || echo sudo)
    $as_root apt-get update -qq && $as_root apt-get install -qq -y --no-install-recommends python3-venv >/dev/null
fi
has_venv || die "$python has no venv and ensurepip modules; install them (on Debian: python3-venv)"

# A .venv of another Python, or one that was moved here, is made anew; any other is only brought up to date.
if [ "$(cat .venv/made-by 2>/dev/null)" != "$made_by" ]; then
    say "making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv
    .venv/bin/pip install -qq --require-hashes -r requirements/uv.txt
    echo "$made_by" >.venv/made-by
fi
# uv does not read pip's settings: hand on the index that pip would use, and trust what this machine trusts.
index=$(.venv/bin/pip config get global.index-url 2>/dev/null || true)
[ -z "$index" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$index}"
export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}" VIRTUAL_ENV="$PWD/.venv"
say "installing the locked requirements"
.venv/bin/uv pip sync --quiet --require-hashes requirements/dev.txt requirements/uv.txt
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --editable .
echo "$stamp" >.venv/stamp
say ".venv is ready"
