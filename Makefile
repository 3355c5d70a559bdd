# `make` or `make help` lists the targets. Nothing here needs more than Go and make: larder-dev brings the servers.

DEV_DIR := $(or $(LARDER_DEV_DIR),.dev)
LARDER_DEV := $(DEV_DIR)/bin/larder-dev
LINT := go tool -modfile=tools/go.mod golangci-lint

# The race detector takes a C compiler, which Go finds or does without.
RACE := $(if $(filter 1,$(shell go env CGO_ENABLED)),-race)
FUZZ_TIME ?= 60s
CRASH_ROUNDS ?= 50
PROBE_ROUNDS ?= 4000
TEST_TIMEOUT ?= 40m
PACKAGES ?= ./...

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: run
run: larder-dev ## Run PostgreSQL, Redis, both services and a demo family, until Ctrl-C
	@$(LARDER_DEV) run

.PHONY: test
test: larder-dev ## Run every test, on PostgreSQL and Redis of its own
	@$(if $(RACE),,echo "make: no C compiler, so the tests run without the race detector" >&2)
	@$(LARDER_DEV) test -- go test $(RACE) -shuffle=on -timeout $(TEST_TIMEOUT) $(PACKAGES)

.PHONY: check
check: format vet lint tidy fix ## Check format, vet, linters, go.mod and outdated idioms

.PHONY: bench
bench: larder-dev ## Measure both services; the figures also go to .dev/bench.json
	@$(LARDER_DEV) test -- go run ./tests/bench

.PHONY: types
types: larder-dev ## Write the types of the TypeScript client afresh, from what the API says of itself
	@LARDER_UPDATE=1 $(LARDER_DEV) test -- go test -count=1 -run '^TestTypeScriptClient$$' ./tests/rp

.PHONY: fuzz
fuzz: larder-dev ## Fuzz each parser for a minute (FUZZ_TIME)
	@grep -rl --include='*_test.go' '^func Fuzz' . | xargs -n1 dirname | sort -u | while read -r package; do \
		for target in $$(grep -ho '^func Fuzz[A-Za-z0-9_]*' $$package/*_test.go | cut -d' ' -f2); do \
			$(LARDER_DEV) test -- go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ_TIME) $$package || exit 1; \
		done; \
	done

.PHONY: crash
crash: larder-dev ## Kill both services and PostgreSQL in the midst of writes, fifty times each (CRASH_ROUNDS)
	@LARDER_CRASH_ROUNDS=$(CRASH_ROUNDS) $(LARDER_DEV) test -- go test -count=1 -v ./tests/crash

.PHONY: probe
probe: larder-dev ## Have two families probe each other a hundred thousand times (PROBE_ROUNDS)
	@$(LARDER_DEV) test -- go test -count=1 -timeout 60m -v -run TestFamiliesKeepToThemselves ./resourceapi -rapid.checks=$(PROBE_ROUNDS)

.PHONY: services
services: larder-dev ## Keep the servers for tests running, so that plain go test finds them
	@$(LARDER_DEV) services

.PHONY: fmt
fmt: ## Format the source
	@$(LINT) fmt

.PHONY: clean
clean: larder-dev ## Remove all that run and test made, data included
	@$(LARDER_DEV) clean

.PHONY: larder-dev
larder-dev:
	@go build -o $(LARDER_DEV) ./internal/devstack/larder-dev

.PHONY: format vet lint tidy fix
format:
	$(LINT) fmt --diff
vet:
	go vet ./...
lint:
	$(LINT) run
tidy:
	go mod tidy -diff
fix:
	go fix -diff ./...
