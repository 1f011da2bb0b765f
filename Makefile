# make run      the product with its demonstration, from nothing but Python; ARGS="--port 8080" and the like go to `manage.py up`
# make venv     the virtual environment, from the hashed lock
# make test     the suite on SQLite, then on PostgreSQL where one answers or can be started
# make lint     style, types, imports, migrations, deployment checks
# make browser  the journeys in a real browser, on SQLite
# make soak     the long suites, whole, and the journeys, on both databases
# make format   rewrite the files in the house's style
# make assets   fetch the charting library once more
# make lock     solve requirements/*.in anew (UPGRADE=--upgrade takes newer versions)

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := test
.PHONY: run assets venv test test-sqlite test-postgres browser lint style types imports migrations deployment soak soak-sqlite soak-postgres lock format clean

SUITABLE := import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	if $$python -c '$(SUITABLE)' 2>/dev/null; then echo $$python; break; fi; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
WORKERS ?= 2
# The tests of a file share a worker, and so what the file has started: a product, a browser.
PYTEST := $(BIN)/python -m tests.suite --dist loadfile --no-loadscope-reorder
ARGS ?=

# The tests choose their database themselves, whatever the shell they are started from has set.
# What they compile is kept: most of them start processes, and PostgreSQL tries the same modules after SQLite.
ON_SQLITE := env -u DATABASE_URL -u DATABASE_URL_FILE -u DATABASE_ROLE -u PYTHONDONTWRITEBYTECODE SIGNALIST_ENV=development
ON_POSTGRES := $(ON_SQLITE) $(BIN)/python -m tests.throwaway_postgres --

venv: $(STAMP)

# Running takes less than testing does; where all of it is installed, that will do.
READY := $(if $(wildcard $(STAMP)),$(STAMP),$(VENV)/.installed-to-run)
ASSETS := var/.assets-tried

run: $(READY) $(ASSETS)
	@exec $(BIN)/python manage.py up --demo $(ARGS)

$(VENV)/.installed-to-run: requirements/base.txt
	@test -n "$(PYTHON)" || { echo "Signalist needs Python 3.11 or newer with the venv module; set PYTHON to one." >&2; exit 1; }
	@echo "Installing what Signalist needs into $(VENV)."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/base.txt
	@touch $@

# It is tried once and not at every start: where there is no network, the pages do without.
$(ASSETS): package-lock.json requirements/assets.txt | $(READY)
	@command -v npm >/dev/null || $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/assets.txt || true
	@$(BIN)/python manage.py assets || true
	@mkdir -p $(@D) && touch $@

assets:
	@rm -f $(ASSETS)
	@$(MAKE) --no-print-directory $(ASSETS)

$(STAMP): requirements/dev.txt
	@test -n "$(PYTHON)" || { echo "Signalist needs Python 3.11 or newer with the venv module; set PYTHON to one." >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

# Both databases are tried, even where the first one fails.
test: $(STAMP)
	@failed=0; \
	$(MAKE) --no-print-directory test-sqlite || failed=1; \
	reached=0; $(ON_POSTGRES) true || reached=$$?; \
	if [ $$reached -eq 0 ]; then \
		$(MAKE) --no-print-directory test-postgres || failed=1; \
	elif [ $$reached -eq 3 ] && [ "$${SIGNALIST_NO_SKIPS:-}" != 1 ]; then \
		echo "== PostgreSQL LEFT OUT, for the reason above: what was tested was tested on SQLite only."; \
	else \
		echo "== PostgreSQL could not be had, and nothing may be left out here." >&2; failed=1; \
	fi; \
	exit $$failed

test-sqlite: $(STAMP)
	@echo "== SQLite"
	$(ON_SQLITE) $(PYTEST) -n $(WORKERS) $(ARGS)

test-postgres: $(STAMP)
	@echo "== PostgreSQL"
	$(ON_POSTGRES) $(PYTEST) -n $(WORKERS) $(ARGS)

browser: $(STAMP)
	@echo "== In a browser"
	$(ON_SQLITE) $(PYTEST) -n $(WORKERS) -m browser $(ARGS)

soak: soak-sqlite soak-postgres

# pytest's status 5 says that there is no long suite yet.
soak-sqlite: $(STAMP)
	$(ON_SQLITE) $(PYTEST) -m "soak or browser" $(ARGS) || [ $$? -eq 5 ]

soak-postgres: $(STAMP)
	$(ON_POSTGRES) $(PYTEST) -m "soak or browser" $(ARGS) || [ $$? -eq 5 ]

lint: style types imports migrations deployment

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(ON_SQLITE) $(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports

migrations: $(STAMP)
	$(ON_SQLITE) $(BIN)/python manage.py makemigrations --check --dry-run

# As in production, with secrets made for the moment.
deployment: $(STAMP)
	@$(ON_SQLITE) SIGNALIST_ENV=production SIGNALIST_HOSTS=signalist.example \
		SECRET_KEY="$$($(BIN)/python -c 'from signalist.environment import *; print(new_signing_secret())')" \
		CREDENTIAL_KEYS="$$($(BIN)/python -c 'from signalist.environment import *; print(new_keyring())')" \
		$(BIN)/python manage.py check --deploy --fail-level WARNING

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

LOCK := var/lock-tool
lock:
	test -x $(LOCK)/bin/uv || { $(PYTHON) -m venv $(LOCK) && $(LOCK)/bin/pip install --quiet uv; }
	for name in base dev assets bench; do \
		$(LOCK)/bin/uv --no-config pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
			--no-emit-index-url --no-emit-find-links $(UPGRADE) --custom-compile-command \
			"uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --no-emit-index-url requirements/$$name.in -o requirements/$$name.txt   (or: make lock)" \
			requirements/$$name.in -o requirements/$$name.txt; \
	done

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
