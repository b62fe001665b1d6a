# Two commands on a fresh machine: `make run` and `make test`. Each makes its environment first, and only once.

PYTHON ?= python3
VENV ?= .venv
OUT ?= runs/mini-quick

PIP_INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

export OMP_NUM_THREADS ?= 1

.PHONY: run test lint tests environment clean

run: $(VENV)/.installed
	$(VENV)/bin/pvbench run --profile mini-quick --out $(OUT)

# Side by side: many tests wait for processes of their own, and leave time on two cores. In their order, since the files
# with the fewest tests, which come last otherwise, take the longest.
test: $(VENV)/.installed-dev
	$(MAKE) --jobs=2 lint tests

tests: $(VENV)/.installed-dev
	$(VENV)/bin/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.installed-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy

environment: $(VENV)/.installed-dev

# The package itself is installed in place: only other dependencies make it install again.
$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(PIP_INSTALL) --editable ".[run]"
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP_INSTALL) --editable ".[run,dev,face,world,ray,parquet]"
	$(PIP_INSTALL) --no-deps insightface==2.1
	touch $@

clean:
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .import_linter_cache .pytest_cache
