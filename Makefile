# make programs | pages | install | run | test | test-node | chaos | lint | docs | bench | kube-assets | wheels | lowest | release | clean
# (CONTRIBUTING.md says what each is for)
PYTHON  ?= python3
BIN     := .venv/bin
QUIET   := --quiet --disable-pip-version-check
# One setuptools builds all parts, and Python compiles what is used when it is: a third of the time is saved.
QUICK   := --no-build-isolation --no-compile
RUNNING := cp,dp,kumactl
BENCH   := push sds store fair events roles
PARTS   := $(dir $(wildcard plugins/*/setup.cfg))
# kuma-injector is a program of its own, with nothing of a control plane.
ALONE   := plugins/injector_k8s/
BESIDE  := $(filter-out $(ALONE),$(PARTS))

# What runs a second time, on PostgreSQL, in every `make test`; `make chaos` runs everything on it.
POSTGRES_TOO := $(addprefix tests/conformance/,test_api_examples.py test_more_api_examples.py test_foreign_kind.py \
                  seed/test_rest.py) plugins/policy_traffic/tests/test_rest.py

.PHONY: programs pages install run test test-node chaos lint docs bench kube-assets wheels lowest release clean

programs: .venv/running pages

install: .venv/installed pages

# The web interface: built anew when web/ changed, with Node.js from PATH or from the package index.
pages: .venv/running
	@$(BIN)/python plugins/gui/build_web.py

.venv/running: setup.cfg setup.py pyproject.toml $(wildcard plugins/*/setup.cfg)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3 $(MAKECMDGOALS)"; exit 1; }
	@echo "Installing the programs, the plugins and Envoy into .venv (about 210 MB; less than a minute) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install $(QUIET) 'setuptools >= 77'
	@KUMA_GUI_PAGES=later $(BIN)/python -m pip install $(QUIET) $(QUICK) -e '.[$(RUNNING)]' $(BESIDE:%/=-e '%[cp]') $(ALONE:%/=-e %)
	@touch $@

.venv/installed: .venv/running
	@echo "Installing the tools of developers into .venv (about 370 MB more; a few minutes, once) ..."
	@$(BIN)/python -m pip install $(QUIET) $(QUICK) -e '.[$(RUNNING),dev]'
	@touch $@

# The pages are built while the demo begins.
run: .venv/running
	@bash examples/demo/run.sh $(ARGS)

# Tests wait for other programs most of the time: three at once keep two cores busy.
test: install
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)
ifndef ARGS
	KUMA_TEST_STORE=postgres $(BIN)/python -m pytest -n 2 --dist loadfile -q $(POSTGRES_TOO)
	$(BIN)/python -m pytest -m "kube and not chaos" -q
endif

# On a real node of Kubernetes, for root; tests that cannot have one say what they miss.
test-node: install
	$(BIN)/python -m pytest -m "node and not chaos" -q $(ARGS)

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
ifndef ARGS
	$(BIN)/python -m pytest -m bench
endif

kube-assets:
	@nice -n 19 tools/kube/build.sh

wheels: programs
	$(BIN)/python -m pip wheel $(QUIET) --no-deps --wheel-dir dist . $(PARTS:%=./%)

lowest:
	$(PYTHON) packaging/environments.py

release:
	$(PYTHON) packaging/release.py

clean:
	rm -rf .venv build dist *.egg-info plugins/*/build plugins/*/*.egg-info
	rm -rf plugins/gui/kuma_gui/pages plugins/gui/web/node_modules plugins/gui/.browser
