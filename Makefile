# Three commands for everybody: `make book`, `make quick`, `make test`.
PYTHON ?= python3
VENV ?= .venv
# A target of make cannot have a space; the folder of the book can.
$(if $(word 2,$(VENV)),$(error VENV must not have a space in it: $(VENV)))
BIN := $(VENV)/bin
HTML := book/_build/html
DRAFT := book/_build/draft/_build/html
TRAININGS := book/_build/trainings
NOTEBOOKS := $(wildcard book/*.ipynb)
PYTEST := $(BIN)/pytest tests -n 2 --dist loadfile
SLOW := browser or processes or book
# Chapters and tests side by side; each process keeps to one thread.
export OMP_NUM_THREADS ?= 1

.PHONY: help install book page quick check test desk gpu paper lab notebooks benchmarks \
  pins hooks clean

help:  ## list what can be made
	@grep -hE '^[a-z ]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/'

# An environment holds what its commands need: "batch" to build and sweep, "test" to test.
$(VENV)/%.installed: pyproject.toml constraints.txt
	@$(PYTHON) scripts/check_machine.py
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$*]'
	touch $@

install: $(VENV)/test.installed  ## make the virtual environment with the pinned packages

book: $(VENV)/batch.installed  ## execute all chapters and build the HTML
	$(BIN)/jupyter-book build book/
	@echo "Open $(CURDIR)/$(HTML)/index.html"

# For instance: make page CHAPTER=derivative_operator
page: $(VENV)/batch.installed  ## execute CHAPTER=... alone; a draft, the others as last run
	@test -f "book/$(CHAPTER).ipynb" || \
	  { echo "name a chapter: make page CHAPTER=derivative_operator"; exit 2; }
	SPECTRAL_DRAFT=$(CHAPTER) $(BIN)/jupyter-book build book/ --path-output book/_build/draft
	@echo "Open $(CURDIR)/$(DRAFT)/$(CHAPTER).html"

check: install  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

quick: check  ## style, types and the tests that take seconds; under two minutes
	$(PYTEST) -m "not ($(SLOW))"

# nbval compares the notebooks' tables in kernels of its own. It takes the trainings from
# the build before it, which began with none: same code, data, settings and notebook.
test: quick  ## all that must pass: quick, the book, its pages in a browser, nbval
	rm -rf $(TRAININGS)
	SPECTRAL_CHECKPOINTS="$(CURDIR)/$(TRAININGS)" $(MAKE) book
	SPECTRAL_BUILT_BOOK="$(CURDIR)/$(HTML)" $(PYTEST) -m "$(SLOW)"
	SPECTRAL_CHECKPOINTS="$(CURDIR)/$(TRAININGS)" $(BIN)/pytest --nbval-lax \
	  --nbval-current-env --nbval-cell-timeout 600 -p no:cacheprovider -n 2 \
	  --dist loadfile $(NOTEBOOKS)

# For instance: make gpu CHAPTER=derivative_operator DATA_ROOT=/data
desk gpu paper: $(VENV)/batch.installed  ## run CHAPTER=... at this profile and record its results
	@test -n "$(CHAPTER)" || { echo "name a chapter: make $@ CHAPTER=derivative_operator"; exit 2; }
	$(BIN)/python -m spectral_book.records $(CHAPTER) $@ \
	  $(if $(DATA_ROOT),--data-root "$(DATA_ROOT)") $(if $(NOTE),--note "$(NOTE)")

lab: $(VENV)/lab.installed  ## open the chapters in JupyterLab; in a container: LAB=--allow-root
	$(BIN)/jupyter lab book/ $(LAB)

notebooks: install  ## run the notebooks' defaults and keep the checked tables alone
	$(BIN)/python scripts/refresh_notebooks.py $(NOTEBOOKS)

DEVICE ?= cpu
benchmarks: $(VENV)/benchmarks.installed  ## measure what things cost, for the page of that name
	$(BIN)/python -m benchmarks --device $(DEVICE) --json results/costs/$(DEVICE).json

pins: $(VENV)/dev.installed  ## ask whether every Python and platform can have the pins
	$(BIN)/python scripts/check_pins.py $(MOVE)

hooks: $(VENV)/dev.installed  ## check style, types and notebooks before each commit
	$(BIN)/pre-commit install

clean:  ## remove what was built, keep the environment
	rm -rf book/_build build *.egg-info .pytest_cache .ruff_cache .mypy_cache
