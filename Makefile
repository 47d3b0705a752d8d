# The two commands are `make up` (and `make down`), and `make test`. Neither needs anything typed before it.
.DEFAULT_GOAL := help
PYTHON := .venv/bin/python
STARTED := $(shell date +%s)
# Bytecode is kept, whatever the caller's environment says: without it Python compiles every package at each `up`.
unexport PYTHONDONTWRITEBYTECODE
# Measured on Python 3.11, coverage doubles the processor time of the unit tests; `make check` leaves it out.
COVERAGE := --cov --cov-report=term
# Which end-to-end tests: those that need the one sandbox run beside the others.
CHOSEN := not soak
SOURCES := __main__.py infra apps ops policy docs sandbox tests

.PHONY: help
help:
	@sed -n 's/^\([a-z0-9-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

.PHONY: up
up: .venv/.ready ## the whole stack in the sandbox, without an account; EXAMPLE=auth: an example instead
	@KONG_DOKS_STARTED=$(STARTED) $(PYTHON) -m sandbox up $(if $(EXAMPLE),--example $(EXAMPLE))

.PHONY: down
down: .venv/.ready ## pulumi destroy, the bill at zero, the sandbox gone
	@$(PYTHON) -m sandbox down

.PHONY: test
test: .venv/.ready ## lint, unit and e2e
	@$(PYTHON) -m sandbox tools
	@$(MAKE) --no-print-directory -j4 COVERAGE= sandboxed engine others standins unit lint

.PHONY: lint
lint: .venv/.ready ## ruff, mypy --strict, import contracts, spelling, workflows; gofmt, go vet and staticcheck
	@git ls-files -z | xargs -0 .venv/bin/codespell
	@.venv/bin/ruff check --quiet . && .venv/bin/ruff format --check --quiet . && .venv/bin/mypy $(SOURCES)
	@report=$$(.venv/bin/lint-imports --no-logo --no-cache) || { echo "$$report"; exit 1; }
	@.venv/bin/zizmor --offline --quiet --no-progress .github
	@$(PYTHON) -m sandbox.toolchain.go_checks lint

.PHONY: unit
unit: .venv/.ready ## the program under mocks, the apps, tables of the proxy stand-in; prints the coverage of infra/ and ops/
	@$(PYTHON) -m pytest -q $(COVERAGE) tests/unit apps
	@$(PYTHON) -m sandbox.toolchain.go_checks test

BASE := HEAD
.PHONY: graph-diff
graph-diff: .venv/.ready ## how the resource graph differs from the revision BASE, for every stack file and example
	@$(PYTHON) -m tests.graph_diff $(BASE)

.PHONY: check
check: .venv/.ready ## lint and unit: what a change should pass before it is pushed
	@$(MAKE) --no-print-directory -j2 COVERAGE= lint unit

.PHONY: e2e
e2e: .venv/.ready ## the real engine on the sandbox
	@$(PYTHON) -m sandbox tools
	@$(MAKE) --no-print-directory -j4 sandboxed engine others standins

# Four processes: on the one sandbox; the real engine without it; the stand-ins; the rest. The first takes longest, so it
# goes first where they want the processor at the same time.
.PHONY: sandboxed engine others standins
sandboxed: # always in the same order: its tests change one stack, one after the other
	@$(PYTHON) -m pytest -p no:randomly --durations=15 -q -m '$(CHOSEN) and sandbox' tests/e2e tests/reliability tests/standins
engine:
	@nice -n 3 $(PYTHON) -m pytest -q -m '$(CHOSEN) and not sandbox' tests/reliability
others:
	@nice -n 3 $(PYTHON) -m pytest -q -m '$(CHOSEN) and not sandbox' tests/e2e
standins:
	@nice -n 3 $(PYTHON) -m pytest -q -m '$(CHOSEN) and not sandbox' tests/standins

.PHONY: soak
soak: .venv/.ready ## the tests that take minutes: every example, and more ways out
	@$(PYTHON) -m sandbox tools
	@$(MAKE) --no-print-directory -j4 CHOSEN=soak sandboxed engine others standins
	@$(PYTHON) -m pytest -q --hypothesis-profile soak --hypothesis-show-statistics \
	  tests/unit/config/test_generated_settings.py tests/reliability/test_stateful.py
	@$(PYTHON) -m tests.reliability.sweep --every 3
	@$(PYTHON) -m tests.reliability.sweep --at kubernetes --every 9

.PHONY: sweep
sweep: .venv/.ready ## every cut of up and destroy, with the figures: hours
	@$(PYTHON) -m sandbox tools
	@$(PYTHON) -m tests.reliability.sweep
	@$(PYTHON) -m tests.reliability.sweep --at kubernetes --chain

.PHONY: bench
bench: .venv/.ready ## up of many services against kubectl, an aggregate against single requests, requests during changes and faults
	@$(PYTHON) -m sandbox tools
	@$(PYTHON) -m tests.bench.fleet
	@$(PYTHON) -m tests.bench.aggregation
	@$(PYTHON) -m tests.bench.availability

.PHONY: docs
docs: .venv/.ready ## the reference pages that are generated from the configuration model
	@$(PYTHON) -m docs.generate

.PHONY: pictures
pictures: .venv/.ready ## the pictures of the documentation that need nothing running
	@$(PYTHON) -m tests.pictures

.PHONY: links
links: .venv/.ready ## checks the documentation's links to the web; needs the internet
	@$(PYTHON) -m docs.links | .venv/bin/linkchecker --stdin --recursion-level 0 --no-warnings

.PHONY: lock
lock: .venv/.ready ## the requirements files, with hashes, from their .in files
	@for file in sandbox/toolchain/requirements-go requirements requirements-dev requirements-tools policy/requirements apps/*/requirements; do \
	  (cd $$(dirname $$file) && $(CURDIR)/.venv/bin/uv pip compile -q --universal --generate-hashes --no-header --no-emit-index-url \
	    --python-version 3.11 $$(basename $$file).in -o $$(basename $$file).txt) || exit 1; done

.venv/.ready: requirements.txt requirements-dev.txt requirements-tools.txt
	@python3 -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
	  { echo "python3: not on PATH, too old or without its venv module; allowed: Python 3.11 or newer; fix: apt-get install python3-venv"; exit 1; }
	@echo "Python packages into .venv ..."
	@sandbox/toolchain/download-modules > /dev/null 2>&1 &
	@python3 -m venv .venv
	@.venv/bin/pip install -q --disable-pip-version-check --no-compile --require-hashes -r requirements-tools.txt
# Bytecode at once of what every `up` imports; of the rest Python keeps it as it goes.
	@.venv/bin/uv pip install -q --python $(PYTHON) --require-hashes --compile-bytecode -r requirements.txt
	@.venv/bin/uv pip install -q --python $(PYTHON) --require-hashes -r requirements.txt -r requirements-dev.txt
	@echo "Python packages into .venv: $$(($$(date +%s) - $(STARTED))) s"
	@touch $@
