# Everything runs in .venv, which is made once and re-used while pyproject.toml, constraints.txt
# and the version of PYTHON stay as they are.
PYTHON ?= python3
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
READY := $(VENV)/.ready-$(VERSION)
# the OpenMMLab packages of 2023 have an environment of their own
CLASSIC_PYTHON ?= python3.10
CLASSIC := .venv-classic

.PHONY: test lint docs unit test-thorough demo format package classic test-classic clean

test: lint docs unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

# site/index.html; a warning is an error
docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

# kills, processes and damaged files in numbers; about half an hour on two cores
test-thorough: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m thorough

# a toy world, all stages, a table and a picture; SEED=1 for another world
demo: $(READY)
	$(BIN)/python tools/demo.py --seed $(SEED)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# a wheel and the sources to dist/
package: $(READY)
	rm -rf dist
	$(BIN)/python -m hatchling build

# a machine without a display may lack libGL, which opencv-python needs and the other does not
without_libgl = $(1)/bin/python -c 'import cv2' 2>/dev/null || { \
	$(1)/bin/pip uninstall --quiet --yes opencv-python; \
	$(1)/bin/pip install --quiet -c $(2) opencv-python-headless; }

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) is older than Python 3.11: use make PYTHON=python3.11 or python3.12.'; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt --editable '.[test,docs]'
	@$(call without_libgl,$(VENV),constraints.txt)
	touch $@

classic: $(CLASSIC)/.ready

test-classic: $(CLASSIC)/.ready
	OMP_NUM_THREADS=1 $(CLASSIC)/bin/python -m pytest --numprocesses 2 --dist worksteal tests/golden tests/methods tests/models \
		tests/engine tests/deployment tests/visualization tests/test_safe_load.py tests/test_config_check.py \
		tests/tools/test_mcl2mmseg.py tests/tools/test_train_and_test.py

$(CLASSIC)/.ready: pyproject.toml constraints-classic.txt
	$(CLASSIC_PYTHON) -m venv --clear $(CLASSIC)
	$(CLASSIC)/bin/pip install --quiet -c constraints-classic.txt torch torchvision numpy setuptools wheel
	@echo 'mmcv is compiled now, which takes about ten minutes on two cores.'
	MMCV_WITH_OPS=1 $(CLASSIC)/bin/pip install --quiet -c constraints-classic.txt --no-build-isolation mmcv
	$(CLASSIC)/bin/pip install --quiet -c constraints-classic.txt mmengine mmsegmentation mmpretrain \
		filelock ftfy pydantic regex prettytable rich scipy tensorboard pytest pytest-xdist hypothesis
	$(CLASSIC)/bin/pip install --quiet --no-deps --editable .
	@$(call without_libgl,$(CLASSIC),constraints-classic.txt)
	touch $@

clean:
	rm -rf $(VENV) $(CLASSIC)
