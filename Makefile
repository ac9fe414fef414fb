# Everything runs in .venv, which is made once and re-used while pyproject.toml, constraints.txt
# and the version of PYTHON stay as they are.
PYTHON ?= python3
SEED ?= 0
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
READY := $(VENV)/.ready-$(VERSION)

.PHONY: test lint unit demo format clean

test: lint unit

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

unit: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2

# a toy world, all stages, a table and a picture; SEED=1 for another world
demo: $(READY)
	$(BIN)/python tools/demo.py --seed $(SEED)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo '$(PYTHON) is older than Python 3.11: use make PYTHON=python3.11 or python3.12.'; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --upgrade pip -c constraints.txt
	$(BIN)/pip install --quiet -c constraints.txt --editable '.[test]'
	@# a machine without a display may lack libGL, which opencv-python needs and this one does not
	@$(BIN)/python -c 'import cv2' 2>/dev/null || { \
		$(BIN)/pip uninstall --quiet --yes opencv-python; \
		$(BIN)/pip install --quiet -c constraints.txt opencv-python-headless; }
	touch $@

clean:
	rm -rf $(VENV)
