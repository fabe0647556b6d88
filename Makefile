# Everything a person types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
BIN := .venv/bin
# Tools find each other (Molecule calls ansible-playbook) in .venv.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# The prompt reaches the program as it was typed, whatever quotes and dollars it holds.
override PROMPT := $(value PROMPT)
export PROMPT LAB_TAKE_OVER
INVENTORY ?= inventories/lab
# Without its cache of compiled modules every call of Ansible takes seconds longer.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: venv
venv: ## make .venv with the pinned tools and tandem itself
	@scripts/venv.sh

.PHONY: lab
lab: ## two nodes on this machine, one model on both, one answer
	@scripts/lab-up.sh

.PHONY: ask
ask: ## ask the lab's model: make ask PROMPT='What is the capital of France?'
	@test -n "$$PROMPT" || { echo "Say what to ask: make ask PROMPT='What is the capital of France?'" >&2; exit 2; }
	@$(BIN)/tandem ask --inventory inventories/lab -- "$$PROMPT"

.PHONY: fabric-report
fabric-report: venv ## one page with plots of the latency and bandwidth that the fabric gate measured last
	@$(BIN)/tandem fabric report

.PHONY: drift
drift: venv ## what differs between INVENTORY (the lab) and its nodes; changes nothing
	@$(BIN)/tandem drift --inventory $(INVENTORY)

.PHONY: repair
repair: venv ## bring what drifted back to what INVENTORY says, and look again
	@$(BIN)/tandem drift --inventory $(INVENTORY) --repair

.PHONY: lab-down
lab-down: ## remove the lab's nodes and networks (the cache stays)
	@scripts/lab-down.sh

.PHONY: clean-cache
clean-cache: lab-down ## remove what the lab keeps for the next time: node image, downloads, model
	@scripts/clean-cache.sh

.PHONY: check
check: venv ## the fast checks: format, types, lint, syntax, unit tests
	@scripts/check.sh

.PHONY: test
test: ## all checks, Molecule, and the lab from nothing to an answer; removes the lab afterwards
	@scripts/test.sh

.PHONY: lock
lock: venv ## resolve requirements/*.txt anew from pyproject.toml
	@scripts/lock.sh
