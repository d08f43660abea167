# make install | run | test | lint | bench        (README.md explains each)
PYTHON ?= python3
BIN    := .venv/bin

.PHONY: install run test lint bench clean

install: .venv/installed

.venv/installed: setup.cfg $(wildcard plugins/*/setup.cfg)
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -e '.[cp,dp,dev]' $(foreach p,$(wildcard plugins/*/setup.cfg),-e $(dir $(p)))
	touch $@

clean:
	rm -rf .venv build dist *.egg-info plugins/*/*.egg-info
