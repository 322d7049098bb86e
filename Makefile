# Everything a person does here. Each verb's help is the comment behind its name.
SHELL := /bin/bash
.DEFAULT_GOAL := help

# Without PYTHON, an environment keeps the Python that it was made with while that exists.
ifndef PYTHON
PYTHON := $(or $(realpath .venv/bin/python),python3)
endif
UV := .tools/uv/bin/uv
MELTANO := .tools/meltano/bin/meltano
OPENDENTAL := .venv/bin/opendental
# The mark has the version in its name, so that another PYTHON makes the environment again.
VENV := .venv/.done-$(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)
# What only tests run: another Singer target, and dbt for sources.yml.
TEST_TOOLS := .tools/target-jsonl/.done .tools/dbt/.done
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
# Where Python may not write bytecode (PYTHONDONTWRITEBYTECODE, a read-only folder), each start of a plugin would compile
# a thousand modules: 2 s of processor time.
export UV_COMPILE_BYTECODE := 1
export MELTANO_SEND_ANONYMOUS_USAGE_STATS := false

.PHONY: help demo test test-unit test-integration test-e2e test-reliability test-values test-all bench bench-discovery bench-unchanged bench-extraction bench-frontdesk bench-memory bench-loading bench-loading-large bench-replica bench-replica-large bench-peers bench-peer-pgloader bench-peer-dlt bench-peer-ingestr bench-peer-sling bench-peer-pipelinewise bench-peer-mydumper client dump lint format servers browser install plugins lock down clean

help: ## list the verbs
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: install plugins ## start a private source and warehouse, run the pipeline twice, show what landed
	@.venv/bin/python scripts/demo.py

test: install plugins browser $(TEST_TOOLS) ## lint and all tests, with the time of each group
	@.venv/bin/python scripts/run_tests.py lint unit integration reliability e2e

test-unit: $(VENV) ## tests that need no server (seconds)
	@.venv/bin/python scripts/run_tests.py unit

test-integration: install browser $(TEST_TOOLS) ## tests against a real MariaDB and PostgreSQL, and of the report in Chromium
	@.venv/bin/python scripts/run_tests.py integration

test-reliability: install plugins ## kills, cut connections, late commits, restored backups, rows compared at the end (minutes)
	@.venv/bin/python scripts/run_tests.py reliability

test-e2e: install plugins ## tests of the whole pipeline through Meltano
	@.venv/bin/python scripts/run_tests.py e2e

test-values: install ## 200,000 random rows of values, of every type, by every path (ten minutes)
	@TEST_VALUES=200000 .venv/bin/pytest -q tests/integration/test_values.py

test-all: servers browser $(UV) $(TEST_TOOLS) ## unit and integration tests on every Python from 3.11 to 3.13 that is present
	@scripts/test-all-pythons.sh

bench: bench-discovery bench-unchanged bench-extraction bench-frontdesk bench-loading bench-replica ## measure all but memory, 2 million rows and peers, and write docs/benchmarks.md (two hours)

bench-discovery: install ## what the analysis of a schema costs, beside SQLAlchemy's inspector
	@.venv/bin/python tests/bench/bench_discovery.py --write

bench-unchanged: install ## what a night costs in which nothing changed
	@.venv/bin/python tests/bench/bench_unchanged.py --write

bench-extraction: install client ## rows a second and CPU per row, beside the server's client and the SDK's own tap
	@.venv/bin/python tests/bench/bench_extraction.py --write

bench-frontdesk: install client ## what the front desk waits for while a large table is loaded
	@.venv/bin/python tests/bench/bench_frontdesk.py --write

bench-memory: install ## peak memory on 5 million rows (slow, 30 GB of disk)
	@.venv/bin/python tests/bench/bench_memory.py --write

bench-loading: install plugins client ## loading PostgreSQL: stock target, ours, and the server's client into COPY
	@.venv/bin/python tests/bench/bench_loading.py postgresql --only stock raw --together --write

bench-loading-large: install plugins client ## the same for millions of rows: ours and the client (an hour and a half)
	@.venv/bin/python tests/bench/bench_loading.py postgresql --only raw --rows 2000000 --runs 5 --tables procedurelog --then all --together --first-only --no-edges --limit 900 --write
	@.venv/bin/python tests/bench/bench_loading.py postgresql --only raw --rows 1000000 --runs 5 --tables procedurelog --then grown --first-only --no-edges --limit 900 --write

bench-replica: install plugins client dump ## loading a replica: ours, mariadb-dump, and the server itself
	@.venv/bin/python tests/bench/bench_loading.py mysql --only replica insert --write

