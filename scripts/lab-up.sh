#!/bin/bash
# From nothing to an answer: tools, two nodes, a model, site.yml, a question.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh
export PATH=$PWD/.venv/bin:$PATH
inventory=inventories/lab
case $PWD in *[[:space:]]*) die "the path of this checkout has a space ($PWD), which SSH's options cannot hold: move it" ;; esac

[ "$(uname -m)" = x86_64 ] || die "the lab's runtime is built for x86_64, and this machine is $(uname -m)"
scripts/bootstrap.sh
[ "$(id -u)" -eq 0 ] || sudo -v -p "podman needs root for networks of its own; password of %p: "
scripts/lab-image >/dev/null
say "making the nodes"
ANSIBLE_DISPLAY_OK_HOSTS=false ansible-playbook -i "$inventory" playbooks/lab/create.yml \
    -e "lab_take_over=${LAB_TAKE_OVER:-false}"
say "making the model"
tandem lab model --out "${XDG_CACHE_HOME:-$HOME/.cache}/tandem/models/smollm2-135m-instruct"
say "bringing the nodes to what $inventory says (site.yml)"
ansible-playbook -i "$inventory" site.yml
say "asking the engine on both nodes"
tandem ask --inventory "$inventory" -- "${PROMPT:-What is the capital of France?}"
say "asking the router, which sends small talk to the smaller engine"
tandem ask --inventory "$inventory" --router --max-tokens 24 -- "Hello!"
say "asking the router, which has comparisons answered by a panel of both"
tandem ask --inventory "$inventory" --router --max-tokens 48 -- "Compare a cat versus a dog in one sentence."
say "the lab is up: make ask PROMPT='...', make lab-down"
