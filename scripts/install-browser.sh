#!/usr/bin/env bash
# Install the browser that the tests of the report page drive: the distribution's chromium, and a font to draw with.
# Nothing else of the project needs a browser.
set -euo pipefail

missing=()
command -v chromium chromium-browser google-chrome >/dev/null || missing+=(chromium)
compgen -G "/usr/share/fonts/truetype/*/*.ttf" >/dev/null || missing+=(fonts-dejavu-core)
[ ${#missing[@]} -eq 0 ] && exit 0

fail() { echo "error: $*" >&2; exit 9; }
is_root() { [ "$(id -u)" -eq 0 ]; }
command -v apt-get >/dev/null || fail "no browser: install ${missing[*]} with this system's package manager"
is_root || command -v sudo >/dev/null \
    || fail "no browser: as root, run apt-get install --no-install-recommends ${missing[*]}"

log=$(mktemp)
trap 'rm -f "$log"' EXIT

# sudo drops the environment: `env` behind it sets what keeps apt-get from asking (NEEDRESTART_MODE: on Ubuntu).
as_root=(env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a)
is_root || as_root=(sudo "${as_root[@]}")

# Silent while all is well; a failure shows all that apt-get said.
apt() {
    "${as_root[@]}" apt-get -q -y "$@" >"$log" 2>&1 && return
    cat "$log" >&2
    fail "apt-get $* failed: its output is above. Any Chromium will do: put it on PATH as chromium"
}

echo "Installing ${missing[*]}"
apt update
apt install --no-install-recommends "${missing[@]}"
