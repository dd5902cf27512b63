# make book · test · run · lint · bench · wild · serve · pdf · link · clean
# Each target sees to its own environment; PYTHON=python3.12 make … chooses the Python it is from.

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
NBVAL := $(PYTEST) -p tests.strict_nbval --nbval -n 2 --dist loadfile notebooks
SITE := _build/html
PORT := 8000

.PHONY: book test run lint bench wild serve pdf link clean environment

book: environment
	@$(BIN)/jupyter-book build . --all -W -n --keep-going
	@echo
	@echo "The book's first page: $(CURDIR)/$(SITE)/index.html"

# The chapters run twice: as this machine likes to compute, and as the plainest machine would.
test: environment
	$(PYTEST) -n 2 --dist loadfile
	$(NBVAL) --record _build/verified.json
	ATEN_CPU_CAPABILITY=default MKL_CBWR=COMPATIBLE OMP_NUM_THREADS=2 $(NBVAL)

run: environment
	@$(BIN)/python tools/notebooks.py run $(NAMES)

lint: environment
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff

bench: environment
	$(PYTEST) tests/benchmarks --benchmark-only
	@$(BIN)/python tools/benchmark_page.py

# diagnose on other people's libraries, in an environment of its own
wild:
	@test -x .venv-wild/bin/python || $(or $(PYTHON),python3) -m venv .venv-wild
	.venv-wild/bin/python -m pip install --quiet --requirement tests/wild/requirements.txt
	.venv-wild/bin/python -m pytest tests/wild -q -s -W ignore --noconftest -o addopts= -o norecursedirs=.git

serve: book
	@echo "Serving it at http://localhost:$(PORT)/ until Ctrl-C"
	@$(BIN)/python -m http.server $(PORT) --bind 127.0.0.1 --directory $(SITE) >/dev/null || \
		echo "If port $(PORT) is taken: make serve PORT=8001"

pdf: book
	@$(BIN)/python tools/pdf.py $(SITE)

link: environment
	@$(BIN)/python tools/notebooks.py link $(URL)

environment:
	@sh tools/environment.sh

clean:
	rm -rf _build build dist *.egg-info .pytest_cache .ruff_cache .hypothesis .benchmarks
	find . -name .venv -prune -o -name __pycache__ -exec rm -rf {} +
