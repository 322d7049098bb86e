#!/usr/bin/env bash
# Install the browser that the tests of the report page drive: the distribution's chromium, and a font to draw with.
# Nothing else of the project needs a browser.
set -euo pipefail

missing=()
command -v chromium chromium-browser google-chrome >/dev/null || missing+=(chromium)
compgen -G "/usr/share/fonts/truetype/*/*.ttf" >/dev/null || missing+=(fonts-dejavu-core)
[ ${#missing[@]} -eq 0 ] && exit 0

# shellcheck source=scripts/apt.sh
. "$(dirname "$0")/apt.sh"
require_apt "no browser (any Chromium on PATH as chromium will do)" "${missing[@]}"

echo "Installing ${missing[*]}"
apt update
apt install --no-install-recommends "${missing[@]}"
