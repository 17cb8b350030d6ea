# Everything from nothing: `make demo`, then `make test`.
VENV := .venv
PYTHON := $(VENV)/bin/python
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK = 1
export TAG

FAMILIES := mean min-max choice-small choice-large \
	min-max-compact choice-large-compact min-max-gaussian min-max-cgd
# Where their runs are stored, with those of the tuned rules.
STORED := held_out held_out_25 meta_training
# Tests that stand together share what they set up and compile.
WORKERS := -n auto --dist worksteal

.PHONY: help install demo test test-tensorflow test-jax test-quick test-torch \
	test-lowest test-newest release-check lint format fashion-mnist \
	magnitudes results benchmark benchmark-quick clean docs docs-serve docs-links \
	general $(FAMILIES) choice-small-base choice-large-base

help:
	@echo "make demo           train with a learned optimizer, distil a small one"
	@echo "make test           lint, import layers, types, tests on TensorFlow and JAX"
	@echo "make test-quick     tests of two minutes, on \$$KERAS_BACKEND or TensorFlow"
	@echo "make test-torch     the backend tests on torch"
	@echo "make test-lowest    the tests on the lowest versions that setup.cfg allows"
	@echo "make test-newest    the tests on the newest versions there are"
	@echo "make release-check  build a release, install it elsewhere, try it"
	@echo "make docs           the documentation, in docs/_build/html; its guides run"
	@echo "make docs-serve     the same, and serves it on http://localhost:8000"
	@echo "make docs-links     follows its links to other sites"
	@echo "make install        the environment alone, in $(VENV)"
	@echo "make fashion-mnist  Fashion-MNIST, from Debian's package"
	@echo "make FAMILY         distil the family FAMILY again, about an hour:"
	@echo "                    $(FAMILIES)"
	@echo "make general        search for the family general again, about an hour"
	@echo "make magnitudes     search for the perturbations of min-max-gaussian, -cgd"
	@echo "make results        tables of the families, from the stored runs"
	@echo "make benchmark      all of benchmarks/, for a machine at rest"
	@echo "make format         format and mend what can be mended"

install: $(VENV)/installed

$(VENV)/bin/pip:
	@python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or later is needed."; exit 1; }
	@python3 -m venv $(VENV) || { rm -rf $(VENV); \
		echo "python3 has no venv here; installing python3-venv."; \
		apt-get update -q && apt-get install -y -q python3-venv && \
		python3 -m venv $(VENV); }

$(VENV)/installed: $(VENV)/bin/pip setup.cfg constraints.txt
	$(PYTHON) -m pip install -q -c constraints.txt -e '.[dev]'
	@touch $@

$(VENV)/installed-torch: $(VENV)/installed
	$(PYTHON) -m pip install -q -c constraints.txt -e '.[torch]'
	@touch $@

$(VENV)/installed-docs: $(VENV)/installed
	$(PYTHON) -m pip install -q -c constraints.txt -e '.[docs]'
	@touch $@

demo: install
	$(VENV)/bin/keras-l2o demo

test: lint test-tensorflow test-jax

test-tensorflow: install
	KERAS_BACKEND=tensorflow $(PYTHON) -m pytest $(WORKERS)

test-jax: install
	KERAS_BACKEND=jax $(PYTHON) -m pytest $(WORKERS) -m backend

test-quick: install
	$(PYTHON) -m pytest $(WORKERS) -m quick

test-torch: $(VENV)/installed-torch
	KERAS_BACKEND=torch $(PYTHON) -m pytest $(WORKERS) -m backend

# The two ends of what the metadata allow, each in an environment of its own.
.venv-lowest/installed: setup.cfg tools/lowest.py
	python3 -m venv --clear .venv-lowest
	python3 tools/lowest.py > .venv-lowest/constraints.txt
	.venv-lowest/bin/python -m pip install -q \
		-c .venv-lowest/constraints.txt -e '.[dev]'
	@touch $@

.venv-newest/installed: setup.cfg
	python3 -m venv --clear .venv-newest
	.venv-newest/bin/python -m pip install -q -e '.[dev]'
	@touch $@

test-lowest test-newest: test-%: .venv-%/installed
	KERAS_BACKEND=tensorflow .venv-$*/bin/python -m pytest $(WORKERS)
	KERAS_BACKEND=jax .venv-$*/bin/python -m pytest $(WORKERS) -m backend

# Both files of a release, checked as their users get them; TAG is its name.
.venv-release/installed:
	python3 -m venv --clear .venv-release
	.venv-release/bin/python -m pip install -q 'build>=1.6.1' 'twine>=7.0.0'
	@touch $@

