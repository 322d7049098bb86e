#!/usr/bin/env bash
# Resolve every lock again: hashes, all supported Pythons, no download addresses.
set -euo pipefail
cd "$(dirname "$0")/.."

compile() { # NAME SOURCE...: the workspace's own packages are installed from their folders, so no lock names them
    local name=$1
    shift
    .tools/uv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --upgrade \
        --no-emit-package tap-opendental --no-emit-package target-opendental-replica \
        "$@" -o "requirements/$name.txt"
    echo "requirements/$name.txt"
}

compile uv requirements/uv.in
compile meltano requirements/meltano.in
compile target-postgres requirements/target-postgres.in
compile target-jsonl requirements/target-jsonl.in
compile dbt requirements/dbt.in
compile tap-opendental tap-opendental/pyproject.toml
compile target-opendental-replica target-opendental-replica/pyproject.toml
compile opendental-analyze analyze/pyproject.toml
compile workspace {tap-opendental,target-opendental-replica,analyze}/pyproject.toml requirements/dev.in
