#!/bin/bash
# Remove the node image and everything under the user's cache that belongs to tandem.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem
if command -v podman >/dev/null; then
    "$here/lab-podman" image ls --quiet --filter reference=localhost/tandem-node | xargs -r "$here/lab-podman" rmi --force
fi
rm -rf "$cache"
say "removed $cache"
