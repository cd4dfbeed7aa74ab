# make up to see it run, make test to test it; make alone lists the rest.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

# The packages whose tests need a Docker Engine; the rest runs anywhere.
E2E := ./e2e/...
UNIT = $(shell go list ./... | grep -v /e2e)

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

.PHONY: up
up: ## build and start the example, wait until traffic flows (LB_PORT, LB_ADMIN_PORT)
	@scripts/setup.sh curl
	@MAKE="$(MAKE)" scripts/up.sh

.PHONY: down
down: ## remove what make up made: containers, network, images, .env
	@scripts/down.sh

.PHONY: setup
setup: ## install or name what is missing; silent where all is there
	@scripts/setup.sh curl gcc ip slowhttptest

.PHONY: binaries
binaries: ## static binaries in dist/, for the engine's platform
	@mkdir -p dist; \
	arch=$$(docker version --format '{{.Server.Arch}}' 2>/dev/null || go env GOARCH); \
	echo "building lb and daemon for linux/$$arch"; \
	CGO_ENABLED=0 GOOS=linux GOARCH=$$arch go build -trimpath -ldflags '$(LDFLAGS)' -o dist/ ./cmd/lb ./cmd/daemon

.PHONY: images
images: binaries ## the images dockerlb and nt, from dist/; nothing is pulled
	@echo "building the images dockerlb and nt"
	@for of in lb=dockerlb daemon=nt; do \
		output=$$(docker build --target $${of%=*} -t $${of#*=} . 2>&1) || { echo "$$output"; exit 1; }; \
	done

.PHONY: build
build: ## lb for this machine, in bin/
	@CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/lb

.PHONY: check
check: ## within a minute: format, vet, staticcheck, unit tests
	@unformatted=$$(gofmt -l .); \
	if [ -n "$$unformatted" ]; then echo "not formatted (gofmt -w):"; echo "$$unformatted"; exit 1; fi
	go vet ./...
	go tool staticcheck ./...
	GOOS=darwin go build -o /dev/null ./cmd/lb
# Four at once on any machine: they wait more than they work.
	go test -short -p 4 -timeout 120s $(UNIT)

.PHONY: test
test: ## within five minutes, everything: race detector, real engine, real Compose
	@scripts/setup.sh curl gcc ip slowhttptest || [ "$${CI:-}" != true ]
	@docker version >/dev/null 2>&1 || echo "no Docker Engine answers: the tests on a real one are skipped"
	go test -race -timeout 10m $(UNIT)
	go test -count=1 -timeout 10m $(E2E)

.PHONY: bench
bench: build ## lb beside HAProxy, nginx and httputil.ReverseProxy: seven rounds, some ten minutes (QUICK=1: three, short)
	@go build -o bin/ ./cmd/bench
	@bin/bench -lb bin/lb $(if $(QUICK),-rounds 3 -seconds 1) $(if $(WORKS),-works $(WORKS))
	@go test -run '^TestSteadyGetAllocatesNothing$$' -bench '^BenchmarkGet$$' ./proxy | \
		awk '/^BenchmarkGet/ { print "\nsteady GET: " $$(NF - 1) " allocations per request (a test asserts none)" }'

.PHONY: profile
profile: ## where lb's time goes under small GETs (WORKS=1m: another work); kept in bin/lb.prof
	@CGO_ENABLED=0 go build -trimpath -tags pprof -ldflags '$(LDFLAGS)' -o bin/lb-pprof ./cmd/lb
	@go build -o bin/ ./cmd/bench
	@bin/bench -lb bin/lb-pprof -profile bin/lb.prof -seconds 10 $(if $(WORKS),-works $(WORKS))
	@go tool pprof -top -nodecount=30 bin/lb.prof 2>/dev/null

.PHONY: bench-go
bench-go: ## the Go benchmarks
	go test -run '^$$' -bench . -benchmem $(UNIT)

.PHONY: bench-discovery
bench-discovery: setup ## how fast containers join and leave, one by one and by the thousand: figures, no test
	go test -run '^$$' -bench Discovery -benchtime 200x -timeout 30m $(E2E)
	go run ./cmd/bench-discovery

.PHONY: storm
storm: setup ## lose nothing while Docker moves the backends: a few minutes (SEED, RATE, TARGET; LONG=1: 30 minutes)
	go run ./cmd/storm $(if $(SEED),--seed $(SEED)) $(if $(RATE),--rate $(RATE)) $(if $(TARGET),--target $(TARGET)) $(if $(LONG),--seeds 20 --limit 82s --rest 65s)

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME (10s)
	@for package in $(UNIT); do \
		for target in $$(go test -list '^Fuzz' $$package | grep '^Fuzz' || true); do \
			echo "$$package $$target"; \
			go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $${FUZZTIME:-10s} -fuzzminimizetime 10x $$package; \
		done; \
	done

.PHONY: clean
clean: ## remove bin/ and dist/
	rm -rf bin dist
