# Everything that is done to the tree, by name. Longer recipes are the scripts in .ci/.

FUZZTIME ?= 20s
BENCH    ?= .

.PHONY: help test quick lint tidy tools servers bench fuzz cover

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

test: tools servers lint ## everything, as CI runs it: lint, consumer, fuzz, all tests under the race detector
	.ci/consumer
	.ci/fuzz $(FUZZTIME)
	.ci/test

quick: ## the inner loop: the released module's tests, with a tenth of the model's interleavings
	go test -short ./...

lint: tools ## gofmt, tidiness, allowed requirements, go vet, golangci-lint, shellcheck
	.ci/lint

tidy: ## go mod tidy in every module
	go list -m -f '{{.Dir}}' | xargs -n 1 sh -c 'cd "$$0" && go mod tidy'

tools: ## install what make test needs: a C compiler, shellcheck, ./bin/golangci-lint
	.ci/install tools

servers: ## install what the integration tests start: PostgreSQL, MariaDB, Redis, Node.js, Chromium
	.ci/install servers

bench: servers ## every benchmark beside its peer, in benchstat's table; BENCH=regexp picks
	.ci/bench '$(BENCH)'

fuzz: ## every fuzz target for FUZZTIME each
	.ci/fuzz $(FUZZTIME)

cover: ## statement coverage of the released module, by function
	@mkdir -p bin
	go test -coverpkg ./... -coverprofile bin/cover.out ./...
	go tool cover -func bin/cover.out
