# gridgate: needs Go 1.26, make and git; works as root or not.
#
#   make demo                    everything on this machine, until Ctrl-C
#   make demo ARGS="--for 60s"   the same, ends by itself; exit code 0 only if the loop closed
#   make test                    all tests
#   make check                   what CI holds a change to: formatting, vet, linters, tidy, race tests
#   make bench                   the figures, as tables (minutes)
#   make chaos                   1,000 days on a simulated disk that dies at any write; CHAOS=4711 tells one seed's story
#   make chaos REAL=1            50,000 frames while real processes are killed and restarted (minutes)
#   make soak                    an hour of a gateway in use with random faults; SOAK=10m, SEED=2
#   make power                   kill -9, a power cut and a full disk in a row, as root: the ledger after each
#   make upgrade-test            builds an older gridgate, upgrades it with live intake, and goes back (minutes); FROM_COMMIT=… another one
#   make scenarios               all scenarios, each against a gateway of its own: pages and JUnit in .demo/scenarios (two minutes)
#   make web                     the web pages from their source (Node 20 or newer)
#   make web-check               the committed pages are those of the source; types; unit tests
#   make web-test                the web app in a real browser against a real gateway
#   make web-long                the desk by keys alone, and for long: what make web-test leaves out (minutes)
#   make web-bench              the console's figures: 200,000 points, a flood of alarms, hours of messages (minutes)
#   make web-shots               pictures of every page in every size and look, in internal/console/ui/shots (ARGS=console-duty: of those only)
#   make docs-pictures           the pictures of docs/pictures, in both languages, of a gateway that is played to
#   make dist                    static programs for linux amd64, arm64 and armv7 in dist/, with licences and the list of their parts (TARGETS=linux/amd64: that alone)
#   make deb                     Debian packages of them (ARCHES=amd64); make package-check TARGETS=linux/amd64 looks into one
#   make package-life TARGETS=linux/amd64   a package's life in a Debian of its own, as root
#   make image                   the container image, with docker, podman or buildah
#   make reproducible            builds the commit twice in different folders and compares byte by byte
#   make rules-check             the alert rules for Prometheus, each played
#   make build | influxd | clean

SHELL     := /bin/bash
.SHELLFLAGS := -euo pipefail -c
GO        ?= go
ARGS      ?=
PKG       ?= ./...
TESTFLAGS ?= -shuffle=on -timeout 15m
TOOLS     := $(CURDIR)/.tools/bin
INFLUXD   := $(TOOLS)/influxd

.PHONY: demo test check lint race bench chaos soak build influxd clean help web web-check web-test web-long web-bench web-shots docs-pictures

help:
	@sed -n '/^#   make/s/^#  //p' Makefile

demo: build influxd
	@PATH="$(TOOLS):$$PATH" bin/gridgate demo $(ARGS)

build:
	@mkdir -p bin
	@./deploy/ticking.sh "building gridgate and gridsim" -- env CGO_ENABLED=0 $(GO) build -v -trimpath -o bin/ ./cmd/...

# The last InfluxDB in pure Go: no C compiler, no download but the module proxy's.
influxd: $(INFLUXD)
$(INFLUXD):
	@mkdir -p $(TOOLS)
	@./deploy/ticking.sh "building InfluxDB 1.8.10 into .tools/bin, once, about two minutes" -- \
	  env CGO_ENABLED=0 GOFLAGS= GOBIN=$(TOOLS) $(GO) install -v -trimpath -tags noasm -ldflags "-s -w -X main.version=1.8.10" \
	  github.com/influxdata/influxdb/cmd/influxd@v1.8.10

# Each skipped test says in one line what it needs; GRIDGATE_REQUIRE_PEERS=1 turns skips into failures.
# Packages mostly wait for servers and clocks of their own: four at a time also on two cores.
test:
	@n=$$(nproc); ./deploy/gotest.sh $(GO) test -p $$((n > 4 ? n : 4)) $(TESTFLAGS) $(PKG)

check: lint race

