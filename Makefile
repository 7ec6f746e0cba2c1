# The two commands a newcomer needs: `make run` and `make test`. Everything else is `make help`.
SHELL := /bin/bash
PYTHON ?= python3
UV_VERSION := 0.13.9
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

export DAGSTER_HOME ?= $(CURDIR)/dagster_home
export UV_LINK_MODE ?= copy
# Nothing here phones home; Feast and Great Expectations read these before they are imported.
export GX_ANALYTICS_ENABLED := false
export FEAST_USAGE := False
export DO_NOT_TRACK := 1

.PHONY: help install run ui test check lint types layers tidy unit soak bench lock clean

help:  ## List the targets.
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

install: $(STAMP)  ## Install everything, pinned by hash, into .venv.

# The lock pins versions and hashes and names no host: uv fetches from the index you have configured.
$(STAMP): pyproject.toml uv.lock Makefile
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else f"Python must be 3.11 to 3.13, was {sys.version.split()[0]}; set PYTHON=python3.12, say")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(BIN)/uv export --quiet --frozen --all-groups --no-emit-project --output-file $(VENV)/requirements.txt
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --compile-bytecode --requirements $(VENV)/requirements.txt
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q -j 2 adapters assets features gateway_simulator models pipelines swarm_core tests trader
	@echo "compiling the kernels and fetching the default data (a minute, once)"
	@($(BIN)/python -m pipelines.warm data; $(BIN)/python -m pipelines.warm features) & first=$$!; \
		$(BIN)/python -m pipelines.warm colony && wait $$first
	@touch $@

run: install  ## Run the whole chain on real data, from sources to report.
	@$(BIN)/apiary run

ui: install  ## Start Dagster (web server, daemon, schedules, sensors) on this home.
	@$(BIN)/apiary ui

test: install  ## Linters, types, import contracts, and every test.
	@$(MAKE) --no-print-directory check unit

check: lint layers types

lint: install
	@$(BIN)/python .ci/lockfile.py check
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: install
	@$(BIN)/pyright

layers: install
	@$(BIN)/lint-imports

# What failed beside another process on two busy cores is tried once more, alone, and told; what
# fails twice has failed.
define tests
	@$(BIN)/python -m pytest -n 2 --dist loadgroup $(1) || { \
		test $$? -eq 1 && echo "what failed, once more and alone:" && \
		$(BIN)/python -m pytest -n 0 --last-failed --last-failed-no-failures none $(1); }
endef

unit: install
	$(call tests,-m "not slow and not s3" --durations 10)
	$(call tests,-m "not slow and s3" --durations 3)

soak: install  ## The slow soak and fuzz runs.
	@$(BIN)/python -m pytest -m slow
	@$(BIN)/python -m tests.simulation --sessions 10000

bench: install  ## Every benchmark, ratios in one run, into benchmarks/results.
	@$(BIN)/python -m benchmarks

lock: install  ## Resolve the dependencies anew and take the hosts out of the lock.
	@$(BIN)/uv lock
	@$(BIN)/python .ci/lockfile.py strip


clean:  ## Forget every run, table and model of this home; keep the installation.
	@rm -rf var dagster_home/storage dagster_home/history dagster_home/schedules dagster_home/.telemetry dagster_home/logs
