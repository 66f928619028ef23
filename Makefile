# Peerkeeper. `make` alone says what there is. Only Go is needed.

.DEFAULT_GOAL := help
.PHONY: help demo test quick vet lint vuln fmt tests infra build bench fuzz sim clean

GO       ?= go
LISTEN   ?= 127.0.0.1:8080
DIR      ?= demo
FUZZTIME ?= 20s
COUNT    ?= 5
# Packages tested with the race detector: all but infra, whose CDK runs a
# JavaScript process that the detector only slows down.
PACKAGES  = $(shell $(GO) list ./... | grep -v '/infra\(/\|$$\)')

help: ## this list
	@echo "Peerkeeper watches the intercluster peers of Cisco IM and Presence meshes."
	@echo
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "The command itself: go run ./functions/peerkeeper --help"

demo: ## a simulated mesh, watched: the page is on http://127.0.0.1:8080 (LISTEN=host:port)
	$(GO) run ./functions/peerkeeper demo --listen $(LISTEN)

sim: ## a simulated mesh alone, its files in ./demo (DIR=folder)
	$(GO) run ./functions/peerkeeper sim --dir $(DIR)

test: fmt vet lint vuln tests infra ## everything that must hold before a commit, under ten minutes on two cores
	@echo "all checks passed"

quick: ## the tests alone, without the race detector
	$(GO) test $(PACKAGES)

fmt:
	@echo "gofmt: every file as gofmt writes it"
	@files=$$(gofmt -l functions shared testdata $$(ls -d infra 2>/dev/null)); test -z "$$files" || { echo "not as gofmt writes it:"; echo "$$files"; exit 1; }

vet:
	@echo "go vet"
	@$(GO) vet ./...

lint: ## staticcheck alone
	@echo "staticcheck"
	@$(GO) tool staticcheck ./...

# A finding fails; an unreachable database does not: what it would have said is
# then not known, and the line says so.
vuln:
	@echo "govulncheck"
	@db="$${GOVULNDB:-https://vuln.go.dev}"; \
	out=$$($(GO) tool govulncheck -db "$$db" ./... 2>&1); code=$$?; \
	if [ $$code -eq 0 ] || [ $$code -eq 3 ]; then echo "$$out" | tail -40; exit $$code; fi; \
	case "$$out" in \
	*"fetching vulnerabilities"*|*"dial tcp"*|*"no such host"*|*"Forbidden"*|*"HTTP GET"*) echo "govulncheck SKIPPED: the vulnerability database $$db cannot be reached from here:"; echo "$$out" | tail -1 ;; \
	*) echo "$$out"; exit $$code ;; \
	esac

tests:
	@echo "go test, with the race detector, in a new order each time"
	@$(GO) test -race -shuffle=on -timeout=9m $(PACKAGES)

infra:
	@if [ -d infra ]; then echo "go test of infra"; $(GO) test -timeout=9m ./infra/...; fi

build: ## the command as one file, dist/peerkeeper
	@mkdir -p dist
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags='-s -w' -o dist/peerkeeper ./functions/peerkeeper
	@ls -l dist/peerkeeper | awk '{printf "dist/peerkeeper: %.1f MB\n", $$5/1e6}'

bench: ## a tick measured against a simulator in its own process, and the decoders
	$(GO) test -run='^$$' -bench='^BenchmarkTick' -benchtime=1x -timeout=20m -v ./functions/peerkeeper
	$(GO) test -run='^$$' -bench=Decode75000 -benchmem -count=$(COUNT) ./shared/axl
	$(GO) test -run='^$$' -bench=Probe -count=$(COUNT) ./shared/tlsprobe

fuzz: ## every fuzz test for 20 s each (FUZZTIME=1m)
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list='^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run='^$$' -fuzz="^$$f$$" -fuzztime=$(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

clean: ## what was built and what a demo left behind
	rm -rf dist cdk.out demo