lint:
	@echo "gofmt";       out=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$out" ] || { echo "gofmt wants to change:"; echo "$$out"; exit 1; }
	@echo "go vet";      $(GO) vet ./...
	@echo "staticcheck"; $(GO) tool staticcheck ./...
	@echo "go mod tidy"; $(GO) mod tidy -diff
	@if [ -d $(UI)/node_modules ]; then cd $(UI) && echo "svelte-check" && npm run --silent check && echo "vitest" && npm run --silent test; \
	  else echo "svelte-check, vitest: skipped, make web installs what they need"; fi
	@echo "govulncheck"; if timeout 20 $(GO) tool govulncheck -version 2>/dev/null | grep -q 'DB updated'; \
	  then $(GO) tool govulncheck ./...; else echo "  skipped: its database is not reachable from here"; fi

race:
	@./deploy/gotest.sh $(GO) test -race $(TESTFLAGS) $(PKG)

bench:
	@./deploy/bench.sh

# The whole of what make test plays in small. GRIDGATE_TEST_SEED=2 is another course of events
# for the real processes; SEEDS and FROM are those of the simulated days.
SEEDS ?= 1000
FROM  ?= 1
ifdef REAL
chaos: influxd
	@GRIDGATE_TEST_CHAOS=full $(GO) test ./internal/gatetest -run Chaos -v -count=1 -timeout 20m
else
chaos:
	@GRIDGATE_CHAOS_SEED=$(CHAOS) GRIDGATE_CHAOS_SEEDS=$(SEEDS) GRIDGATE_CHAOS_FROM=$(FROM) $(GO) test ./internal/engine -run 'TestChaos' -v -count=1 -timeout 60m
endif

SOAK ?= 1h
SEED ?= 1
soak: influxd
	@GRIDGATE_TEST_SOAK=$(SOAK) GRIDGATE_TEST_SEED=$(SEED) $(GO) test ./internal/gatetest -run TestASoak -v -count=1 -timeout 0

# SCENARIOS is where the pages, index.html over all, and JUnit go; ARGS="kitchen-smoke --tell" plays that alone.
SCENARIOS ?= .demo/scenarios
scenarios: build influxd
	@PATH="$(TOOLS):$$PATH" bin/gridsim run $(or $(ARGS),--all) --html $(SCENARIOS)/ --junit $(SCENARIOS)/
	@echo "pages: $(SCENARIOS)/index.html"

# The pages are committed in internal/console/dist, so that a build needs no Node. Packages come
# by the lock file alone, and none of their install scripts runs.
UI := internal/console/ui
$(UI)/node_modules/.package-lock.json: $(UI)/package-lock.json
	@cd $(UI) && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@

web: $(UI)/node_modules/.package-lock.json
	@cd $(UI) && npm run --silent build

web-check: $(UI)/node_modules/.package-lock.json
	@echo "package-lock.json"; ! grep -n '"resolved"' $(UI)/package-lock.json || { echo "it names a registry: npm install with omit-lockfile-registry-resolved=true"; exit 1; }
	@echo "pages"; out=$$(mktemp -d); trap 'rm -rf "$$out"' EXIT; cd $(UI) && GRIDGATE_DIST="$$out" npm run --silent build -- --logLevel warn; \
	  diff -rq "$$out" ../dist || { echo "internal/console/dist is not what its source makes: run make web and commit it"; exit 1; }
	@echo "svelte-check"; cd $(UI) && npm run --silent check
	@echo "vitest"; cd $(UI) && npm run --silent test

web-test: $(UI)/node_modules/.package-lock.json
	@cd $(UI) && npm run --silent e2e

web-long: $(UI)/node_modules/.package-lock.json
	@cd $(UI) && npm run --silent e2e -- long

web-bench: $(UI)/node_modules/.package-lock.json
	@cd $(UI) && node e2e/bench/run.mjs $(ARGS)

web-shots: $(UI)/node_modules/.package-lock.json
	@cd $(UI) && SHOTS=1 ALL_LOOKS=1 npm run --silent e2e -- $(ARGS)

docs-pictures: $(UI)/node_modules/.package-lock.json
	@cd $(UI) && node e2e/docs-pictures.mjs

include deploy/package.mk

clean:
	rm -rf bin .demo dist

.PHONY: power
power:
	@GRIDGATE_REQUIRE_PEERS=1 $(GO) test ./internal/gatetest -run TestAKillAPowerCut -v -count=1 -timeout 5m

.PHONY: upgrade-test
upgrade-test:
	@GRIDGATE_TEST_UPGRADE_FROM=$(or $(FROM_COMMIT),before) $(GO) test ./internal/gatetest -run TestAnUpgrade -v -count=1 -timeout 15m
