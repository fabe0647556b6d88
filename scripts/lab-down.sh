#!/bin/bash
# Remove the lab's nodes, networks and keys. What is costly to make again stays in the cache.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
if command -v podman >/dev/null; then
    scripts/venv.sh
    ANSIBLE_DISPLAY_OK_HOSTS=false .venv/bin/ansible-playbook -i inventories/lab playbooks/lab/destroy.yml
fi
rm -rf .lab
say "the lab is gone"
