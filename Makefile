# The front door. `make` alone tells what there is; the work is done by the scripts named here.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# Every TypeScript file runs under the Node of package.json, whatever the machine has.
export PATH := $(CURDIR)/node_modules/.bin:$(PATH)
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/diapause
export npm_config_cache ?= $(CACHE)/npm
CLUSTER := deploy/cluster/cluster.sh
DEMO_IMAGES := demo-redis demo-python demo-futex

.PHONY: help
help: ## tell what can be made
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

# ---- the job itself

.PHONY: demo
demo: needs ## boot a cluster, save real applications, bring them back on another node (root)
	@node deploy/demo/main.ts

.PHONY: cluster-up
cluster-up: needs ## boot a two-node Kubernetes with Diapause; kubeconfig: .cluster/kubeconfig (root)
	@$(CLUSTER) up
	@$(CLUSTER) deploy

.PHONY: cluster-load
cluster-load: ## import an image archive into both nodes: make cluster-load IMAGE=x.tar
	@test -n "$(IMAGE)" || { echo 'which archive? make cluster-load IMAGE=x.tar'; exit 2; }
	@$(CLUSTER) load $(IMAGE)

.PHONY: cluster-apps
cluster-apps: needs ## build the demo's applications and load them into both nodes
	@node deploy/images/main.ts $(DEMO_IMAGES)
	@$(CLUSTER) load $(DEMO_IMAGES:%=build/images/%.tar)

.PHONY: cluster-down
cluster-down: ## remove the cluster and every trace of it (root)
	@$(CLUSTER) down

.PHONY: cli
cli: deps ## build kubectl-diapause, one file, into build/
	@node deploy/images/command-line.ts build/kubectl-diapause
	@echo 'build/kubectl-diapause: put it on your PATH (a link named diapause works, too)'

.PHONY: images
images: needs ## build all OCI images into build/images, without docker or a registry
	@node deploy/images/main.ts

# ---- checks and tests

.PHONY: check
check: format lint types unit ## what should pass before every commit: format, lint, types, unit tests

.PHONY: test
test: needs programs ## everything: the checks, then unit, engine, shim, interop and end-to-end tests (root)
	@$(MAKE) --keep-going format lint types
	@node test/run.ts unit shim engine interop e2e

.PHONY: bench
bench: needs ## measure side by side with CRIU: make bench CRIU=path/to/criu EXTENT=quick|common|descriptors|full (root)
	@node test/bench/main.ts $(if $(CRIU),--criu $(CRIU)) $(if $(EXTENT),--extent $(EXTENT)) $(if $(DOCUMENT),--document)

.PHONY: bench-controller
bench-controller: deps ## measure the controller with 1 000 Checkpoints and 50 schedules, agents simulated
	@node test/bench/scale/main.ts

.PHONY: bench-transfer
bench-transfer: deps ## measure the stream between two agents over loopback: make bench-transfer MIB=1024
	@node test/bench/transfer/main.ts $(if $(MIB),--mib $(MIB))

.PHONY: bench-migration
bench-migration: deps ## measure how long a redis stands still, by each strategy, on the booted cluster: MIB=1024 ROUNDS=2 STRATEGIES=Cold,PreCopy
	@node test/bench/migration/main.ts $(if $(MIB),--mib $(MIB)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(STRATEGIES),--strategies $(STRATEGIES))

.PHONY: format
format: deps
	@biome format .

.PHONY: lint
lint: deps
	@oxlint --type-aware

.PHONY: types
types: deps
	@tsc

.PHONY: unit
unit: deps ## unit tests, no root needed
	@node test/run.ts unit

.PHONY: shim
shim: needs ## tests of the injected native code
	@node test/run.ts shim

.PHONY: engine
engine: needs ## tests of the engine on real processes (root)
	@node test/run.ts engine

.PHONY: interop
interop: needs ## images both ways with CRIU 4.2: make interop CRIU_DIR=built/source/tree, else skipped (root)
	@node test/run.ts interop

.PHONY: e2e
e2e: needs ## tests on the real cluster, which is booted if it is not up (root)
	@node test/run.ts e2e

# ---- what the rest needs

.PHONY: deps
deps: node_modules/.package-lock.json

# npm writes this file when it is done. Newer npm may have skipped the script that fetches Node itself.
node_modules/.package-lock.json: package-lock.json
	@command -v npm > /dev/null || { echo 'please install Node.js 20 or newer with npm: it fetches everything else'; exit 1; }
	@echo 'npm ci' && npm ci --no-audit --no-fund --loglevel=error
	@test -x node_modules/node/bin/node || npm rebuild node --ignore-scripts=false
	@node_modules/.bin/node --version > /dev/null
	@touch $@

.PHONY: helm
helm: # to compare the chart with deploy/base; compiled where it is not installed
	@deploy/helm/get-helm.sh > /dev/null

.PHONY: programs
programs: helm # kubectl renders deploy/base; it is one of the cluster's programs
	@$(CLUSTER) build

.PHONY: needs
needs: deps # Debian packages that images and tests are made with
	@test/install-needs.sh

.PHONY: clean
clean: ## remove what was built here (caches outside of the checkout stay)
	rm -rf build