bench-replica-large: install plugins client dump ## the same for 2 million rows (an hour)
	@.venv/bin/python tests/bench/bench_loading.py mysql --only replica insert --rows 2000000 --runs 5 --tables procedurelog --then all --first-only --no-edges --limit 900 --write

bench-peers: bench-peer-mydumper install client ## all peers that load PostgreSQL, in one series (hours)
	@tests/bench/bench-peer.sh postgresql pgloader dlt-connectorx dlt-pyarrow ingestr sling pipelinewise

bench-peer-pgloader: install client ## loading by pgloader
	@tests/bench/bench-peer.sh postgresql pgloader

bench-peer-dlt: install client ## loading by dlt, with connectorx and with pyarrow
	@tests/bench/bench-peer.sh postgresql dlt-connectorx dlt-pyarrow

bench-peer-ingestr: install client ## loading by ingestr
	@tests/bench/bench-peer.sh postgresql ingestr

bench-peer-sling: install client ## loading by Sling
	@tests/bench/bench-peer.sh postgresql sling

bench-peer-pipelinewise: install client ## loading by PipelineWise's tap and target
	@tests/bench/bench-peer.sh postgresql pipelinewise

bench-peer-mydumper: install client dump ## loading a replica by mydumper and myloader
	@tests/bench/bench-peer.sh mysql mydumper

client:
	@tests/bench/install-client.sh

dump:
	@tests/bench/install-client.sh mariadb-dump mariadb-client

lint: $(VENV) ## ruff, mypy and the import contracts
	@.venv/bin/python scripts/run_tests.py lint

format: $(VENV) ## format the code
	@.venv/bin/ruff format . && .venv/bin/ruff check --fix-only .

servers: ## install MariaDB's and PostgreSQL's server binaries, if missing (needs root or sudo)
	@scripts/install-servers.sh

browser: ## install the browser that the report's tests drive, if missing (needs root or sudo)
	@scripts/install-browser.sh

install: servers $(VENV) ## create .venv with the three packages, from hashed locks

plugins: .tools/meltano/.done .meltano/.done ## install Meltano and its plugins, each into an environment of its own

lock: $(UV) ## resolve all locks again
	@scripts/lock.sh

down: $(VENV) ## stop the sandbox
	@$(OPENDENTAL) sandbox down

clean: ## remove every environment and the sandbox
	@[ ! -x $(OPENDENTAL) ] || $(OPENDENTAL) sandbox down --delete
	rm -rf .venv .venv-3.* .tools .meltano

# --- environments: rebuilt when their lock changes ---------------------------------------------------------------

$(UV): requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "Python 3.11 to 3.13 is needed, not " + sys.version.split()[0] + ": call make with PYTHON=python3.12")'
	@echo "Installing uv"
	@$(PYTHON) -m venv --clear .tools/uv
	@.tools/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(VENV): requirements/workspace.txt tap-opendental/pyproject.toml target-opendental-replica/pyproject.toml analyze/pyproject.toml | $(UV)
	@echo "Installing the workspace"
	@$(UV) venv --quiet --clear --python $(PYTHON) .venv
	@$(UV) pip install --quiet --python .venv --require-hashes -r requirements/workspace.txt
	@$(UV) pip install --quiet --python .venv --no-deps --no-build-isolation -e tap-opendental -e target-opendental-replica -e analyze
	@touch $@

.tools/meltano/.done: requirements/meltano.txt | $(UV)
	@echo "Installing Meltano"
	@$(UV) venv --quiet --clear --python $(PYTHON) .tools/meltano
	@$(UV) pip install --quiet --python .tools/meltano --require-hashes -r requirements/meltano.txt
	@touch $@

.meltano/.done: meltano.yml requirements/tap-opendental.txt requirements/target-postgres.txt requirements/target-opendental-replica.txt requirements/opendental-analyze.txt plugins/loaders/target-postgres--meltanolabs.lock tap-opendental/pyproject.toml target-opendental-replica/pyproject.toml analyze/pyproject.toml .tools/meltano/.done
	@echo "Installing Meltano's plugins"
	@$(MELTANO) --log-level warning install
	@touch $@

.tools/target-jsonl/.done: requirements/target-jsonl.txt | $(UV)
	@echo "Installing target-jsonl, the unrelated target of the tests"
	@$(UV) venv --quiet --clear --python $(PYTHON) .tools/target-jsonl
	@$(UV) pip install --quiet --python .tools/target-jsonl --require-hashes -r requirements/target-jsonl.txt
	@touch $@

.tools/dbt/.done: requirements/dbt.txt | $(UV)
	@echo "Installing dbt, which the tests run on sources.yml"
	@$(UV) venv --quiet --clear --python $(PYTHON) .tools/dbt
	@$(UV) pip install --quiet --python .tools/dbt --require-hashes -r requirements/dbt.txt
	@touch $@
