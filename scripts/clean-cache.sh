#!/bin/bash
# Remove the node images and everything under the user's cache that belongs to tandem.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tandem
if command -v podman >/dev/null; then
    for repository in localhost/tandem-fedora localhost/tandem-node; do
        "$here/lab-podman" image ls --quiet --filter "reference=$repository" | xargs -r "$here/lab-podman" rmi --force
    done
fi
rm -rf "$cache"
say "removed $cache"
