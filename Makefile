# Every command does all of its own set-up; `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test month check bench docs pictures zips outputs format lock clean

help: ## list the commands
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "pgdrill needs Python 3.11 or later; set PYTHON=/path/to/python3"; exit 2; }
	@$(PYTHON) -m venv $(VENV) || { echo "python3 has no venv module; on Debian: apt-get install python3-venv"; exit 2; }
	@echo "installing pgdrill into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

setup: $(VENV)/.ready ## make the virtual environment

demo: setup ## back up, restore, examine and judge a real database, healthy and sabotaged
	@$(BIN)/pgdrill demo

test: setup check ## every check and every test
	@# In the order of their names, so that the long files are not the last.
	@$(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

month: setup ## let a whole month of the deployed system pass; make test has eight days of it
	@PGDRILL_DAYS=31 $(BIN)/pytest tests/integration/test_month.py

check: setup ## format, lint, types, import layers
	@$(BIN)/ruff format --check --quiet . || { echo "run: make format"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache | tail -n 3

bench: setup ## measure; ratios against PostgreSQL's own tools
	@for file in bench/*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

pictures: setup ## photograph dashboard, report and compliance matrix for the documents; needs Chromium
	@$(BIN)/python -m tests.unit.dashboard.pictures

docs: setup ## write anew the documents that are made from the code
	@$(BIN)/pgdrill check docs > docs/checks.md
	@$(BIN)/pgdrill evidence schema > docs/schema/evidence-v1.json
	@$(BIN)/pgdrill plan schema > docs/schema/plan.json
	@PYTHONPATH=infra $(BIN)/python -m tests.infra.pictures
	@PYTHONPATH=infra $(BIN)/python -m tests.infra.permissions
	@PYTHONPATH=infra $(BIN)/python -m tests.infra.deployer
	@PYTHONPATH=infra $(BIN)/python -m tests.unit.watching.alerting
	@$(BIN)/python -m tests.lab.matrix_methods

zips: setup ## build the zips that functions run from, into dist/
	@$(BIN)/python -m pgdrill.build dist

outputs: ## write what a stack in AWS put out to cfn-outputs/flat-outputs.json, for tests/integration
	@mkdir -p cfn-outputs
	@cd infra && pulumi stack output --json > ../cfn-outputs/.new && mv ../cfn-outputs/.new ../cfn-outputs/flat-outputs.json

format: setup ## format and fix what can be fixed
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: setup ## resolve the dependencies anew
	@$(BIN)/pip install --quiet uv
	@$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --generate-hashes --no-header --no-emit-index-url --no-annotate --quiet --output-file requirements.lock

clean: ## remove what the commands above made
	@rm -rf $(VENV) dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
