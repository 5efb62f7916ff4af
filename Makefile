# Two commands, each complete on a machine with Python 3.11 or later and make:
#   make demo   install, run the main job, say where page, pictures and tables are
#   make test   install the test extra, run every check
# A CPU-only torch: make test PIP_ARGS="--extra-index-url ..." (see README, Install).

PYTHON   ?= python3
PIP_ARGS ?=
OUT      ?= out/demo
SITE     ?= out/site
WORKERS  ?= 2

VENV := .venv
BIN  := $(VENV)/bin
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(PIP_ARGS)
DEMO_PATTERNS := --pattern dense --pattern gs:16,1 --pattern unstructured --pattern block:1x16
DEMO_SPARSITIES := --sparsity 0.7 --sparsity 0.8 --sparsity 0.9

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow bench pictures notebook site clean

help:
	@echo "make demo       run the main job on the built-in models digits and resnet50; results in $(OUT)"
	@echo "make test       format, lint, types, import contracts and the tests, but for the slow ones"
	@echo "make test-slow  the slow tests"
	@echo "make bench      the benchmarks"
	@echo "make site       the documentation as a site, in $(SITE)"
	@echo "make pictures   remake the pictures of README.md"
	@echo "make notebook   run examples/notebook.ipynb again and save what it shows"
	@echo "make clean      remove $(VENV), results and caches"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "$(PYTHON) is missing or older than 3.11; name another: make PYTHON=/path/to/python3.11 ..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) has no venv module; install it (on Debian and Ubuntu: the package python3-venv)" >&2; exit 1; }
	@echo "creating $(VENV)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing gatherline"
	@$(PIP_INSTALL) -e .
	@touch $@

$(VENV)/.test-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing gatherline and its test extra"
	@$(PIP_INSTALL) -e '.[test]'
	@touch $@ $(VENV)/.demo-installed

$(VENV)/.docs-installed: pyproject.toml constraints.txt | $(BIN)/python
	@echo "installing gatherline and its docs extra"
	@$(PIP_INSTALL) -e '.[docs]'
	@touch $@ $(VENV)/.demo-installed

demo: $(VENV)/.demo-installed
	@echo "== digits: a trained network, conv2 and conv3 already pruned to GS(16,1) at 90 %, beside dense =="
	@$(BIN)/simulate inspect digits
	@$(BIN)/simulate run digits --pattern dense --pattern gs:16,1 --out $(OUT)/digits
	@echo "== resnet50: three patterns beside dense, three sparsities =="
	@$(BIN)/simulate run resnet50 $(DEMO_PATTERNS) $(DEMO_SPARSITIES) --out $(OUT)/resnet50
	@echo
	@$(BIN)/simulate report $(OUT)/digits
	@$(BIN)/simulate report $(OUT)/resnet50
	@echo "Open first, in a browser: $(OUT)/resnet50/report.html"
	@echo "Pictures:"
	@ls -1 $(OUT)/*/*.png | sed 's/^/  /'
	@echo "Tables:"
	@ls -1 $(OUT)/*/rows.csv $(OUT)/*/rows.sqlite | sed 's/^/  /'
	@echo "What the columns mean, and how to run your own model: README.md"

# fails on any broken link; the variable silences a notice of the theme about its successor
site: $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --site-dir "$(abspath $(SITE))"
	@echo "open $(SITE)/index.html"

test: $(VENV)/.test-installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n $(WORKERS) -m "not slow"

# pytest leaves with 5 when no test is selected
test-slow: $(VENV)/.test-installed
	$(BIN)/python -m pytest -n $(WORKERS) -m slow || [ $$? -eq 5 ]

bench: $(VENV)/.test-installed
	@for file in $(wildcard benchmarks/*.py); do echo "== $$file"; $(BIN)/python "$$file" || exit 1; done

# what README.md shows; run it after a model change; the pages are photographed in the system's Chromium
pictures: demo $(VENV)/.test-installed
	cp $(OUT)/resnet50/heatmap-gs-tcm.png docs/images/resnet50-heatmap-gs-tcm.png
	$(BIN)/python docs/draw_report.py

notebook: $(VENV)/.test-installed
	$(BIN)/python docs/make_notebook.py

clean:
	rm -rf $(VENV) out build tests/rtl/.build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
