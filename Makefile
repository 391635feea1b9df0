# `make api` runs the service and `make test` runs the tests; both set up everything they need.
.PHONY: help api test test-interop test-long test-all lint check setup data train bench bench-judge bench-ray lock
.DEFAULT_GOAL := help

# uv from the PATH; where it is missing, a copy of our own in .uv/.
UV := $(shell command -v uv 2>/dev/null || echo $(CURDIR)/.uv/bin/uv)
# For people without uv: pip install -r requirements.txt in segmentation/.
EXTRAS := serve judge plot openvino volume report
EXPORT := $(UV) export --quiet --package mipseg $(addprefix --extra ,$(EXTRAS)) --no-dev --no-hashes --no-emit-workspace --no-header --no-annotate
RUN := $(UV) run --all-packages --inexact

help:  ## show the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*##/\t/'

$(CURDIR)/.uv/bin/uv:
	python3 -m venv .uv
	.uv/bin/pip install --quiet uv

setup: $(filter $(CURDIR)/%,$(UV))  ## make the environment (.venv)
	$(UV) sync --all-packages --inexact --quiet

api: setup  ## the service on http://localhost:8000
	$(UV) run --package mipserve --inexact api

test: setup  ## the tests, but for those that take long
	$(RUN) pytest -n 2 --dist loadfile -m "not long and not alone"
	$(RUN) pytest -m "alone and not long"

test-interop: setup  ## the clients, starter kits and pages that others wrote
	$(RUN) pytest -m interop

test-long: setup  ## the tests that take long, one after another: many measure time and memory
	$(RUN) pytest -m long

test-all: test test-long  ## every test

lint: setup  ## format, lint, types, the direction of imports, and that lock and requirements are fresh
	$(UV) lock --check
	@{ echo '-e .'; $(EXPORT); } | diff - segmentation/requirements.txt || { echo "stale: run make lock"; exit 1; }
	$(RUN) ruff format --check
	$(RUN) ruff check
	$(RUN) mypy
	$(RUN) lint-imports --no-cache

check: lint test-all  ## what has to hold before a change lands

lock: setup  ## refresh uv.lock and segmentation/requirements.txt
	$(UV) lock
	@{ echo '-e .'; $(EXPORT); } > segmentation/requirements.txt

data: setup  ## put the data set in place: make data FROM=<folder of the organisers' repository>
	@test -n "$(FROM)" || { echo "usage: make data FROM=<folder of the organisers' repository>"; exit 2; }
	$(RUN) python -m mipseg.io.dataset "$(FROM)"

# A step frees and takes hundreds of MB; told to keep them, the C library saves a tenth of the time on Linux.
train: setup  ## train, evaluate and export the model, JOBS networks at once; goes on where it stopped
	$(UV) sync --all-packages --inexact --quiet --extra train
	MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8589934592 $(RUN) python -m mipseg.training run $(if $(JOBS),--jobs $(JOBS))

bench: setup  ## latency, throughput, memory and start-up through HTTP; a whole-body volume step by step
	$(RUN) python bench/http_bench.py
	$(RUN) python bench/volume_speed.py

bench-judge: setup  ## the judge's time per image, against an instant endpoint and the real service, and 20 teams at once
	$(RUN) python -m bench.judge_bench

bench-ray: setup  ## what an archive costs on a Ray cluster of one and of two nodes, and what its driver can take
	$(UV) sync --all-packages --inexact --quiet --extra ray
	$(RUN) python -m bench.ray_bench
