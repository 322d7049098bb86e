#!/usr/bin/env bash
# Unit and integration tests on every supported Python that is present, each in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

find_python() { # VERSION: the first that runs, from PATH, pyenv or uv (a pyenv shim on PATH may refuse to)
    local candidate
    for candidate in "$(command -v "python$1" || true)" "${PYENV_ROOT:-$HOME/.pyenv}/versions/$1".*/bin/python \
        "$(.tools/uv/bin/uv python find --no-project --managed-python "$1" 2>/dev/null || true)"; do
        if [ -x "$candidate" ] && "$candidate" -c '' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
}

failed=0 found=0
for version in 3.11 3.12 3.13; do
    python=$(find_python "$version")
    if [ -z "$python" ]; then
        echo "Python $version: not present"
        continue
    fi
    echo "Python $version: $python"
    found=1 env=".venv-$version"
    .tools/uv/bin/uv venv --quiet --clear --python "$python" "$env"
    .tools/uv/bin/uv pip install --quiet --python "$env" --require-hashes -r requirements/workspace.txt
    .tools/uv/bin/uv pip install --quiet --python "$env" --no-deps --no-build-isolation \
        -e tap-opendental -e target-opendental-replica -e analyze
    "$env/bin/python" scripts/run_tests.py unit integration || failed=1
done
[ "$found" -eq 1 ] || { echo "error: no Python from 3.11 to 3.13 found" >&2; exit 1; }
exit "$failed"
