#!/usr/bin/env bash
# Unit and integration tests on every supported Python that is present, each in an environment of its own.
set -euo pipefail
cd "$(dirname "$0")/.."

found=0
for version in 3.11 3.12 3.13; do
    if ! python=$(.tools/uv/bin/uv python find --no-project "$version" 2>/dev/null); then
        echo "Python $version: not present"
        continue
    fi
    found=$((found + 1))
    env=".venv-$version"
    echo "Python $version: $python"
    .tools/uv/bin/uv venv --quiet --clear --python "$python" "$env"
    .tools/uv/bin/uv pip install --quiet --python "$env" --require-hashes -r requirements/workspace.txt
    .tools/uv/bin/uv pip install --quiet --python "$env" --no-deps --no-build-isolation \
        -e tap-opendental -e target-opendental-replica -e analyze
    "$env/bin/python" scripts/run_tests.py unit integration
done
[ "$found" -gt 0 ] || { echo "error: no Python from 3.11 to 3.13 found" >&2; exit 1; }
