# Two commands for everybody: `make book` and `make test`.
PYTHON ?= python3
VENV ?= .venv
BIN := $(abspath $(VENV))/bin
HTML := book/_build/html
NOTEBOOKS := $(wildcard book/*.ipynb)
# Chapters and tests side by side; each process keeps to one thread.
export OMP_NUM_THREADS ?= 1

.PHONY: help install book test check gpu paper lab notebooks benchmarks hooks clean

help:  ## list what can be made
	@grep -hE '^[a-z ]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

install: $(VENV)/installed  ## make the virtual environment with the pinned packages

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[test]'
	touch $@

book: install  ## execute all chapters and build the HTML
	$(BIN)/jupyter-book build book/
	@echo "Open $(abspath $(HTML))/index.html"

check: install  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: check book  ## style, types, the book, its pages in a browser, all tests, nbval
	SPECTRAL_BUILT_BOOK=$(abspath $(HTML)) $(BIN)/pytest tests -n 2 --dist loadfile
	$(BIN)/pytest --nbval-lax --nbval-current-env --nbval-cell-timeout 600 \
	  -p no:cacheprovider -n 2 --dist loadfile $(NOTEBOOKS)

# For instance: make gpu CHAPTER=derivative_operator DATA_ROOT=/data
gpu paper: install  ## run CHAPTER=... at this profile and record its results
	@test -n "$(CHAPTER)" || { echo "name a chapter: make $@ CHAPTER=derivative_operator"; exit 2; }
	$(BIN)/python -m spectral_book.records $(CHAPTER) $@ \
	  $(if $(DATA_ROOT),--data-root "$(DATA_ROOT)")

lab: install  ## open the chapters in JupyterLab
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lab]'
	$(BIN)/jupyter lab book/

notebooks: install  ## run the notebooks' defaults and keep the checked tables alone
	$(BIN)/python scripts/refresh_notebooks.py $(NOTEBOOKS)

DEVICE ?= cpu
benchmarks: install  ## measure what things cost, for the page of that name
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[benchmarks]'
	$(BIN)/python -m benchmarks --device $(DEVICE) --json results/costs/$(DEVICE).json

hooks: install  ## check style, types and notebooks before each commit
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev]'
	$(BIN)/pre-commit install

clean:  ## remove what was built, keep the environment
	rm -rf book/_build build *.egg-info .pytest_cache .ruff_cache .mypy_cache
