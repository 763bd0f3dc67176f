# `make quickstart` and `make test` need nothing but Python >= 3.10 and this file; `make install` is what both do first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export TOKENIZERS_PARALLELISM := false

.PHONY: help install quickstart test lint format clean

help:
	@echo "make quickstart   PT, MTL and FT compared on the bundled synthetic tasks; ends with a table (minutes, offline)"
	@echo "make test         the tests"
	@echo "make lint         ruff and mypy"
	@echo "make format       let ruff rewrite"
	@echo "make install      only the environment: $(VENV), with the command $(BIN)/mpt"

install: $(STAMP)

# torch goes first and alone: an open range, resolved with everything else, may fetch gigabytes of CUDA packages.
$(STAMP): pyproject.toml constraints.txt
	@echo "== making $(VENV) (once; a few minutes) =="
	@$(PYTHON) -c 'import sys; sys.exit(f"mpt needs Python >= 3.10; {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $(STAMP)
	@echo "== installed: $(BIN)/mpt =="

quickstart: $(STAMP)
	@echo "== mpt study run experiments/studies/quickstart.yaml =="
	@$(BIN)/mpt study run experiments/studies/quickstart.yaml

test: $(STAMP)
	@echo "== pytest =="
	@$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
