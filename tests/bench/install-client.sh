#!/usr/bin/env bash
# Install the `mariadb` command-line client, the yardstick of the benchmarks: Debian's and Ubuntu's mariadb-client-core.
# Nothing else of the project needs it.
set -euo pipefail
command -v mariadb >/dev/null && exit 0

# shellcheck source=scripts/apt.sh
. "$(dirname "$0")/../../scripts/apt.sh"
require_apt "no mariadb client" mariadb-client-core

echo "Installing mariadb-client-core"
apt update
apt install --no-install-recommends mariadb-client-core
