# make demo: serves real models on port 5000.   make test: everything.   make check: the quick part.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
export PYTHONPATH :=

.PHONY: demo serve test check lint bench lock clean

demo: $(READY)
	@$(PY) -m mothlight.demo

serve: $(READY)  ## make serve APP=examples/sentiment.py:Sentiment
	@$(VENV)/bin/mothlight serve $(or $(APP),examples/sentiment.py:Sentiment)

test: $(READY)
	@scripts/test

check: $(READY)
	@scripts/test quick

lint: $(READY)
	@scripts/test lint

bench: $(READY)
	@$(PY) -m bench

$(READY): requirements.lock pyproject.toml
	@scripts/setup

lock: $(READY)
	@$(or $(shell command -v uv),$(VENV)/bin/uv) pip compile pyproject.toml --all-extras --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-config \
	  -q -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
