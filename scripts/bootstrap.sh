#!/bin/bash
# Bring this machine to where the lab can be made: operating-system packages, then .venv. Run again, it takes no time.
set -euo pipefail
here=$(dirname "$0")
# shellcheck source=scripts/lib.sh
. "$here/lib.sh"
"$here/os-packages.sh"
"$here/venv.sh"
