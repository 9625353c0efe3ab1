# bnrepro: `make help` lists the targets; each takes ARGS="hydra overrides" and SCALE=name.
PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=
SCALE ?=
SYSTEM ?=
EXPERIMENT ?= mnist
OVERRIDES := $(if $(SCALE),scale=$(SCALE)) $(ARGS)
# `ls experiments/` says which there are; the target of `bias_growth` is `bias-growth`
STEMS := $(patsubst experiments/%/__init__.py,%,$(wildcard experiments/*/__init__.py))
TARGETS := $(subst _,-,$(STEMS))
# what the experiments themselves say: those whose section is below 4
MECHANISMS = $(shell awk -F'"' '/^    stem=/ {gsub("_", "-", $$2); stem = $$2} \
  /^    section=/ && $$2 + 0 < 4 {print stem}' experiments/*/__init__.py)
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile
	@echo "\nexperiments, each with figures and a table:"
	@awk -F'"' '/^    stem=/ {gsub("_", "-", $$2); stem = $$2} /^    section=/ {section = $$2} \
	  /^    question=/ {printf "%s\t  make %-17s %-4s %s\n", section, stem, section, $$2}' \
	  experiments/*/__init__.py | sort | cut -f2

LOCKED := $(if $(SYSTEM),--no-deps -r .venv/requirements.txt,-r requirements.lock)
.venv/ready: requirements.lock
	test -x $(PY) || $(PYTHON) -m venv .venv
	$(if $(SYSTEM),$(PYTHON) -m scripts.surroundings .venv)
	if command -v uv >/dev/null; then uv pip install -q --python $(PY) $(LOCKED); \
	else $(PY) -m pip install -q --disable-pip-version-check $(LOCKED); fi
	touch $@

.PHONY: setup
setup: .venv/ready ## make .venv from requirements.lock (6 GB); SYSTEM=1: with the torch of $(PYTHON)

.PHONY: data
data: .venv/ready ## fetch MNIST and Fashion-MNIST into data/
	$(PY) -m scripts.fetch mnist fashion_mnist

.PHONY: $(TARGETS)
$(TARGETS): .venv/ready
	$(PY) -m scripts.run $(subst -,_,$@) $(OVERRIDES)

.PHONY: compare
compare: .venv/ready ## overlay run folders in one figure: RUNS="FOLDER FOLDER …"
	$(PY) -m scripts.compare $(RUNS)

.PHONY: smoke
smoke: .venv/ready ## every experiment end to end in seconds, on synthetic images
	$(PY) -m scripts.smoke $(ARGS)

.PHONY: mechanisms
mechanisms: .venv/ready ## every experiment on Sections 1 to 3, two side by side
	$(MAKE) -j2 $(MECHANISMS) SCALE="$(SCALE)" ARGS="threads=1 jobs=1 $(ARGS)"

.PHONY: publish
publish: .venv/ready ## runs to committed evidence: EXPERIMENT=mnist [SCALE=paper]
	$(PY) -m scripts.publish $(EXPERIMENT) $(OVERRIDES)

.PHONY: figures
figures: .venv/ready ## committed figures and tables drawn anew from the committed rows
	$(PY) -m scripts.figures $(ARGS)

.PHONY: claims
claims: .venv/ready ## every claim of the paper with its verdict; ARGS="mnist fails" chooses
	$(PY) -m scripts.claims $(ARGS)

.PHONY: report
report: .venv/ready ## REPORT.md, a page with all figures, claims.json, the README's numbers
	$(PY) -m scripts.report

.PHONY: dashboard
dashboard: .venv/ready ## a page of training curves; WATCH=1 serves it and follows the runs
	$(PY) -m scripts.dashboard $(if $(WATCH),--watch) $(ARGS)

.PHONY: watch
watch: .venv/ready ## the runs as a live table in the terminal
	$(PY) -m scripts.watch $(ARGS)

.PHONY: export
export: .venv/ready ## a finished run's network as a .safetensors file: RUN=results/runs/…/seed-0
	$(PY) -m scripts.export $(RUN) $(ARGS)

.PHONY: verify
verify: .venv/ready ## does this machine reproduce the committed values? EXPERIMENT=mnist
	$(PY) -m scripts.run $(EXPERIMENT) $(OVERRIDES)
	$(PY) -m scripts.verify $(EXPERIMENT) $(OVERRIDES)

.PHONY: bench
bench: .venv/ready ## this trainer against a plain PyTorch loop, in one run
	$(PY) -m scripts.bench

.PHONY: plan
plan: .venv/ready ## steps, epochs, FLOPs and hours of the Inception arms here: SCALE=paper
	$(PY) -m scripts.plan $(OVERRIDES)

.PHONY: wandb-view
wandb-view: .venv/ready ## offline W&B runs as charts in the terminal
	$(PY) -m scripts.wandb_runs view

.PHONY: wandb-sync
wandb-sync: .venv/ready ## upload offline W&B runs
	$(PY) -m scripts.wandb_runs sync

.PHONY: lint
lint: .venv/ready ## ruff and mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

.PHONY: test pytest
test: .venv/ready ## lint and the tests on all cores; more of the same: PYTEST="-m thorough"
	$(MAKE) --no-print-directory -j2 lint pytest
pytest:
	OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 8 --dist loadfile $(PYTEST)

.PHONY: lock
lock: ## pin requirements.lock anew (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --all-extras \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## remove caches; runs, data and the environment stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +
