# make install | run | test | lint | docs | bench | wheels | clean     (CONTRIBUTING.md says what each is for)
PYTHON ?= python3
BIN    := .venv/bin
BENCH  := push sds
PARTS  := $(dir $(wildcard plugins/*/setup.cfg))

.PHONY: install run test lint docs bench wheels clean

install: .venv/installed

.venv/installed: setup.cfg pyproject.toml $(wildcard plugins/*/setup.cfg)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cp,dp,dev]' $(PARTS:%=-e %)
	@touch $@

run: install
	@bash examples/demo/run.sh $(ARGS)

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python docs/generate.py --check

docs: install
	$(BIN)/python docs/generate.py

bench: install
	@for name in $(BENCH); do $(BIN)/python -m tests.bench.$$name $(ARGS) || exit 1; echo; done

wheels: install
	$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist . $(PARTS:%=./%)

clean:
	rm -rf .venv build dist *.egg-info plugins/*/build plugins/*/*.egg-info
