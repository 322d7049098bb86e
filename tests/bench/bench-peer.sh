#!/usr/bin/env bash
# Measure other people's tools: install each, and say so in the results where that fails, then let them load beside the
# yardstick. Usage: bench-peer.sh postgresql|mysql TOOL...
set -euo pipefail
cd "$(dirname "$0")/../.."

# What a tool needs: environments of requirements in tests/bench/requirements, or Debian's package.
declare -A environments=(
    [dlt-connectorx]=dlt [dlt-pyarrow]=dlt [ingestr]=ingestr [sling]=sling
    [pipelinewise]="pipelinewise-tap-mysql pipelinewise-target-postgres"
)
bench=(.venv/bin/python tests/bench/bench_loading.py)

make_environment() { # NAME: from its lock, when there is none or the lock is newer
    local folder=.tools/bench/$1 lock=tests/bench/requirements/$1.txt
    [ "$folder/.done" -nt "$lock" ] && return
    echo "Installing $1"
    .tools/uv/bin/uv venv --quiet --clear --python .venv/bin/python "$folder" &&
        .tools/uv/bin/uv pip install --quiet --python "$folder" --require-hashes -r "$lock" &&
        touch "$folder/.done"
}

install_package() ( # NAME: Debian's and Ubuntu's
    command -v "$1" >/dev/null && return
    # shellcheck source=scripts/apt.sh
    . scripts/apt.sh
    require_apt "no $1" "$1"
    echo "Installing $1"
    apt update
    apt install --no-install-recommends "$1"
)

install_tool() {
    local name
    if [ -z "${environments[$1]-}" ]; then install_package "$1"; return; fi
    for name in ${environments[$1]}; do make_environment "$name" || return; done
}

kind=$1
shift
ready=()
for tool in "$@"; do
    if told=$(install_tool "$tool" 2>&1); then
        ready+=("$tool")
    else
        reason=$(tail -n 1 <<<"$told")
        echo "$tool cannot be installed: $reason" >&2
        "${bench[@]}" "$kind" --only "$tool" --missing "It could not be installed: $reason" --write >/dev/null
    fi
done
[ ${#ready[@]} -eq 0 ] || "${bench[@]}" "$kind" --only "${ready[@]}" ${BENCH_OPTIONS-} --write
