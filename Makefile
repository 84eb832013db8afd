# make demo: explain a photo.  make test: every check.  Both set up what is missing.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help setup demo format test test-all lint placement figures gpu-dry-run

help:
	@echo 'make demo      explain a sample photo with the embedded classifier'
	@echo 'make test      linters, types, and tests: one of each kind'
	@echo 'make test-all  every test: all architectures, exporters, opsets and operators (PART=0/3: a third of those)'
	@echo 'make placement does ONNX Runtime for CUDA have a kernel for all that a gradient needs? no GPU is needed'
	@echo 'make gpu-dry-run  the benchmarks of a GPU, each part of CUDA replaced by its twin on the CPU: no timing means anything'
	@echo 'make setup     the environment alone, in .venv'
	@echo 'make format    put the code into its format'

# What the demo needs, within a minute; tests need the frameworks too.
$(VENV)/.demo: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "setting up $(VENV) with ONNX Runtime"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --constraint constraints.txt --editable '.[onnx]'
	@touch $@

setup: $(VENV)/.ready

$(VENV)/.ready: $(VENV)/.demo
	@echo "adding PyTorch, TensorFlow and the tools of the tests: some minutes, and a gigabyte or two"
	$(PIP) install --constraint constraints.txt --editable '.[onnx,torch,dev]'
	@touch $@

demo: $(VENV)/.demo
	$(BIN)/blackbox-explain explain blackbox_explain/samples/coffee.jpg --out explanations
	@echo "look at explanations/coffee.png"

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/pyright
	$(BIN)/lint-imports

# Two tests at a time, each with one thread: faster than one with two.
JOBS ?= 2

test: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal -m "not exhaustive"

# Of the exhaustive tests, PART=0/3 runs the first third alone.
test-all: lint
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(JOBS) --dist worksteal $(if $(PART),--exhaustive-part $(PART))

# ONNX Runtime for CUDA beside that for CPUs, with stand-ins for CUDA's own libraries: it places graphs and runs none.
GPU := .placement

$(GPU)/.ready: constraints.txt tests/adapters/onnx/cuda/stand_in.py
	rm -rf $(GPU)
	$(PIP) install --constraint constraints.txt --no-deps --target $(GPU)/site onnxruntime-gpu
	$(BIN)/python -m tests.adapters.onnx.cuda.stand_in $(GPU)/site/onnxruntime/capi/libonnxruntime_providers_cuda.so $(GPU)/stand-ins
	@touch $@

placement: setup $(GPU)/.ready
	REQUIRE_CUDA=1 PYTHONPATH=$(GPU)/site LD_LIBRARY_PATH=$(GPU)/stand-ins $(BIN)/pytest tests/adapters/onnx/cuda/test_placement.py

# Whether `python -m benchmarks.gpu` runs through, before it is given a GPU; its results are thrown away.
gpu-dry-run: setup
	rm -rf build/gpu-dry-run
	$(BIN)/python -m benchmarks.gpu --device cpu --tiny --seconds 3600 --results build/gpu-dry-run

# The pictures of the README.
figures: setup
	$(BIN)/blackbox-explain explain blackbox_explain/samples/coffee.jpg --out docs/pictures --quiet
	rm -f docs/pictures/coffee.npz docs/pictures/coffee.json
