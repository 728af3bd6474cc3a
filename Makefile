# make demo: serves real models on port 5000.   make test: everything.   make check: the quick part.
SHELL := /bin/bash
VENV := .venv
PY := $(VENV)/bin/python
READY := $(VENV)/.ready
PEERS := .venv-peers
UV = $(or $(shell command -v uv),$(VENV)/bin/uv)
export PYTHONPATH :=

.PHONY: demo serve test check lint bench bench-peers lock clean

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

bench: $(READY)  ## make bench ARGS=--quick: a first look, or ARGS="noop text": some of it
	@$(PY) -m bench $(ARGS)

bench-peers: $(READY) $(PEERS)/.ready  ## other servers beside us; installs some GB
	@$(PY) -m bench.peers $(ARGS)

$(PEERS)/.ready: bench/peers/requirements.txt requirements.lock
	@[ -x $(PEERS)/bin/python ] || $(UV) venv -q --python $(PY) $(PEERS)
	@VIRTUAL_ENV=$(PEERS) $(UV) pip install -q --no-config -r $< -e '.[demo]' \
	  $$(sed -n 's/^\(torch==[^ ;\\]*\).*/\1/p' requirements.lock)
	@touch $@

$(READY): requirements.lock pyproject.toml
	@scripts/setup

lock: $(READY)
	@$(UV) pip compile pyproject.toml --all-extras --universal \
	  --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-config \
	  -q -o requirements.lock

clean:
	rm -rf $(VENV) $(PEERS) .mypy_cache .ruff_cache .pytest_cache .hypothesis
