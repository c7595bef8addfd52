# make book: the whole course as a site. make test: every test. `make help` names the rest.
# Without make: README.md has the plain commands.

PYTHON ?= python3
# On Linux pip takes torch with everything for NVIDIA GPUs. For the small one, give the address that
# the selector on the PyTorch site shows for Linux, Pip, CPU: make book TORCH_INDEX=<that address>
TORCH_INDEX ?=

BIN := .venv/bin
INSTALLED := .venv/installed
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: book test lab exercises data lint clean help

book: data  ## fetch the data, run every notebook, build _build/html
	$(BIN)/jupyter-book build . -W -n --keep-going
	@echo "The book is built. Open it with: $(BIN)/python -m webbrowser -t file://$(CURDIR)/_build/html/index.html"

test: data  ## run every test: library, exercises, notebooks, site
	$(BIN)/python -m pytest

lab: $(INSTALLED)  ## open the exercises in JupyterLab
	JUPYTER_CONFIG_PATH="$(CURDIR)/book/jupyter" $(BIN)/jupyter lab

exercises: $(INSTALLED)  ## write the student notebooks from exercises/solutions
	$(BIN)/python -m exercises.generate

data: $(INSTALLED)  ## fetch the data sets that are not cached yet
	$(BIN)/python -m attnlib.data fetch

lint: $(INSTALLED)  ## check style and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean:  ## remove what was built, outputs of notebooks included
	rm -rf _build

help:  ## print this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# torch first and by its exact version: pip would else look for newer ones, and they are large.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("make: %s is Python %d.%d, the course needs 3.11 to 3.13; write make PYTHON=python3.12" % (sys.executable, *v))'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) "$$(grep '^torch==' constraints.txt)"
	$(PIP) --editable '.[all]'
	@touch $@
