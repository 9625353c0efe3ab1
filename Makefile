# bnrepro: `make help` lists the targets; each takes ARGS="hydra overrides" and SCALE=name.
PYTHON ?= python3
PY := .venv/bin/python
ARGS ?=
SCALE ?=
EXPERIMENT ?= mnist
OVERRIDES := $(if $(SCALE),scale=$(SCALE)) $(ARGS)
# every arm, unless ARGS names one; a sweep has none
ARMS = $(if $(findstring variant=,$(ARGS)),,$(patsubst %,variant=%,$(shell ls configs/$(1)/variant 2>/dev/null | sed 's/\.yaml//' | paste -sd,)))
# Side by side: two arms at a time, the cores shared out. It pays where arms are many; progress is
# then lines instead of bars.
CORES := $(shell getconf _NPROCESSORS_ONLN)
SIDE_BY_SIDE = $(if $(findstring variant=,$(ARGS)),,hydra/launcher=joblib hydra.launcher.n_jobs=2 \
  threads=$(shell expr \( $(CORES) + 1 \) / 2))
LINES := TTY_COMPATIBLE=0
.DEFAULT_GOAL := help

.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  make %-17s %s\n", $$1, $$2}' Makefile

.venv/ready: requirements.lock
	test -x $(PY) || $(PYTHON) -m venv .venv
	if command -v uv >/dev/null; then uv pip install -q --python $(PY) -r requirements.lock; \
	else $(PY) -m pip install -q --disable-pip-version-check -r requirements.lock; fi
	touch $@

.PHONY: setup
setup: .venv/ready ## make .venv and install requirements.lock (about 6 GB of disk)

.PHONY: data
data: .venv/ready ## fetch MNIST and Fashion-MNIST into data/
	$(PY) -m scripts.fetch mnist fashion_mnist

.PHONY: mnist
mnist: .venv/ready ## Figure 1: every arm over five seeds, then figure and table
	$(PY) -m experiments.mnist -m $(call ARMS,mnist) $(OVERRIDES)
	$(PY) -m scripts.render mnist $(OVERRIDES)

.PHONY: mnist-grid
mnist-grid: .venv/ready ## the search for rate and initial std that Figure 1 stands on
	$(LINES) $(PY) -m experiments.mnist_grid -m $(call ARMS,mnist_grid) $(SIDE_BY_SIDE) $(OVERRIDES)
	$(PY) -m scripts.render mnist_grid $(OVERRIDES)

.PHONY: inference
inference: .venv/ready ## Section 3.1: population, moving and batch statistics at test time
	$(PY) -m experiments.inference $(OVERRIDES)
	$(PY) -m scripts.render inference $(OVERRIDES)

.PHONY: placement
placement: .venv/ready ## Section 3.2: BN before or after the nonlinearity, and in convolutions
	$(PY) -m experiments.placement $(OVERRIDES)
	$(PY) -m scripts.render placement $(OVERRIDES)

.PHONY: jacobian
jacobian: .venv/ready ## Section 3.3: singular values of layer Jacobians with and without BN
	$(PY) -m experiments.jacobian $(OVERRIDES)
	$(PY) -m scripts.render jacobian $(OVERRIDES)

.PHONY: whitening
whitening: .venv/ready ## Section 2: full whitening against BN, per step, per second, by width
	$(PY) -m experiments.whitening $(OVERRIDES)
	$(PY) -m scripts.render whitening $(OVERRIDES)

.PHONY: bias-growth
bias-growth: .venv/ready ## Section 2: normalisation outside the gradient step
	$(PY) -m experiments.bias_growth $(OVERRIDES)
	$(PY) -m scripts.render bias_growth $(OVERRIDES)

.PHONY: scale-invariance
scale-invariance: .venv/ready ## Section 3.3: the scale of the weights
	$(PY) -m experiments.scale_invariance $(OVERRIDES)
	$(PY) -m scripts.render scale_invariance $(OVERRIDES)

.PHONY: inception
inception: .venv/ready ## Figures 2, 3: the Inception arms and controls of a scale (default small)
	$(LINES) $(PY) -m experiments.inception -m $(call ARMS,inception) $(SIDE_BY_SIDE) $(OVERRIDES)
	$(PY) -m scripts.render inception $(OVERRIDES)

.PHONY: inception-grid
inception-grid: .venv/ready ## the search for base rate and decay speed that Figure 2 stands on
	$(LINES) $(PY) -m experiments.inception_grid -m $(if $(findstring variant=,$(ARGS)),,variant=rate,fast,multiplier) $(OVERRIDES)
	$(PY) -m scripts.render inception_grid $(OVERRIDES)

.PHONY: smoke
smoke: .venv/ready ## everything end to end in seconds, on synthetic images
	$(MAKE) -j2 mnist mnist-grid inception inception-grid inference placement jacobian whitening bias-growth scale-invariance SCALE=smoke ARGS="wandb.mode=disabled $(ARGS)"

.PHONY: publish
publish: .venv/ready ## runs to committed evidence: EXPERIMENT=mnist [SCALE=paper]
	$(PY) -m scripts.publish $(EXPERIMENT) $(OVERRIDES)

.PHONY: figures
figures: .venv/ready ## committed figures and tables drawn anew from the committed rows
	$(PY) -m scripts.figures $(ARGS)

.PHONY: report
report: .venv/ready ## results/REPORT.md, claims.json and the README's numbers from the evidence
	$(PY) -m scripts.report

.PHONY: verify
verify: .venv/ready ## does this machine reproduce the committed values? EXPERIMENT=mnist
	$(PY) -m experiments.$(EXPERIMENT) $(if $(wildcard configs/$(EXPERIMENT)/variant),-m $(call ARMS,$(EXPERIMENT))) $(if $(filter inception,$(EXPERIMENT)),$(SIDE_BY_SIDE)) $(OVERRIDES)
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

.PHONY: test
test: lint ## lint, then all tests; no network needed
	$(PY) -m pytest $(PYTEST)

.PHONY: lock
lock: ## pin requirements.lock anew (needs uv)
	uv pip compile -q --universal --generate-hashes --python-version 3.11 --all-extras \
	  --custom-compile-command "make lock" pyproject.toml -o requirements.lock

.PHONY: clean
clean: ## remove caches; runs, data and the environment stay
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.venv/*' -exec rm -rf {} +
