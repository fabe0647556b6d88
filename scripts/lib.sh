# shellcheck shell=bash
# Shared by the scripts here: progress lines with the time since the first of them began.
: "${TANDEM_STARTED:=$(date +%s)}"
export TANDEM_STARTED

say() { printf '[%4d s] %s\n' $(($(date +%s) - TANDEM_STARTED)) "$*" >&2; }
die() {
    say "error: $*"
    exit 1
}
