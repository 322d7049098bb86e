# shellcheck shell=bash
# To be sourced: how the scripts beside this one install packages of Debian and Ubuntu.

log=$(mktemp)
trap 'rm -f "$log"' EXIT

fail() { echo "error: $*" >&2; exit 9; }
is_root() { [ "$(id -u)" -eq 0 ]; }

# sudo drops the environment: `env` behind it sets what keeps apt-get from asking (NEEDRESTART_MODE: on Ubuntu).
as_root=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a)
is_root || as_root=(sudo "${as_root[@]}")

require_apt() { # WHAT PACKAGE...: end with what to do where packages cannot be installed
    local what=$1
    shift
    command -v apt-get >/dev/null || fail "$what: install $* with this system's package manager"
    is_root || command -v sudo >/dev/null || fail "$what: as root, run apt-get install --no-install-recommends $*"
}

# Silent while all is well; a failure shows all that apt-get said.
apt() {
    "${as_root[@]}" apt-get -q -y "$@" >"$log" 2>&1 && return
    cat "$log" >&2
    fail "apt-get $* failed: its output is above"
}
