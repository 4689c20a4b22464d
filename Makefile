# Two commands: `make build` fills the warehouse and writes the report; `make test` checks everything that CI checks.
.DEFAULT_GOAL := help
.PHONY: help build test spark bench accepted calibrate lint format report docs clean lock
SHELL := /bin/bash
PYTHON ?= python3.11
BIN := .venv/bin
# One thread a process for linear algebra: dbt and pytest run in parallel already, and results do not move in the last digit.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
export DBT_PROFILES_DIR ?= $(CURDIR)
export PYTHONPATH := $(CURDIR)

help:
	@echo "make build   fill warehouse.duckdb, gate, estimate, decide, and write the report"
	@echo "make test    lint, types, unit, reference and build tests: all that CI checks"
	@echo "make bench   time ours against the cost of reading the data (ROWS=10_000_000; PEERS=1: and against peers)"
	@echo "make spark   the parity tests with a local Spark, in an environment of its own (400 MB; Java 17)"
	@echo "make docs    dbt's documentation site in target/"

# A venv knows its own lock: it is made again only when the lock changes.
.venv/installed: requirements.lock
	@command -v $(PYTHON) > /dev/null || { echo "Python 3.11 is needed: install it, or make build PYTHON=/path/to/python3.11"; exit 1; }
	@echo "== installing into .venv"
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements.lock
	@touch $@

build: .venv/installed
	@$(BIN)/python -m commands.build

# A file is one worker's, the longest first (tests/order.py). A test that stands still ends its worker and the run.
test: lint
	@echo "== pytest"
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --max-worker-restart 0 -m "not slow"

# Spark is 400 MB and not in the lock: an environment of its own, for the tests that compare engines. See docs/engines.md.
spark: .venv-spark/installed
	@echo "== pytest tests/parity, with Spark"
	@.venv-spark/bin/python -m pytest tests/parity

.venv-spark/installed: requirements.lock requirements-spark.txt
	@command -v java > /dev/null || { echo "Spark needs Java 17"; exit 1; }
	@echo "== installing into .venv-spark"
	@$(PYTHON) -m venv .venv-spark
	@.venv-spark/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes -r requirements.lock -r requirements-spark.txt
	@touch $@

# Each job in its own process against DuckDB's plain column sums: make bench ROWS=10_000_000, with the peers PEERS=1,
# all sizes ROWS="1_000_000 10_000_000 50_000_000". Peers have an environment of their own.
ROWS ?= 1_000_000
bench: .venv/installed $(if $(PEERS),.venv-peers/installed)
	@$(BIN)/python -m benchmarks.run --rows $(ROWS) $(if $(PEERS),--peers)

.venv-peers/installed: benchmarks/requirements-peers.txt
	@echo "== installing the peers into .venv-peers"
	@$(PYTHON) -m venv .venv-peers
	@.venv-peers/bin/python -m pip install --disable-pip-version-check --quiet --requirement benchmarks/requirements-peers.txt
	@touch $@

# The reference tests' comparisons as a table: docs/accepted.md
accepted: .venv/installed
	@$(BIN)/python -m pytest tests/reference --accepted -q

# Coverage of every estimator's interval on processes with known truth: about two hours on two cores
calibrate: .venv/installed
	@$(BIN)/python -m benchmarks.calibrate

lint: .venv/installed
	@echo "== ruff"
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "== mypy, and beside it dbt parse (deprecation warnings are errors)"
	@$(BIN)/mypy & typed=$$!; \
	$(BIN)/dbt --quiet --warn-error-options '{"error": ["Deprecations"]}' parse --no-partial-parse --target-path target/lint; \
	parsed=$$?; wait $$typed && exit $$parsed
	@echo "== sqlfluff"
	@$(BIN)/python -m commands.lint_sql

format: .venv/installed
	@$(BIN)/ruff check --fix . ; $(BIN)/ruff format .

report: .venv/installed
	@$(BIN)/python -m reports

docs: .venv/installed
	@$(BIN)/dbt docs generate

lock:
	@uv pip compile --quiet --generate-hashes --universal --no-strip-extras --no-header --python-version 3.11 --extra test pyproject.toml -o requirements.lock

clean:
	@rm -rf target logs warehouse.duckdb warehouse.duckdb.wal .warehouse.duckdb.* .duckdb_tmp reports/site figures/output
