# Every everyday verb, each a thin call. `make help` lists them. Personal overrides go into Makefile.local.
SHELL := /bin/bash
export FAIRLEAD_CACHE ?= $(HOME)/.cache/fairlead
PRESET ?= dev
BUILD := build/$(PRESET)
JOBS ?= $(shell nproc)
-include Makefile.local

.PHONY: help deps configure build unit test check charts docs image e2e chaos cluster mutants fuzz bench bench-rivals fmt tidy asan tsan clean demo preflight model

help: ## print this list
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

deps: ## install the Debian packages and Python tools that are missing
	@tools/deps/install.sh

configure: deps
	@cmake --preset $(PRESET) > /dev/null

build: configure ## build everything (PRESET=dev|release|asan-ubsan|tsan)
	@cmake --build $(BUILD) -j $(JOBS)

unit: configure ## build and run the unit tests (PRESET as above)
	@cmake --build $(BUILD) -j $(JOBS) --target unit_tests
	@tools/check/unit.py $(BUILD)

asan: ## the unit tests under the address and undefined-behaviour sanitizers
	@$(MAKE) --no-print-directory unit PRESET=asan-ubsan

tsan: export TSAN_OPTIONS = halt_on_error=1:history_size=7:suppressions=$(CURDIR)/tools/check/tsan.supp
tsan: ## the unit tests under the thread sanitizer
	@$(MAKE) --no-print-directory unit PRESET=tsan

cluster: deps ## build the Kubernetes programs the tests run, once, into the cache
	@tools/cluster/build

.PHONY: demo-programs
demo-programs: deps
	@tools/cluster/build kubectl helm

preflight: ## what this machine lacks for real clusters (demo, e2e), if anything
	@tools/cluster/cluster preflight --no-binaries

# A cluster that is there already (DEMO_KUBECONFIG) wants two Kubernetes programs here and nothing of this machine.
DEMO_NEEDS := $(if $(DEMO_KUBECONFIG),demo-programs,preflight cluster)
demo: deps build $(DEMO_NEEDS) ## two real clusters, Fairlead installed, and what a user would do (KEEP=1 leaves it up)
	@FAIRLEAD_BIN=$(CURDIR)/$(BUILD)/bin "$(FAIRLEAD_CACHE)/venv/bin/python" tools/demo/demo.py

e2e: build cluster ## black-box tests against a real API server (SUITE=name for one file)
	@FAIRLEAD_BIN=$(CURDIR)/$(BUILD)/bin tools/check/e2e.sh $(SUITE)

chaos: build cluster ## seeded faults while writers run, judged by a ledger (FAULTS=60 SEED=n DATABASE=postgresql|mariadb|sqlite ONLY='agent killed' CLOCKS=true)
	@FAIRLEAD_BIN=$(CURDIR)/$(BUILD)/bin "$(FAIRLEAD_CACHE)/venv/bin/python" -m e2e.chaos --faults $(or $(FAULTS),60) \
	  --database $(or $(DATABASE),postgresql) $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) $(if $(ONLY),--only '$(ONLY)') $(if $(filter true,$(CLOCKS)),--true-clocks)

mutants: deps ## break rules on purpose, one at a time; each must turn its test red
	@tools/check/mutants.py

model: configure ## every order of messages, crashes and restarts in small worlds (MODEL_WORLD=text for some)
	@cmake --build $(BUILD) -j $(JOBS) --target unit_model
	@MODEL_WHOLE=1 $(BUILD)/unit/unit_model

fuzz: deps ## build the fuzzers and run each for SECONDS (default 20)
	@cmake --preset fuzz > /dev/null
	@cmake --build build/fuzz -j $(JOBS) --target fuzzers
	@tools/check/fuzz.sh build/fuzz $(or $(SECONDS),20)

LIVE := $(filter B2 B4 B5 B6 B7 B10,$(BENCH))
bench: deps ## measure the release build beside a floor (BENCH="B1 B3" names some; B2 B4 B5 B6 B7 B10 need a real API server: LIVE_OPTIONS)
	@cmake --preset release > /dev/null
	@cmake --build build/release -j $(JOBS) --target fairlead-agent bench-suite bench-floor bench-rows $(if $(LIVE),fairlead-endpoint bench-replay)
	@$(if $(filter B1 B3,$(or $(BENCH),B1)),build/release/bin/bench-suite $(filter B1 B3,$(BENCH)))
	@$(if $(filter B9,$(or $(BENCH),B9)),build/release/bin/bench-rows)
	@$(if $(LIVE),tools/cluster/build kube-apiserver etcd kubectl)
	@$(if $(filter B2,$(LIVE)),tools/bench/rivals build/release/bin/bench-rivals)
	@$(if $(LIVE),"$(FAIRLEAD_CACHE)/venv/bin/python" -m bench.live $(LIVE_OPTIONS) $(LIVE))

bench-rivals: deps ## build the Go rivals (R1a, R1b) and measure B1 and B3 beside them (PAIRS=5)
	@cmake --preset release > /dev/null
	@cmake --build build/release -j $(JOBS) --target fairlead-agent bench-suite
	@tools/bench/rivals build/release/bin/bench-rivals
	@build/release/bin/bench-suite --pairs $(or $(PAIRS),5) --beside R1a,R1b $(filter B1 B3,$(BENCH))

tidy: configure ## clang-tidy over what differs from main (ALL=1: over everything)
	@cmake --build $(BUILD) -j $(JOBS) --target fairlead_api_grpc
	@tools/check/tidy.py $(BUILD)

check: configure docs ## layer order, headers that compile alone, reference pages that say what the code says
	@tools/check/layers.py $(BUILD)/layers.txt
	@tools/check/headers.py $(BUILD)
	@$(MAKE) --no-print-directory fmt CHECK=1

charts: build cluster ## lint and render the charts; fairlead-agent's objects equal the operator's
	@tools/check/charts.py $(BUILD)

docs: ## reference pages say what the code says (part of check)
	@tools/check/docs.py
	@tools/check/rules.py

image: build ## images of every program into the cache, without a registry (PRESET=release for fast ones)
	@tools/image/all $(BUILD)/bin

fmt: deps ## format the C++ sources in place (CHECK=1 only names what is not)
	@git ls-files '*.cc' '*.h' | xargs clang-format-14 $(if $(CHECK),--dry-run -Werror,-i)

test: ## everything CI runs, with a closing line of counts
	@tools/check/test.sh

clean: ## remove build output (never the cache)
	rm -rf build
