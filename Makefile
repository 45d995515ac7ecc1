# Tasks for people and for CI. `make help` lists them.

# Python that creates the virtual environment: 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
# The environment of `make test-lower-bounds`.
VENV_LOWEST ?= .venv-lowest
# pip options for installing torch. The default package of PyTorch for Linux brings CUDA libraries
# (several GB); name the index of the CPU-only wheels to avoid them:
#   make demo TORCH_PIP_OPTIONS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_PIP_OPTIONS ?=
# Test processes that run side by side, each on one thread.
WORKERS ?= 2
# Arguments for pytest, for example ARGS="tests/passes -k twin".
ARGS ?=

BIN := $(VENV)/bin
INSTALL := -m pip --disable-pip-version-check install --quiet --constraint
PIP := $(BIN)/python $(INSTALL) constraints-dev.txt
PIP_LOWEST := $(VENV_LOWEST)/bin/python $(INSTALL) constraints-lowest.txt
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
PYTEST := $(TEST_ENVIRONMENT) $(BIN)/python -m pytest -n $(WORKERS)
PYTEST_LOWEST := $(TEST_ENVIRONMENT) $(VENV_LOWEST)/bin/python -m pytest -n $(WORKERS)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-lower-bounds lint format reliability bench clean

help:  ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## Export ViT-Ti/16, optimize and verify it, compare its latency
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python benchmarks/demo.py

test: $(VENV)/.dev  ## Run the tests, without the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(VENV)/.dev  ## Run all tests: full-size models, long property runs, older runtimes too
	GRAPHOPT_TEST_ALL=1 $(PYTEST) $(ARGS)

test-lower-bounds: $(VENV_LOWEST)/.installed  ## Run the tests with the oldest versions of what is required
	$(PYTEST_LOWEST) -m "not slow" $(ARGS)

lint: $(VENV)/.dev  ## Check style, format, types and the direction of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict graphopt
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.dev  ## Format the code and apply the lint fixes that are safe
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reliability: $(VENV)/.dev  ## Print how far the optimizer's word was held against what runs (half an hour)
	$(BIN)/python benchmarks/reliability.py facts zoo corrupted loads
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/damaged_files.py

bench: $(VENV)/.dev  ## Print what optimizing costs and what it gains (best on a quiet machine)
	$(BIN)/python benchmarks/optimize_cost.py
	$(BIN)/python benchmarks/scaling.py
	$(BIN)/python benchmarks/results.py
	$(BIN)/python benchmarks/kernels.py

clean:  ## Remove everything that these tasks created, the virtual environment too
	rm -rf $(VENV) $(VENV_LOWEST) build dist demo .model-cache *.egg-info
	rm -f graphopt/native/*.so graphopt/native/*.dylib
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "graphopt needs Python 3.11 or newer; $(PYTHON) is not. Try: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

# What the demo needs: graphopt itself in place, ONNX Runtime for the CPU, and the exporters.
$(VENV)/.demo: pyproject.toml constraints-dev.txt | $(BIN)/python
	$(PIP) $(TORCH_PIP_OPTIONS) torch
	$(PIP) --editable '.[cpu,export]'
	@touch $@

# What development adds: test tools, linters, types.
$(VENV)/.dev: $(VENV)/.demo
	$(PIP) --editable '.[cpu,export,bench,test,dev]'
	@touch $@

# The oldest versions; they are older than Python 3.13.
$(VENV_LOWEST)/.installed: pyproject.toml constraints-lowest.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] not in {(3, 11), (3, 12)})' || { \
	  echo "the oldest versions need Python 3.11 or 3.12; $(PYTHON) is neither. Try: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV_LOWEST)
	$(PIP_LOWEST) $(TORCH_PIP_OPTIONS) torch
	$(PIP_LOWEST) --editable '.[cpu,export,bench,test]'
	@touch $@
