# make demo: set up and run a real search on real pictures.  make test: set up and run the tests.
PYTHON ?= $(or $(shell command -v python3.11),python3)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Processes side by side, one thread each: more threads than cores wait for one another.
SIDE_BY_SIDE := --numprocesses auto --maxprocesses 4
FAST_TESTS := OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(SIDE_BY_SIDE)

.PHONY: help demo test test-slow check docs reference format dist release clean

help:
	@echo "make demo       set up, then search this machine for the network that fits (about 6 minutes)"
	@echo "make test       set up, then run the fast tests"
	@echo "make test-slow  the long tests"
	@echo "make check      format, lint, types, floors and the fast tests"
	@echo "make docs       the documentation as a site in build/docs"
	@echo "make reference  write the generated pages of the documentation anew"
	@echo "make format     rewrite the code in the house's format"
	@echo "make dist       build the wheel and use it from another directory"
	@echo "make release VERSION=0.2.0    check, build, date the changelog, commit and tag"

$(READY): pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found; install Python 3.11 or newer, or name yours: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	@touch $(READY)

demo: $(READY)
	$(BIN)/nasfit demo

test: $(READY)
	$(FAST_TESTS)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(FAST_TESTS)

docs: reference
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html docs build/docs
	@echo "build/docs/index.html"

reference: $(READY)
	$(BIN)/python tools/reference.py

format: $(READY)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dist: $(READY)
	rm -rf build dist
	$(BIN)/python -m build
	$(BIN)/python tools/check_wheel.py dist/*.whl

release: $(READY)
	$(BIN)/python tools/release.py "$(VERSION)"

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
