# One environment in .venv; every target that needs it builds it first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: install demo test test-long check bench throughput load simulation four-sites open-loop fronts report-page fidelity mutate golden docs docs-test picture zoo clean
.DELETE_ON_ERROR:

install: $(READY)

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "edgeplan needs Python 3.11 or newer")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	touch $@

zoo: $(READY)
	$(BIN)/python tools/zoo.py .zoo

demo: $(READY) zoo
	$(BIN)/edgeplan demo --zoo .zoo --output demo

test: $(READY) zoo
	tools/install_chromium.sh
	$(BIN)/python -m pytest -n 2 --dist loadgroup

test-long: $(READY) zoo
	$(BIN)/python -m pytest -m long -s

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell
	$(BIN)/python tools/check_wheel.py

bench: $(READY) zoo
	$(BIN)/python -m benchmarks

# The published throughput graphs, where the shared data lies beside the project.
throughput: $(READY)
	$(BIN)/python -m benchmarks.throughput

# Fleets of streams whose requests wait: gap and time of the solver.
load: $(READY)
	$(BIN)/python -m benchmarks.load

# The simulator: against closed forms, and how fast it is.
simulation: $(READY)
	$(BIN)/python -m benchmarks.simulation

# Four sites and a cloud: the plan beside seven baselines, simulated.
four-sites: $(READY)
	$(BIN)/python -m benchmarks.four_sites

# Two workers on this machine under open-loop load: predicted, simulated, measured.
open-loop: $(READY) zoo
	$(BIN)/python -m benchmarks.open_loop

# Fronts: the published sets point for point, the range of numbers, comparing 5,000 points.
fronts: $(READY)
	$(BIN)/python -m benchmarks.pareto
	$(BIN)/python -m benchmarks.compare_fronts
	$(BIN)/python -m benchmarks.assemble

# Pages of the demo's front and of 5,000 points: their weight, and time until they can be used.
report-page: $(READY)
	$(BIN)/python -m benchmarks.report

# Twenty random plans of real networks on this machine: predicted beside measured.
fidelity: $(READY) zoo
	$(BIN)/python -m benchmarks.fidelity --plans 20 --seed 1

# Break every coefficient of the formulation in turn; each must be noticed.
mutate: $(READY)
	$(BIN)/python tools/mutate.py

golden: $(READY)
	$(BIN)/python tools/write_golden.py

docs: $(READY)
	$(BIN)/python tools/write_formulation.py
	$(BIN)/python tools/write_reference.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python tools/check_links.py

# The commands of the pages, and what they print.
docs-test: $(READY) zoo
	$(BIN)/python tools/run_docs.py

# Pictures of what commands print, from what `make demo` left: docs/{solve,choose,explain}.svg.
picture: demo
	$(BIN)/python tools/picture.py demo docs

clean:
	rm -rf $(VENV) .zoo demo build dist
