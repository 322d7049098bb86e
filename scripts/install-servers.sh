#!/usr/bin/env bash
# Install the server binaries that the sandbox starts by itself. Neither package may start a service of its own:
# mariadb-server-core holds the binaries only, and PostgreSQL is told not to create a cluster.
set -euo pipefail
PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=()
command -v mariadbd >/dev/null || missing+=(mariadb-server-core)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

fail() { echo "error: $*" >&2; exit 9; }
is_root() { [ "$(id -u)" -eq 0 ]; }
command -v apt-get >/dev/null || fail "missing server binaries: install ${missing[*]} with this system's package manager"
is_root || command -v sudo >/dev/null \
    || fail "missing server binaries: as root, run apt-get install --no-install-recommends ${missing[*]}"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# sudo drops the environment: `env` behind it sets what keeps apt-get from asking (NEEDRESTART_MODE: on Ubuntu).
as_root=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a)
is_root || as_root=(sudo "${as_root[@]}")

# Silent while all is well; a failure shows all that apt-get said.
apt() {
    "${as_root[@]}" apt-get -q -y "$@" >"$log" 2>&1 && return
    cat "$log" >&2
    fail "apt-get $* failed: its output is above"
}

# The package's name on this system: Ubuntu 22.04 and Debian 11 have the version in it (mariadb-server-core-10.6).
package() {
    local name
    if apt-cache show "$1" 2>/dev/null | grep -x "Package: $1" >/dev/null; then echo "$1"; return; fi
    name=$(apt-cache search --names-only "^$1-[0-9.]+\$" | cut -d' ' -f1 | sort -V | tail -n 1)
    [ -n "$name" ] || fail "apt-get knows no package $1: enable the distribution's main (Ubuntu: universe) component"
    echo "$name"
}

echo "Installing ${missing[*]}"
apt update
for wanted in "${missing[@]}"; do
    name=$(package "$wanted")
    if [ "$wanted" = postgresql ]; then
        apt install --no-install-recommends postgresql-common
        conf=/etc/postgresql-common/createcluster.conf
        if ! grep -qs '^create_main_cluster *= *false' "$conf"; then
            echo 'create_main_cluster = false' | "${as_root[@]}" tee -a "$conf" >/dev/null
            echo "Wrote create_main_cluster=false to $conf, so that installing postgresql starts no server"
        fi
    fi
    apt install --no-install-recommends "$name"
done
