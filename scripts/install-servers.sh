#!/usr/bin/env bash
# Install the server binaries that the sandbox starts by itself. Neither package may start a service of its own:
# mariadb-server-core holds the binaries only, and PostgreSQL is told not to create a cluster.
set -euo pipefail

missing=()
PATH="$PATH:/usr/sbin" command -v mariadbd >/dev/null && PATH="$PATH:/usr/sbin:/usr/bin" command -v mariadb-install-db >/dev/null || missing+=(mariadb-server-core)
compgen -G "/usr/lib/postgresql/*/bin/initdb" >/dev/null || command -v initdb >/dev/null || missing+=(postgresql)
[ ${#missing[@]} -eq 0 ] && exit 0

root() { if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi; }
if ! command -v apt-get >/dev/null; then
    echo "error: missing server binaries: install ${missing[*]} with this system's package manager" >&2
    exit 9
fi
if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "error: missing server binaries: as root, run apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 9
fi

echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
root apt-get update -qq
root apt-get install -qq -y --no-install-recommends postgresql-common >/dev/null
if ! grep -qs '^create_main_cluster *= *false' /etc/postgresql-common/createcluster.conf; then
    echo 'create_main_cluster = false' | root tee -a /etc/postgresql-common/createcluster.conf >/dev/null
fi
root apt-get install -qq -y --no-install-recommends "${missing[@]}" >/dev/null
