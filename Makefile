# Two commands from a fresh clone: `make demo` and `make test`.

PYTHON ?= python3
VENV ?= .venv
# Asked for by name first: an unpinned torch brings gigabytes of CUDA packages.
TORCH ?= torch==2.13.0

.PHONY: demo test quick lint clean

demo: $(VENV)/core
	$(VENV)/bin/linnet classify examples/reads.fasta

test: lint
	$(VENV)/bin/pytest

quick: $(VENV)/dev
	$(VENV)/bin/pytest -m "not slow"

lint: $(VENV)/dev
	$(VENV)/bin/ruff check src tests benchmarks recipes examples
	$(VENV)/bin/mypy

$(VENV)/core: pyproject.toml
	test -x $(VENV)/bin/python || $(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/dev: $(VENV)/core
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(TORCH)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -e ".[train,tune,fast,report,bam,proteins,benchmark,dev]"
	touch $@

clean:
	rm -rf $(VENV)
