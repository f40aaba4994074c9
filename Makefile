# Every command of the README. Each sets up what it needs; nothing is installed outside this folder.
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

PYTHON ?= $(shell command -v python3.11 || command -v python3)
ENVS := .venv
UV := $(ENVS)/uv/bin/uv
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1

IMAGES ?=
WEIGHTS ?=
K ?= 10
OUT ?= demo-output
# local: steps run in one JVM. yarn: on a real YARN of two nodes, with the arguments that they have on EMR.
CLUSTER ?= local
# Where the run computes: cluster, here (this machine), auto (the quicker one); empty: a cluster at first, then auto.
COMPUTE ?=
PYTEST_WORKERS ?= 2
INSTRUCTIONS ?=
ifneq ($(INSTRUCTIONS),)
include tests/instructions/$(INSTRUCTIONS).mk
endif

.PHONY: help
help: ## what there is
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

# --- environments: one per part, from pinned and hashed requirements --------------------------------

.PHONY: machine
machine:
	@sh tools/check_machine.sh "$(PYTHON)"

$(UV): requirements/uv.txt | machine
	@echo "Setting up uv" && rm -rf $(ENVS)/uv && "$(PYTHON)" -m venv $(ENVS)/uv
	@$(ENVS)/uv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@touch $@

$(ENVS)/node/.ready: bootstrap/requirements.txt | $(UV)
	@echo "Setting up the environment node ($(ENVS)/node), the cluster nodes' packages"
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(ENVS)/node
	@VIRTUAL_ENV=$(ENVS)/node $(UV) pip sync --quiet --compile-bytecode --require-hashes $<
	@touch $@

$(ENVS)/%/.ready: requirements/%.txt | $(UV)
	@echo "Setting up the environment $* ($(ENVS)/$*)"
	@$(UV) venv --quiet --allow-existing --python "$(PYTHON)" $(ENVS)/$*
	@VIRTUAL_ENV=$(ENVS)/$* $(UV) pip sync --quiet --compile-bytecode --require-hashes requirements/$*.txt
	@touch $@

.PHONY: requirements
requirements: $(UV) ## pin the newest versions that fit the .in files
	sh tools/compile_requirements.sh $(UV)

# --- jars of the local run: S3A for Spark, and an S3 server on a folder --------------------------------

.cache/jars/%/.ready: requirements/jars.toml requirements/jars.sha256 tools/fetch_jars.py $(ENVS)/spark/.ready
	@$(ENVS)/spark/bin/python tools/fetch_jars.py $*
	@touch $@

# What their JVMs load, kept for the next start (class data sharing).
CLASSES := .cache/jars/classes.ready
$(CLASSES): .cache/jars/s3a/.ready .cache/jars/s3proxy/.ready tools/make_class_archives.py tools/local_run/class_archive.py
	@PYTHONPATH=. $(ENVS)/spark/bin/python -m tools.make_class_archives
	@touch $@

# --- the whole DAG on this machine ------------------------------------------------------------------

.PHONY: demo
demo: export VERGER_IMAGES := $(IMAGES)
demo: export VERGER_WEIGHTS := $(WEIGHTS)
demo: export VERGER_K := $(K)
demo: export VERGER_OUT := $(OUT)
demo: export VERGER_CLUSTER := $(CLUSTER)
demo: export VERGER_COMPUTE := $(COMPUTE)
demo: $(foreach env,airflow spark local_emr model node,$(ENVS)/$(env)/.ready) $(foreach set,s3a s3proxy $(filter yarn,$(CLUSTER)),.cache/jars/$(set)/.ready) $(CLASSES) ## the whole DAG on this machine: IMAGES=folder WEIGHTS=file.h5 K=10|auto OUT=demo-output CLUSTER=local|yarn COMPUTE=auto|cluster|here
	@PYTHONPATH=.:plugins $(ENVS)/airflow/bin/python -m tools.demo \
		--images "$$VERGER_IMAGES" --weights "$$VERGER_WEIGHTS" --k "$$VERGER_K" --out "$$VERGER_OUT" --cluster "$$VERGER_CLUSTER" --compute "$$VERGER_COMPUTE"

