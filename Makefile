# grym: everything a person or a machine runs. `make demo` first.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed
WEIGHTS := $(VENV)/.weights
BENCH_STAMP := $(VENV)/.installed-bench
SEED   ?= 1
SEEDS   ?= 100,101,102,103
PRESETS ?= easy,medium,hard

# One torch and BLAS thread a process: more only makes threads wait for one another.
export OMP_NUM_THREADS = 1
export OMP_WAIT_POLICY = PASSIVE

.PHONY: help install demo test sound sounds check bench bench-discovery clean
.DEFAULT_GOAL := help

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 17

install: $(WEIGHTS)  ## the environment in .venv, with the default model's weights

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 13) else f"grym needs Python 3.11 or 3.12, this is {v[0]}.{v[1]}: make install PYTHON=python3.11")'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "no venv module: install it (Debian: apt-get install python3-venv)"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@

$(WEIGHTS): $(STAMP)
	$(BIN)/grym models pull aisfx
	@touch $@

demo: install  ## a scene of five minutes: what recurs in it, how it relates, what was found
	$(BIN)/grym demo --seed $(SEED)

test: sound install  ## every test, with coverage
	$(BIN)/python -m pytest -n 2 --cov --cov-report=term:skip-covered --cov-fail-under=90

sound:
	@command -v pulseaudio >/dev/null && command -v paplay >/dev/null \
	  && ls /usr/lib*/*/alsa-lib/libasound_module_pcm_pulse.so /usr/lib*/alsa-lib/libasound_module_pcm_pulse.so 2>/dev/null | grep -q . \
	  && $(PYTHON) -c 'import ctypes.util, sys; sys.exit(ctypes.util.find_library("portaudio") is None)' \
	  || { echo "the tests capture a virtual microphone and need: apt-get install -y --no-install-recommends libportaudio2 pulseaudio pulseaudio-utils libasound2-plugins"; exit 1; }

check: install  ## style, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q --no-cov tests/test_architecture.py

bench: install  ## the figures of the README, as ratios measured in one run
	$(BIN)/python -m bench.flow
	$(BIN)/python -m bench.ingest
	$(BIN)/python -m bench.models
	$(BIN)/python -m bench.models --flow

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[bench]'
	@touch $@

bench-discovery: install $(BENCH_STAMP)  ## what recurs, against other ways (SEEDS=100,... PRESETS=easy,...); needs `make sounds`
	$(BIN)/python -m bench.discovery --seeds $(SEEDS) --presets $(PRESETS)

sounds: install  ## real sounds for bench.retrieval and bench-discovery, from Debian's sound packages (68 MB)
	$(BIN)/python -m bench.sounds

clean:  ## remove the environment and what tools left behind
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .coverage*