release-check: install .venv-release/installed
	rm -rf dist
	.venv-release/bin/python -m build --outdir dist
	.venv-release/bin/python -m twine check --strict dist/*
	$(PYTHON) tools/release_check.py dist --tag "$$TAG"

# Warnings are errors. DOCS_EXECUTION=off leaves the guides' code alone.
SPHINX := $(PYTHON) -m sphinx -j 2 -q -W --keep-going docs docs/_build

docs: $(VENV)/installed-docs
	$(SPHINX)/html -b html
	$(PYTHON) tools/site_links.py docs/_build/html
	@echo "docs/_build/html/index.html"

docs-serve: docs
	$(PYTHON) -m http.server 8000 --bind localhost -d docs/_build/html

docs-links: $(VENV)/installed-docs
	DOCS_EXECUTION=off $(SPHINX)/links -b linkcheck

lint: install
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/lint-imports
	$(VENV)/bin/mypy
	$(PYTHON) tools/check_docs.py

format: install
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/lint-imports

fashion-mnist: install
	@mkdir -p .data
	cd .data && apt-get download -q dataset-fashion-mnist && \
		dpkg -x dataset-fashion-mnist_*.deb .
	$(VENV)/bin/keras-l2o prepare fashion_mnist \
		--source .data/usr/share/datasets/fashion-mnist

# A family of eight, from nothing; stopped, the same command goes on.
mean: PRESETS = mean,recurrent
min-max: PRESETS = min_max,recurrent
choice-small: PRESETS = choice_small,recurrent
choice-large: PRESETS = choice_large,recurrent
min-max-compact: PRESETS = min_max,compact
choice-large-compact: PRESETS = choice_large,compact_narrow
# Magnitudes that `make magnitudes` found.
min-max-gaussian: PRESETS = min_max,compact_narrow,gaussian
min-max-gaussian: FIELDS = --policy/perturbation/config/noise_stddev=0.0015
min-max-cgd: PRESETS = min_max,compact_narrow,cgd
min-max-cgd: FIELDS = --policy/perturbation/config/magnitude=0.0014
choice-small: choice-small-base
choice-large choice-large-compact: choice-large-base

$(FAMILIES): install
	KERAS_BACKEND=jax $(VENV)/bin/keras-l2o train \
		--presets=release,$(PRESETS) --directory=results/$@ $(FIELDS)
	$(VENV)/bin/keras-l2o package results/$@ keras_l2o/pre-trained/$@ --overwrite

choice-small-base choice-large-base: %-base: install
	KERAS_BACKEND=jax $(VENV)/bin/keras-l2o train \
		--presets=release,$(subst -,_,$@) --directory=results/$*/base

# Searches instead of distillation, from the numbers in the package.
general: install
	KERAS_BACKEND=jax $(PYTHON) -m benchmarks.evolution results/evolution \
		--seeds 1 2 3 4 5 6 7 8 --generations 6 --seconds 20 --spread 0.25 \
		--package keras_l2o/pre-trained/general

magnitudes: install
	KERAS_BACKEND=jax $(VENV)/bin/keras-l2o tune \
		--presets=release,min_max,compact_narrow --kinds=gaussian,cgd \
		--steps=1 --replicates=2 --trials=9 --directory=results/magnitudes \
		--strategy/num_periods=3 \
		--optimizer/config/learning_rate/config/decay_steps=60

results: install
	for stored in $(STORED); do \
		$(VENV)/bin/keras-l2o results --directory=$$stored && \
		$(VENV)/bin/keras-l2o plot distances $$stored \
			--output=$$stored/distances.png || exit 1; \
	done
	$(PYTHON) -m benchmarks.unseen.table

benchmark: install
	$(PYTHON) benchmarks/start_up.py
	$(PYTHON) benchmarks/update_step.py
	KERAS_BACKEND=jax $(PYTHON) benchmarks/update_step.py
	for backend in tensorflow jax; do \
		KERAS_BACKEND=$$backend $(PYTHON) benchmarks/training_step.py || exit 1; \
	done
	$(PYTHON) benchmarks/update_memory.py
	$(PYTHON) benchmarks/bad_gradients.py
	$(PYTHON) benchmarks/outer_step.py --tasks 1 4
	$(PYTHON) benchmarks/outer_memory.py
	$(PYTHON) benchmarks/distil.py
	$(PYTHON) benchmarks/convolutions.py
	$(PYTHON) benchmarks/replicates.py
	$(PYTHON) benchmarks/evaluate.py
	KERAS_BACKEND=jax $(PYTHON) benchmarks/estimators.py

# The ratios that must not get worse, beside the last ones and their limits.
benchmark-quick: install
	$(PYTHON) -m benchmarks.quick

clean:
	rm -rf $(VENV) .venv-lowest .venv-newest .venv-release .data build dist \
		*.egg-info docs/_build docs/generated