.PHONY: ui
ui: PORT ?= 8080
ui: $(foreach env,airflow spark local_emr model node,$(ENVS)/$(env)/.ready) $(foreach set,s3a s3proxy,.cache/jars/$(set)/.ready) $(CLASSES) ## Airflow's web UI without Docker, until Ctrl-C: PORT=8080
	@PYTHONPATH=.:plugins exec $(ENVS)/airflow/bin/python -m tools.ui --port $(PORT)

# --- the stack: docker compose -----------------------------------------------------------------------

.PHONY: up
up: ## the stack in Docker: builds what has changed, starts, and waits until all is well
	@docker compose up --detach --wait
	@$(MAKE) --no-print-directory login

.PHONY: down
down: ## stops the stack; pictures, results and history stay
	@docker compose down

.PHONY: login
login: ## where the stack is reached, and its password
	@docker compose exec -T api-server python /opt/verger/docker/airflow/show_login.py

.PHONY: test-stack
test-stack: $(ENVS)/dev/.ready ## the stack's tests, in Docker and with a real Chromium
	@$(ENVS)/dev/bin/python -m pytest -m "stack and not long" tests/stack $(PYTEST_ARGS)

# --- the notebook -----------------------------------------------------------------------------------

NOTEBOOK_NEEDS := $(foreach env,notebook model,$(ENVS)/$(env)/.ready) .cache/jars/s3proxy/.ready

.PHONY: notebook
notebook: export VERGER_IMAGES := $(IMAGES)
notebook: export VERGER_WEIGHTS := $(WEIGHTS)
notebook: $(NOTEBOOK_NEEDS) ## the chain step by step, in JupyterLab: IMAGES=folder WEIGHTS=file.h5
	@$(ENVS)/notebook/bin/python tools/walkthrough.py open --images "$$VERGER_IMAGES" --weights "$$VERGER_WEIGHTS"

.PHONY: test-notebook
test-notebook: $(NOTEBOOK_NEEDS) $(ENVS)/dev/.ready ## runs the notebook and checks what it shows
	@$(ENVS)/dev/bin/python -m pytest -q tests/notebooks

.PHONY: clear-notebook
clear-notebook: $(ENVS)/notebook/.ready ## removes the notebook's outputs, before a commit
	@$(ENVS)/notebook/bin/python -m nbconvert --log-level WARN --clear-output --inplace notebooks/walkthrough.ipynb

# --- measurements -----------------------------------------------------------------------------------

.PHONY: bench
bench: $(foreach env,airflow spark model node bench,$(ENVS)/$(env)/.ready) $(foreach set,s3a s3proxy,.cache/jars/$(set)/.ready) $(CLASSES) ## the measurements, side by side: BENCH_ARGS=--quick to try them
	@PYTHONPATH=.:plugins $(ENVS)/airflow/bin/python -m tools.bench $(BENCH_ARGS)

.PHONY: scale
scale: $(foreach env,airflow spark model,$(ENVS)/$(env)/.ready) $(foreach set,s3a s3proxy,.cache/jars/$(set)/.ready) ## what a million and a hundred million images mean, and other ways to compute them: SCALE_ARGS=--quick to try it
	@PYTHONPATH=.:plugins $(ENVS)/airflow/bin/python -m tools.scale_study $(SCALE_ARGS)

# --- documents ---------------------------------------------------------------------------------------

.PHONY: diagrams
diagrams: $(ENVS)/dev/.ready ## the diagrams of docs/, drawn from their text; the DAGs' from Airflow itself
	@PYTHONPATH=.:plugins $(ENVS)/dev/bin/python -m tools.draw_diagrams

