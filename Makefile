# make install | run | test | chaos | lint | docs | bench | wheels | clean     (CONTRIBUTING.md says what each is for)
PYTHON ?= python3
BIN    := .venv/bin
BENCH  := push sds store
PARTS  := $(dir $(wildcard plugins/*/setup.cfg))

# What runs a second time, on PostgreSQL, in every `make test`; `make chaos` runs everything on it.
POSTGRES_TOO := $(addprefix tests/conformance/,test_api_examples.py test_more_api_examples.py test_foreign_kind.py \
                  seed/test_rest.py) plugins/policy_traffic/tests/test_rest.py

.PHONY: install run test chaos lint docs bench wheels clean

install: .venv/installed

.venv/installed: setup.cfg pyproject.toml $(wildcard plugins/*/setup.cfg)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cp,dp,dev]' $(PARTS:%/=-e '%[cp]')
	@touch $@

run: install
	@bash examples/demo/run.sh $(ARGS)

test: install
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)
ifndef ARGS
	KUMA_TEST_STORE=postgres $(BIN)/python -m pytest -n 2 --dist loadfile -q $(POSTGRES_TOO)
endif

chaos: install
	$(BIN)/python -m pytest -s -m chaos $(ARGS)
ifndef ARGS
	KUMA_TEST_STORE=postgres $(BIN)/python -m pytest -n 2 --dist loadfile --hypothesis-profile=random
endif

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
