# `make demo` and `make test` are all that a fresh machine needs: Python 3.11 with pip, and make.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: test check demo test-deep test-floor fuzz bench bench-scaling bench-backfill clean

test: .venv/ready
	$(BIN)/python -m pytest

check: .venv/ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

demo: .venv/demo-ready
	$(BIN)/rekindle demo

# Thousands of examples for every law of the chain, and hundreds of killed writers.
test-deep: .venv/ready
	REKINDLE_HYPOTHESIS_PROFILE=deep REKINDLE_KILLS=300 \
		$(BIN)/python -m pytest tests/property tests/contract/test_crashes.py --timeout 3600

# The suite on the oldest releases that pyproject.toml admits.
test-floor: .venv-floor/ready
	.venv-floor/bin/python -m pytest tests/unit tests/contract tests/migrations

# `make fuzz FUZZ_SECONDS=1800 HARNESSES=codec_of_rows`: so long for each of them.
HARNESSES ?= codec_of_rows documents_in_sources lines realm_of_files realm_of_a_database cursors secrets
FUZZ_SECONDS ?= 60

fuzz: .venv-fuzz/ready
	for harness in $(HARNESSES); do \
		.venv-fuzz/bin/python tests/fuzz/fuzz.py $$harness --seconds $(FUZZ_SECONDS) || exit 1; done

.venv-fuzz/ready: pyproject.toml
	$(PYTHON) -m venv .venv-fuzz
	.venv-fuzz/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-fuzz/bin/python -m pip install --quiet --editable . --group fuzz
	touch $@

# Against the bare drivers, and against the peers that bench/requirements.txt names. BENCH=--quick for a first look;
# `BENCH='--directory /mnt/disk'` says where the SQLite files are made.
bench: .venv-bench/ready
	.venv-bench/bin/python -m bench --output bench/results.md --plot docs/benchmarks.svg $(BENCH)

# A huge table beside a small one: `make bench-scaling ROWS=10000000 BENCH='--directory /var/tmp'`, about 2.3 KB a row.
bench-scaling: .venv-bench/ready
	.venv-bench/bin/python -m bench.scaling --rows $(or $(ROWS),10000000) --output bench/scaling.md $(BENCH)

.venv-bench/ready: bench/requirements.txt pyproject.toml
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-bench/bin/python -m pip install --quiet --editable . --requirement bench/requirements.txt
	touch $@

# On every engine: `make bench-backfill ROWS=1000000 BENCH='--output tables.md'`.
bench-backfill: .venv/ready
	$(BIN)/python -m bench.backfill --rows $(or $(ROWS),1000000) $(BENCH)

.venv/bin/python:
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'

.venv/demo-ready: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

.venv/ready: pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --quiet --editable '.[postgresql,mariadb-asyncio]' --group test --group check
	touch $@ .venv/demo-ready

.venv-floor/ready: pyproject.toml tests/floor.txt
	$(PYTHON) -m venv .venv-floor
	.venv-floor/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	.venv-floor/bin/python -m pip install --quiet --editable '.[postgresql,mariadb-asyncio]' --group test \
		--constraint tests/floor.txt
	touch $@

clean:
	rm -rf .venv .venv-floor .venv-bench .venv-fuzz .fuzz .hypothesis .pytest_cache .mypy_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