.PHONY: slides
slides: $(ENVS)/dev/.ready ## docs/presentation.md as slides: docs-output/presentation.pdf
	@PYTHONPATH=.:plugins $(ENVS)/dev/bin/python -m tools.make_slides

# --- the results explorer: its page is built and committed, so that only who changes it needs Node.js --------

.PHONY: explorer
explorer: explorer/node_modules/.ready ## build the explorer's page again after a change in explorer/src (needs npm)
	@cd explorer && npm run --silent check && npm run --silent build

explorer/node_modules/.ready: explorer/package.json explorer/package-lock.json
	@cd explorer && npm ci --no-audit --no-fund --loglevel=error --ignore-scripts
	@touch $@

# --- checks and tests ---------------------------------------------------------------------------------

.PHONY: check
check: check-infra $(ENVS)/dev/.ready ## lint, types, shell, the AWS template
	@$(ENVS)/dev/bin/ruff format --check --quiet . || { echo "run: $(ENVS)/dev/bin/ruff format ." >&2; exit 1; }
	@$(ENVS)/dev/bin/ruff check --quiet .
	@$(ENVS)/dev/bin/mypy --no-error-summary
	@$(ENVS)/dev/bin/shellcheck bootstrap/*.sh docker/*.sh docker/*/*.sh notebooks/*.sh tools/*.sh .ci/run
	@echo "check: all is well"

EU_REGIONS := eu-central-1 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-3

.PHONY: check-infra
check-infra: $(ENVS)/infra/.ready ## the AWS template: valid in every region of the EU, and safe
	@$(ENVS)/infra/bin/cfn-lint --regions $(EU_REGIONS) --template infra/template.yaml
	@$(ENVS)/infra/bin/checkov --quiet --compact --skip-download --framework cloudformation --file infra/template.yaml >$(ENVS)/infra/checkov.log \
		|| { cat $(ENVS)/infra/checkov.log >&2; exit 1; }

.PHONY: check-databricks
check-databricks: $(UV) ## databricks.yml against the schema of its bundle: by hand, its package's licence is Databricks' own
	@$(UV) run --quiet --no-project --python "$(PYTHON)" --with databricks-bundles==1.22.1 --with pyyaml==6.0.3 tools/check_databricks_bundle.py

.PHONY: environments
environments: $(foreach e,airflow spark spark_emr local_emr model node notebook dev,$(ENVS)/$(e)/.ready) $(foreach j,s3a s3proxy yarn delta,.cache/jars/$(j)/.ready) $(CLASSES) ## what the programs in tools/ run in: .venv/airflow, .venv/spark, .venv/model

TESTS ?= tests/verger tests/contract tests/house tests/docs/test_commands.py tests/docs/test_links.py

.PHONY: quick
quick: $(ENVS)/dev/.ready ## the fast tests alone, in one environment: TESTS=tests/verger/plan for some of them
	@$(ENVS)/dev/bin/python -m pytest --quiet -n $(PYTEST_WORKERS) --dist loadfile -m "not spark and not e2e and not shared and not server and not stack" $(TESTS) $(PYTEST_ARGS)

.PHONY: test
test: environments ## all the tests but the stack's and the slowest faults: INSTRUCTIONS=avx2 as on a lesser processor
	@$(ENVS)/dev/bin/python -m pytest -n $(PYTEST_WORKERS) --dist loadfile $(PYTEST_ARGS)

.PHONY: test-faults
test-faults: environments ## the whole table of faults, the long rows as well
	@$(ENVS)/dev/bin/python -m pytest -m faults $(or $(PYTEST_ARGS),tests)

.PHONY: test-long
test-long: environments ## what takes minutes and `make test` leaves out: slow faults, more machine types, the acceptance on AWS in full
	@$(ENVS)/dev/bin/python -m pytest -m "long and not stack" $(or $(PYTEST_ARGS),tests)
