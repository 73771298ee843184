# Bare `make` lists the targets.

# giouring reaches syscall.munmap by go:linkname, which Go's linker refuses since 1.23 unless it is told not to check.
# A -ldflags on the command line replaces the one in GOFLAGS, so LDFLAGS repeats it.
export GOFLAGS := -ldflags=-checklinkname=0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS := -checklinkname=0 -X main.version=$(VERSION)

# Tests of cold data need files on a disk: /tmp is in memory on many machines.
ifeq ($(TMPDIR)$(shell stat -f -c %T /tmp),tmpfs)
export TMPDIR := /var/tmp
endif

GO       ?= go
BIN      := bin/oneplusn
FUZZTIME ?= 10s
# PKGS narrows test and race: make test PKGS=./segment/...
PKGS     ?= ./...
# BENCHFLAGS goes to `oneplusn bench`: make bench BENCHFLAGS='--subscribers 1000 --transfer splice'
BENCHFLAGS ?= --transfer all --subscribers 100 --discard

.DEFAULT_GOAL := help
.PHONY: help demo build test check race fuzz sim sim-transfers mutants sweep bench bench-nginx bench-cold bench-groups interop interop-kgo compat-kafka clients-table crash clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: build ## count the copies of every transfer mode: 256 MiB, 10 subscribers
	$(BIN) copies --size 256MiB --subscribers 10

build: ## build the static binary bin/oneplusn
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags="$(LDFLAGS)" -o $(BIN) ./cmd/oneplusn

test: ## run the unit tests with every assertion (PKGS=./segment/... narrows)
	$(GO) test -tags invariants $(PKGS)

check: ## gofmt, go vet, the house rules, module checksums
	@unformatted=$$(gofmt -l cmd fanout ring segment); \
	if [ -n "$$unformatted" ]; then echo "gofmt -w is due for:"; echo "$$unformatted"; exit 1; fi
	$(GO) vet ./...
	$(GO) vet -tags invariants ./...
	$(GO) vet -tags interop ./cmd/internal/interop
	$(GO) vet -tags compat ./cmd/internal/compat
	$(GO) test -count=1 ./cmd/internal/tidy
	$(GO) mod verify

race: ## run the unit tests with every assertion under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -timeout 30m -tags invariants $(PKGS)

# go test fuzzes one target of one package at a time, so the targets are looked up. At the end of its time it sometimes fails
# with "context deadline exceeded" and no failing input: that is no finding.
fuzz: ## run every fuzz target for FUZZTIME (default 10s) each
	@set -e; log=$$(mktemp); trap 'rm -f "$$log"' EXIT; \
	grep -rl --include='*_test.go' '^func Fuzz' . | sort | while read -r file; do \
		for target in $$(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$$file"); do \
			echo "fuzz $$target in $$(dirname "$$file") for $(FUZZTIME)"; \
			failed=; \
			$(GO) test -run='^$$' -fuzz="^$$target\$$" -fuzztime=$(FUZZTIME) -fuzzminimizetime=20x "$$(dirname "$$file")" >"$$log" 2>&1 || failed=1; \
			cat "$$log"; \
			if [ -n "$$failed" ] && { grep -q 'Failing input' "$$log" || ! grep -q 'context deadline exceeded' "$$log"; }; then exit 1; fi; \
		done; \
	done

sim: ## the whole server in a simulated machine: SEED=n for one run, SEEDS=n for the first n (default 500), NIGHTLY=1 fails if a mark was never met
	GOGC=800 $(GO) test -count=1 -tags invariants -timeout 10h -run=Simulated -v ./fanout/scenario -args -sim.seed=$(or $(SEED),0) -sim.seeds=$(or $(SEEDS),500) $(if $(NIGHTLY),-sim.nightly)

sim-transfers: ## the transfers alone in a simulated machine: SEED=n for one run, SEEDS=n for the first n (default 20000)
	$(GO) test -count=1 -run=Simulated -v ./fanout/transfer -args -sim.seed=$(or $(SEED),0) -sim.seeds=$(or $(SEEDS),20000)

mutants: ## build the server with one deliberate bug at a time, and look for the seed of make sim that finds it (ONLY=regexp, SEEDS=n)
	$(GO) run ./cmd/internal/mutants -seeds $(or $(SEEDS),2000) -only '$(ONLY)'

sweep: ## send every request with its fields at their extremes, alone and in all pairs (PAIRS=n for fewer, SEED=n repeats a run)
	$(GO) test -count=1 -timeout 90m -run=AtTheExtremes -v ./fanout -args -sweep.turn=50ms -sweep.pairs=$(or $(PAIRS),0) -sweep.seed=$(or $(SEED),0)

bench: build ## run the load generator against a server that it starts (BENCHFLAGS=)
	$(BIN) bench $(BENCHFLAGS)

bench-nginx: build ## the same client and the same bytes: every mode beside nginx's sendfile
	$(BIN) bench $(BENCHFLAGS) --nginx auto

# The kernel drops nothing as long as memory is not short, and a limit needs root or a hand from systemd: so it is only said how.
bench-cold: BENCHFLAGS = --size 2GiB --hot-size 256MiB --discard
bench-cold: build ## hot readers beside one that reads everything from disk (it says how to run it with little memory)
	@echo "with little memory: sudo systemd-run --scope -p MemoryMax=512M $(BIN) bench --cold $(BENCHFLAGS)"
	$(BIN) bench --cold $(BENCHFLAGS)

bench-groups: build ## measure the CPU and memory of 5,000 consumer groups
	ONEPLUSN_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -v -tags interop,groups -run TestManyGroups ./cmd/internal/interop

# -parallel is for clients that wait side by side for their session timeouts, not for processors.
INTEROP = ONEPLUSN_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -tags interop -timeout 15m -parallel 8 ./cmd/internal/interop

interop: build ## real clients against bin/oneplusn, and the table client x promise
	$(INTEROP)
	@cat bin/interop/table.md

interop-kgo: build ## franz-go's own suite against bin/oneplusn, N times (default 10)
	$(INTEROP) -v -timeout 60m -run TestFranzGoSuite -suite-runs $(or $(N),10)

clients-table: build ## run the clients, and write their table into docs/clients.md
	$(INTEROP) -run TestEveryClientKeepsEveryPromise -rewrite

compat-kafka: build ## data directories to and from a real Apache Kafka (fetched by Maven once; needs JDK 17)
	ONEPLUSN_SERVER_BINARY=$(CURDIR)/$(BIN) $(GO) test -count=1 -tags compat -timeout 20m -v ./cmd/internal/compat

crash: build ## kill the server N times (default 300) under load and look for lost acknowledged records (SEED=)
	$(GO) run ./cmd/internal/crash -kills $(or $(N),300) $(if $(SEED),-seed $(SEED)) -binary $(BIN)

clean: ## remove bin/ and cached test results
	rm -rf bin
	$(GO) clean -testcache
