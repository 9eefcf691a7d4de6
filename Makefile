# Everything a newcomer needs; `make help` lists it. Only Python 3.11+ and make are assumed.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Imports would recompile each time where the shell forbids bytecode.
unexport PYTHONDONTWRITEBYTECODE
# Tools that ask for a terminal or a pager would wait for ever where there is none.
export PAGER := cat

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-emit-index-url

PYTHON_CODE := $(wildcard src tests scripts benchmarks examples docs)
WORDS := $(wildcard $(PYTHON_CODE) README.md CHANGELOG.md CONTRIBUTING.md Makefile pyproject.toml .ci)

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and \
	  "Wherry needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 …")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(grep -m1 -o '^uv==[0-9.]*' requirements/run.txt)"
	@touch $@

$(VENV)/.run: $(VENV)/.uv requirements/run.txt pyproject.toml
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/run.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run requirements/dev.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode --require-hashes -r requirements/dev.txt
	@touch $@

install: $(VENV)/.run ## set up .venv with what Wherry needs to run

dev: $(VENV)/.dev ## set up .venv with what tests and checks need too

demo: install ## from data to a model that answers, in examples/02-pipeline; DOWN=1 stops Wherry afterwards
	$(BIN)/python examples/02-pipeline/demo.py $(if $(DOWN),--down)

run: install ## run Wherry in this terminal until Ctrl-C
	$(BIN)/wherry up --foreground

test: dev ## run the tests, all but the slow ones; laws with the same examples each time
	$(BIN)/pytest -q -n auto -m "not slow" --hypothesis-profile steady $(ARGS)

test-all: dev ## run every test; laws with new examples each time
	$(BIN)/pytest -q -n auto $(ARGS)

conformance: dev ## run the cases of upstream by name; results go to docs/conformance/
	$(BIN)/pytest -q -n auto tests/conformance --conformance-report docs/conformance $(ARGS)
	$(BIN)/python scripts/render_conformance.py

check: dev ## look for faults in the code and papers; changes no file
	@$(MAKE) --no-print-directory --keep-going check-style check-imports check-words check-generated check-types

check-style:
	$(BIN)/ruff check --no-fix --quiet $(PYTHON_CODE)
	$(BIN)/ruff format --check --quiet $(PYTHON_CODE)

check-imports:
	$(BIN)/lint-imports --no-cache

check-words:
	$(BIN)/codespell --ignore-words-list notin,requestor,te,hel,ddress,trian,whats,als,rabit,fpr,experiement,reccurring $(WORDS)

check-generated:
	$(BIN)/python scripts/generate_reference.py --check
	$(BIN)/python scripts/render_conformance.py --check

# Tests need not annotate themselves, but what they call must fit.
check-types:
	$(BIN)/mypy src scripts docs/mini.py
	$(BIN)/mypy --allow-untyped-defs --allow-incomplete-defs --allow-untyped-calls tests

fmt: dev ## put the code into its form and mend what can be mended
	$(BIN)/ruff check --fix $(PYTHON_CODE)
	$(BIN)/ruff format $(PYTHON_CODE)

generate: dev ## derive docs/reference/ from the code
	$(BIN)/python scripts/generate_reference.py

bench: dev ## measure; ONLY=name picks one benchmark; figures go to build/bench.json
	$(BIN)/python benchmarks/run.py $(if $(ONLY),--only $(ONLY))

lock: $(VENV)/.uv ## pin the dependencies anew (requirements/*.txt)
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) pyproject.toml --group dev -o requirements/dev.txt
	for group in clients kubeflow clients-training clients-tuning clients-pipelines clients-mlmd clients-pipelines-v1 clients-schemathesis clients-workflows stores notebooks; do $(COMPILE) --group $$group -o requirements/$$group.txt || exit 1; done

clean: ## remove what can be made anew: caches and build/, not .venv
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage .coverage.*
	find src tests scripts docs examples benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help install dev demo run test test-all conformance check check-style check-imports check-words check-generated check-types fmt generate bench lock clean
