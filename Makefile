# Two commands from a fresh machine with Python 3.11 and make: `make demo` and `make test`.
# Everything is set up on the way: a virtual environment, and Debian packages when root.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
SOURCES := src tests bench tools docs

# MLflow's own clients, old and new, that the wire is tested with: each in an environment of its own.
CLIENTS := .venv-mlflow-3.10/ready .venv-mlflow-3.17/ready

.PHONY: default demo test check deep bench soak docs clean clients lock system compiled

default: test

$(VENV)/ready: requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.lock
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	touch $@

# A real PostgreSQL and a real browser for the tests; refused loudly where they cannot be had.
system:
	sh tools/system.sh

# As pip does with what it installs: where Python may not write what it compiles, each process
# of the hundreds that are started would compile us anew, for a second.
compiled: $(VENV)/ready
	$(BIN)/python -m compileall -q src

demo: compiled
	$(BIN)/mainspring demo --home .demo/.mainspring --clean $(DEMO)

check: $(VENV)/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python tools/house.py
	$(BIN)/python tools/reference.py --check

.venv-mlflow-%/ready: requirements-mlflow-%.lock
	$(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --requirement $<
	touch $@

clients: $(CLIENTS)

test: compiled clients system check
	$(BIN)/pytest -n 2 --dist loadfile $(PYTEST)

# Keras and Lightning need torch, which the other tests do without: an environment of its own (1.1 GB) on top of ours.
# What serves a module of PyTorch runs without it, and is told where it is.
deep: $(VENV)-torch/ready
	$(VENV)-torch/bin/python -m pytest -q tests/deep/keras_and_lightning.py -W default
	$(VENV)-torch/bin/python -m pytest -q tests/deep/torch_distributed.py -W default
	$(VENV)-torch/bin/python -m pytest -q tests/deep/torch_reproduced.py -W default
	TORCH_PYTHON=$(abspath $(VENV))-torch/bin/python $(BIN)/python -m pytest -q tests/deep/torch_served.py

$(VENV)-torch/ready: $(VENV)/ready
	$(PYTHON) -m venv $(VENV)-torch
	$(VENV)-torch/bin/python -m pip install --quiet torch==2.13.0 lightning==2.6.6 keras==3.15.1
	$(VENV)-torch/bin/python -m pip install --quiet --no-deps onnxscript==0.7.2 onnx-ir==1.1.0
	echo $(CURDIR)/$$(echo $(BIN)/../lib/python3*/site-packages) > $$(echo $(VENV)-torch/lib/python3*/site-packages)/ours.pth
	echo $(CURDIR)/src > $$(echo $(VENV)-torch/lib/python3*/site-packages)/src.pth
	touch $@

bench: $(VENV)/ready
	for script in bench/*.py; do $(BIN)/python $$script || exit 1; done

soak: compiled system
	MAINSPRING_SOAK=1 $(BIN)/pytest -n 2 --dist loadfile -m soak --timeout 7200
	MAINSPRING_SOAK=1 $(BIN)/pytest -n 2 --dist loadfile  # all others, with examples, seeds and order drawn anew

docs: $(VENV)/ready
	$(BIN)/python tools/reference.py

lock:
	sh tools/lock.sh

clean:
	rm -rf $(VENV) .venv-mlflow-* .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
