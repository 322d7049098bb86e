#!/usr/bin/env bash
# Install the `mariadb` command-line client, the yardstick of the benchmarks: Debian's and Ubuntu's mariadb-client-core.
# Nothing else of the project needs it. Usage: install-client.sh [PROGRAM PACKAGE], for another one of its programs.
set -euo pipefail
program=${1-mariadb} package=${2-mariadb-client-core}
command -v "$program" >/dev/null && exit 0

# shellcheck source=scripts/apt.sh
. "$(dirname "$0")/../../scripts/apt.sh"
require_apt "no $program" "$package"

echo "Installing $package"
apt update
apt install --no-install-recommends "$package"
