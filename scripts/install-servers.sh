#!/usr/bin/env bash
# Install the server binaries that the sandbox starts by itself. Neither package may start a service of its own:
# mariadb-server-core holds the binaries only, and PostgreSQL is told not to create a cluster.
set -euo pipefail
PATH="$PATH:/usr/sbin:/usr/local/sbin"

missing=()
command -v mariadbd >/dev/null || missing+=(mariadb-server-core)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

# shellcheck source=scripts/apt.sh
. "$(dirname "$0")/apt.sh"
require_apt "missing server binaries" "${missing[@]}"

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
