# Short names for what people do in a checkout. One virtual environment: .venv (`make VENV=... target` uses another).

VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin

export DEITA_HOME ?= $(CURDIR)/deita_home
export DAGSTER_HOME = $(DEITA_HOME)/dagster

.PHONY: help setup demo dev test slow long check constraints wheel ci clean

help: ## this list
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(BIN)/deita-assets ## .venv with the package and its development tools

$(BIN)/deita-assets: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

demo: setup ## the bundled pool through the whole graph, in ./deita_demo
	$(BIN)/deita-assets demo

dev: setup ## Dagster UI and daemon of DEITA_HOME (default ./deita_home) on 127.0.0.1:3000
	$(BIN)/deita-assets dev

test: setup ## the default suite
	$(BIN)/python -m pytest -n 2 --dist loadfile

slow: setup ## slow tests, as CI runs them
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m 'slow and not long'

long: setup ## the longest tests, an hour: days of changes and kills, hundreds of kills, further seeds
	$(BIN)/python -m pytest -n 2 --dist loadfile -m long

check: setup ## everything that is checked without running the code
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	@home=$$(mktemp -d) && trap 'rm -rf "$$home"' EXIT && DAGSTER_HOME="$$home" DEITA_HOME="$$home/deita_home" \
		$(BIN)/dagster definitions validate -w workspace.yaml

# torch is pinned to the release that the numbers in the tests were measured with; typer from 0.26 on loses the
# help texts of Dagster's `dg`. Known pins stay as they are; `make constraints UPGRADE=--upgrade` renews them.
constraints: ## compile constraints.txt anew from pyproject.toml
	printf 'torch==2.13.0\ntyper<0.26\n' | uv pip compile pyproject.toml --constraints - --extra dev --extra browser --extra language --extra openvino --extra atlas --universal \
		--python-version 3.11 --no-emit-index-url --no-emit-find-links --no-annotate $(UPGRADE) \
		--custom-compile-command 'make constraints' -o constraints.txt

wheel: setup ## dist/deita_assets-*.whl
	$(BIN)/python -m build --wheel

ci: ## what continuous integration runs
	bash .ci/run

clean: ## remove build results and caches; homes stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
