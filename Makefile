# `make demo` shows the whole pipeline on this machine; `make test` runs everything.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
SPARK  := $(VENV)/.ready-spark

.DEFAULT_GOAL := help
.PHONY: help demo serve try-pulumi check types fast-tests test soak bench format clean build

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(READY): requirements.txt replicator/requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed, and $(PYTHON) is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || \
	  { echo "$(PYTHON) cannot make a virtual environment. Try: apt-get install python3-venv"; exit 1; }
	@echo "Installing what requirements.txt pins into $(VENV) (once)…"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt
	@touch $@

# Spark is large, and only `make test`, `make bench` and `make demo ENGINE=spark` need it. Its numpy is for Python 3.11 and 3.12.
$(SPARK): requirements-spark.txt $(READY)
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info >= (3, 13))'; then \
	  echo "Installing what requirements-spark.txt pins into $(VENV) (once)…"; \
	  $(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-spark.txt && touch $@; \
	else \
	  echo "NOT TESTED: verification on Spark. Its packages are for Python 3.11 and 3.12, and this is $$($(BIN)/python -V)."; \
	  echo "Try: make clean, then make PYTHON=python3.12 test"; \
	fi

# Most of what runs here is processes of a second or two: each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# What a user can say: make demo ITEMS=… MIN_CHANGES=… DATA=file KEY=pk[:S],sk[:S] CHAOS=on[,name=rate…]
# SWITCH=on|writes-stopped LSI=on
# BUFFER=streams ENGINE=spark
DEMO_ARGS = $(if $(ITEMS),--items "$(ITEMS)") $(if $(MIN_CHANGES),--min-changes "$(MIN_CHANGES)") \
            $(if $(DATA),--data "$(DATA)") $(if $(KEY),--key "$(KEY)") \
            $(if $(CHAOS),--chaos "$(CHAOS)") $(if $(SWITCH),--switch "$(SWITCH)") \
            $(if $(LSI),--lsi "$(LSI)") $(if $(BUFFER),--buffer "$(BUFFER)") \
            $(if $(ENGINE),--engine "$(ENGINE)")

# The variables that a target takes beside PYTHON. Any other on the command line is refused: a
# misspelled one would be ignored.
TAKEN_BY_demo  := ITEMS MIN_CHANGES DATA KEY CHAOS SWITCH LSI BUFFER ENGINE
TAKEN_BY_serve := BUFFER
TAKEN_BY_build := ARCHITECTURE
TAKEN_BY_bench := LARGEST
TAKEN_BY_soak  := MINUTES SEED REPLAY CRASH
TRY_demo  := ITEMS=5000
TRY_serve := BUFFER=streams
TRY_build := ARCHITECTURE=x86_64
TRY_soak  := MINUTES=30
TARGET  := $(firstword $(MAKECMDGOALS) $(.DEFAULT_GOAL))
TAKEN   := $(foreach target,$(MAKECMDGOALS),$(TAKEN_BY_$(target))) PYTHON
GIVEN   := $(foreach name,$(.VARIABLES),$(if $(filter command%,$(origin $(name))),$(name)))
UNKNOWN := $(strip $(filter-out $(TAKEN) VENV SHELL,$(GIVEN)))
ifneq ($(UNKNOWN),)
$(info make $(TARGET) does not take $(UNKNOWN). It takes $(strip $(TAKEN)).)
$(info Try: make $(TARGET) $(TRY_$(TARGET)))
$(error Nothing was started)
endif

demo: $(READY) $(if $(filter spark,$(ENGINE)),$(SPARK))  ## replicate a live table between two emulated accounts, and compare
	@$(BIN)/python -m infra.local demo $(DEMO_ARGS)

serve: $(READY)  ## keep the local cloud with the deployed stack running
	@$(BIN)/python -m infra.local serve $(if $(BUFFER),--buffer "$(BUFFER)")

try-pulumi: $(READY)  ## a shell with the real Pulumi CLI on the local cloud: pulumi up, before an account has to take it
	@$(BIN)/python -m tests.pulumi_engine.shell

build: $(READY)  ## build what `pulumi up` deploys: the Lambda archive, and the job of verifications on Glue; ARCHITECTURE=x86_64 where the stack file says so
	@$(BIN)/python -m infra.package $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))
	@$(BIN)/python -m infra.glue_package

format: $(READY)  ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

check: $(READY)  ## format, lint, types, layers and the fast tests: two minutes
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory --jobs=2 types fast-tests

types: $(READY)
	$(BIN)/mypy

fast-tests: $(READY)
	$(BIN)/pytest -q -n 2 --dist loadfile --no-loadscope-reorder -m "not slow"

test: $(SPARK) check  ## everything
	$(BIN)/python -m tests.pulumi_engine.cli
	$(BIN)/pytest -q -m slow tests/simulation/test_simulation.py
	$(BIN)/pytest -q -n 4 --dist loadfile --no-loadscope-reorder -m slow --ignore tests/simulation/test_simulation.py

bench: $(READY) $(SPARK)  ## measure the consumer and the verification beside the usual ways, deployments and switches
	@$(BIN)/python -m tests.benchmarks
	@$(BIN)/python -m tests.benchmarks.verification $(if $(LARGEST),--largest $(LARGEST))
	@test ! -e $(SPARK) || $(BIN)/python -m tests.benchmarks.spark $(if $(LARGEST),--largest $(LARGEST))
	@$(BIN)/python -m tests.benchmarks.deployment
	@$(BIN)/python -m tests.benchmarks.switch

soak: $(READY)  ## simulate on and on, then crash the bootstrap at each of its calls: make soak MINUTES=30 [SEED=…]; again: REPLAY=seed, CRASH=case
ifdef CRASH
	@$(BIN)/python -m tests.crash --case "$(CRASH)"
else
	@$(BIN)/python -m tests.simulation.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) \
	  $(if $(REPLAY),--replay $(REPLAY))
	@$(if $(REPLAY),:,$(BIN)/pytest -q -n 2 -m matrix --whole-matrix tests)
	@$(if $(REPLAY),:,$(BIN)/python -m tests.crash --all $(if $(SEED),--seed $(SEED)))
	@$(if $(REPLAY),:,$(BIN)/python -m tests.crash --bulk all $(if $(SEED),--seed $(SEED)))
	@$(if $(REPLAY),:,$(BIN)/python -m tests.crash --switch all $(if $(SEED),--seed $(SEED)))
endif

clean:  ## remove what was built and installed
	rm -rf build $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
