# `make` alone lists what there is. Every variable below can be given: make sweep PYTHON=python3.12
# pip's own settings (PIP_INDEX_URL and the like) reach pip as they are.

# The first Python that is new enough.
PYTHON ?= $(shell for each in python3 python3.13 python3.12 python3.11; do \
  $$each -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$each && break; done)
VENV ?= .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
BENCH_PIP := .venv-bench/bin/python -m pip --disable-pip-version-check
ARGS ?=

# Linux gets PyTorch's CPU build, a tenth of the CUDA build's size. Empty takes torch from pip's ordinary sources;
# whoever has sources of their own keeps them.
TORCH ?= torch==2.13.0
ifeq ($(shell uname -s)$(PIP_FIND_LINKS)$(PIP_INDEX_URL)$(PIP_EXTRA_INDEX_URL),Linux)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
endif

.DEFAULT_GOAL := help
.PHONY: bench-env help sweep install test test-fast test-all contract check format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

sweep: install ## install, and run three stages of real PPO training (30 runs, minutes)
	$(BIN)/multistage-sweep CartPole-v1:ppo --params policy_lr,clip_range --budget 30 $(ARGS)

install: $(VENV)/.installed ## create .venv and install multistage-sweep with its trainers

# Most tests wait for servers and workers, so two at a time take little more than one.
test: $(VENV)/.installed-dev ## the fast tests, with the domain's branches covered whole
	$(BIN)/pytest tests/domain -q --cov=multistage.domain --cov-branch --cov-report=term --cov-fail-under=100
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile $(ARGS)

test-fast: $(VENV)/.installed-dev ## a minute of tests: the core, the options, the request
	$(BIN)/pytest tests/domain tests/options tests/request tests/store -q -n 2 -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-scripts ## every test, the slow ones and those of foreign training libraries too
	$(BIN)/pytest $(ARGS)

contract: $(VENV)/.installed-dev ## what W&B and Modal themselves do otherwise, by your accounts: docs/contract.md
	@$(BIN)/python -m tests.contract $(ARGS)

bench-env: ## a venv of its own, .venv-bench, with all that the search benchmark compares with
	$(MAKE) --no-print-directory VENV=.venv-bench .venv-bench/.torch
	# torchvision, for which NePS asks, would bring a newer torch, and CUDA with it.
	echo '$(TORCH)' > .venv-bench/constraints.txt
	$(BENCH_PIP) install --constraint .venv-bench/constraints.txt --editable '.[bench]'
	$(BENCH_PIP) install --constraint .venv-bench/constraints.txt jsonschema jsonref gpytorch pymoo disjoint-set GPy catboost pandas ConfigSpace distributed loguru
	# All cap numpy below what they run with, and below what this project needs.
	$(BENCH_PIP) install --no-deps sweeps==0.3.0 HEBO==0.3.6 dehb==0.1.2

check: $(VENV)/.installed-dev ## ruff, mypy and the floors that imports must keep
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(VENV)/.installed-dev ## let ruff mend what it can
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean: ## remove .venv, caches and build products; runs/ stays
	rm -rf $(VENV) .venv-bench dist htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "multistage-sweep needs Python 3.11 or later; name yours: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "multistage-sweep needs Python 3.11 or later; $(PYTHON) is not: make PYTHON=/path/to/python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.torch: | $(BIN)/python
ifneq ($(TORCH_INDEX),)
	$(PIP) install --index-url $(TORCH_INDEX) --timeout 20 --retries 1 '$(TORCH)' || \
	  { echo "$(TORCH_INDEX) cannot be used; taking $(TORCH) from the ordinary sources"; $(PIP) install '$(TORCH)'; }
else
	$(PIP) install '$(TORCH)'
endif
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.torch
	$(PIP) install --editable '.[atari,digits]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.torch
	$(PIP) install --editable '.[dev]'
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-scripts: pyproject.toml $(VENV)/.torch
	$(PIP) install --editable '.[dev,scripts]'
	@touch $@ $(VENV)/.installed-dev $(VENV)/.installed
