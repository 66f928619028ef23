# Peerkeeper. `make` alone says what there is. Only Go is needed; what else the
# checks would use, and skip without, `make setup` brings.

.DEFAULT_GOAL := help
.PHONY: help setup demo test modules skipped chaos quick vet lint vuln fmt tests infra build bench load fuzz mutate sim clean \
 invoke e2e node synth diff deploy cost iam deployer sbom licences

comma    := ,
GO       ?= go
LISTEN   ?= 127.0.0.1:8080
DIR      ?= demo
FUZZTIME ?= 20s
COUNT    ?= 5
ENV      ?= dev
CDK      ?= npx --yes aws-cdk@2.1148.1
# The Lambdas are every program under functions/ but the command. They run on
# arm64; GOARCH=amd64 make build builds them for such a machine.
FUNCTIONS = $(filter-out peerkeeper,$(patsubst functions/%/main.go,%,$(wildcard functions/*/main.go)))
ARCH     := $(or $(GOARCH),arm64)
# It is meant for the Lambdas alone, not for what runs here.
unexport GOARCH
# Without net/rpc and YAML, and without HTTP/2, which is some 400 KB that nobody
# asks for: Tomcat is spoken to in HTTP/1.1, and AWS speaks that as well.
TAGS     = lambda.norpc,nethttpomithttp2
# What speaks to AWS, HTTP, TLS and XML, what packs, logs and reads names, what is
# behind keys but for their arithmetic, and Peerkeeper itself but for what reads
# answers and logs, uninlined: some 840 KB less to load at each start. Nobody waits for their code, but for their network; judging
# a mesh takes as long.
LEAN     = -gcflags='github.com/aws/...=-l' -gcflags='net/...=-l' -gcflags='crypto/tls=-l' -gcflags='crypto/x509=-l' -gcflags='crypto/internal/...=-l' -gcflags='crypto/internal/fips140/bigmod=' -gcflags='crypto/internal/fips140/nistec/...=' -gcflags='crypto/internal/fips140/edwards25519/...=' -gcflags='crypto/internal/fips140/sha256=' -gcflags='crypto/internal/fips140/aes/...=' -gcflags='encoding/xml=-l' -gcflags='encoding/asn1=-l' -gcflags='encoding/json=-l' -gcflags='log/...=-l' -gcflags='regexp/...=-l' -gcflags='fmt=-l' -gcflags='os=-l' -gcflags='time=-l' -gcflags='mime/...=-l' -gcflags='vendor/...=-l' -gcflags='golang.org/x/...=-l' -gcflags='math/big=-l' -gcflags='compress/...=-l' -gcflags='bufio=-l' -gcflags='context=-l' -gcflags='io/...=-l' -gcflags='reflect=-l' -gcflags='strconv=-l' -gcflags='peerkeeper/...=-l' -gcflags='peerkeeper/shared/axl=' -gcflags='peerkeeper/shared/ciscolog=' -gcflags='peerkeeper/shared/soap='
# Nothing of the machine that builds: the same source gives the same bytes.
REPRODUCIBLE = -trimpath -buildvcs=false -ldflags='-s -w'
BUILT     = $(FUNCTIONS:%=dist/%/bootstrap) dist/peerkeeper
# The race detector where it can be built; it needs a C compiler. What computes in
# memory of its own runs without, which halves the time: the arithmetic of keys, the
# C of SQLite, whose memory the detector never sees, and decoders, not inlined, so
# that each value of ours that they read or write is a call into reflect, which is
# watched.
RACE      = $(shell GO="$(GO)" .ci/tools race)
UNWATCHED = encoding/... regexp/... crypto/ecdh crypto/internal/fips140/bigmod crypto/internal/fips140/edwards25519/... crypto/internal/fips140/nistec/... modernc.org/libc/... modernc.org/sqlite/lib
RACING    = $(if $(RACE),$(RACE) $(foreach p,$(UNWATCHED),-gcflags='$(p)=-race=0 -l -d=checkptr=0'))
# Packages tested with the race detector: all but infra, whose CDK runs a
# JavaScript process that the detector only slows down.
PACKAGES  = $(shell $(GO) list ./... | grep -v '/infra\(/\|$$\)')

# Tests of how much there may be, or how often, and plays from end to end. The detector makes minutes of them, and what runs
# at once in them runs at once in smaller ones: they are played without.
LARGE     = TestAFirstFullSyncThatNeverEnds|TestAFourthClusterJoinsAndLeaves|TestAPlanWhoseRunsAreKilledAllTheTimeEndsAsIfNoneWere|TestTheClockIsPutForwardAndBack|TestChaosRepeats|TestHighAvailabilityIsNotDisabledBeforeTheWindowOfItsRestarts|TestKilledAnywhereAPlanSetsAParameterOnce|TestKilledWhileAJoinIsLaidOutItHasAllItsSteps|TestALevelThatIsLoweredRaisesNothing|TestAnAlarmIsBounded|TestAnyFlippedBit|TestLogsOfALargeMesh|TestRestartsOfAWindowDoNotWaitForAPairThatDoesNotFit|TestStoryOfPlansPlaysToItsEnd|TestStoryPlaysToItsEnd|TestTwoClustersJoinAtOnce|TestTheItemFits|TestTrustOfThirtyClusters|TestWhatAPersonStoppedWaitsForAPerson|TestWhateverAClusterSendsNothingElseIsSpoiltAndEveryWordIsClean
LARGEIN   = ./functions/peerkeeper ./shared/alarm ./shared/certcheck ./shared/dashboard ./shared/demo ./shared/host ./shared/peering ./shared/peersync ./shared/store/bolt

# go test, which names at its end what was skipped, and why. Of vet there is a step
# of its own.
GOTEST    = $(GO) tool gotestsum --format=pkgname --format-hide-empty-pkg -- -vet=off

help: ## this list
	@echo "Peerkeeper watches the intercluster peers of Cisco IM and Presence meshes."
	@echo
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "The command itself: go run ./functions/peerkeeper --help"

demo: ## a simulated mesh, watched: the page is on http://127.0.0.1:8080 (LISTEN=host:port)
	$(GO) run ./functions/peerkeeper demo --listen $(LISTEN)

sim: ## a simulated mesh alone, its files in ./demo (DIR=folder)
	$(GO) run ./functions/peerkeeper sim --dir $(DIR)

setup: ## what the checks use beside Go (Debian, as root): a C compiler, Node, chromium, moto, two linters
	@GO="$(GO)" .ci/tools install

test: modules fmt vet lint vuln tests chaos infra licences skipped ## everything that must hold before a commit, about ten minutes on two cores
	@echo "all checks that can run here passed"

# What was not checked is the last thing that is read.
skipped:
	@GO="$(GO)" .ci/tools

quick: ## the tests alone, without the race detector
	$(GO) test $(PACKAGES)

# What is not on this machine yet is fetched first, so that what fails then is
# not taken for a fault of ours.
modules:
	@out=$$($(GO) list -deps -test ./... tool 2>&1 >/dev/null) || { echo "$$out" | tail -3; \
	case "$$out" in *x509:*) echo "this machine knows no certificate authority yet, and so Go can fetch no module: apt-get install ca-certificates" ;; esac; exit 1; }

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

# Chaos takes minutes under the race detector: a short run of it here, and the
# whole one without it in the next step.
tests:
	@echo "go test$(if $(RACE),, WITHOUT)$(if $(RACE),$(comma) with) the race detector, in a new order each time"
	@CHAOS_STEPS=80 $(GOTEST) $(RACING) -shuffle=on -timeout=15m $(if $(RACE),-skip='^($(LARGE))$$') $(PACKAGES)
	@$(if $(RACE),$(GOTEST) -run='^($(LARGE))$$' $(LARGEIN))

chaos: ## faults, crashes and overlapping runs over the whole engine (CHAOS_STEPS=2000 CHAOS_SEED=1; GUARD=again without that guard)
	@$(if $(GUARD),CHAOS_WITHOUT=$(GUARD)) $(GO) test ./shared/host -run='$(if $(GUARD),TestChaosWithout,TestChaos)$$' -count=1 -v -timeout=60m

# The stacks are built by a JavaScript program; without Node what remains is what
# reads environments and licences.
INFRA     = $(shell if command -v node >/dev/null; then echo ./infra/...; else echo ./infra/environment/... ./infra/supply/...; fi)
infra:
	@echo "go test of infra, $(if $(filter ./infra/...,$(INFRA)),the deployed stack played through included,WITHOUT the stacks)"
	@$(GOTEST) -timeout=12m $(INFRA)

build: ## the Lambdas with the mesh of ENV=dev, and the command: dist/NAME/bootstrap, dist/peerkeeper
	@for f in $(FUNCTIONS); do \
		CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) $(GO) build -tags $(TAGS) $(LEAN) $(REPRODUCIBLE) -o dist/$$f/bootstrap ./functions/$$f || exit 1; \
	done
	@$(GO) run ./shared/lambdahost/meshjson infra/environments/$(ENV).mesh.yaml $(FUNCTIONS:%=dist/%)
	@CGO_ENABLED=0 $(GO) build $(REPRODUCIBLE) -o dist/peerkeeper ./functions/peerkeeper
	@ls -l $(BUILT) | awk '{printf "%s: %.1f MB\n", $$NF, $$5/1e6}'

invoke: ## a built Lambda on its sample event, against a stand on this machine (FN=peersync, AFTER=peersync)
	@test -n "$(FN)" || { echo "which function? make invoke FN=peersync (one of $(FUNCTIONS))"; exit 2; }
	@$(GO) run ./shared/lambdahost/invoke $(if $(AFTER),-after dist/$(AFTER)/bootstrap) $(if $(EVENT),-event $(EVENT)) dist/$(FN)/bootstrap

e2e: ## what is deployed, in mode observe and in mode recover, played through against an AWS emulator
	@$(GO) test -count=1 -timeout=12m -v -run='AsDeployed$$' ./infra/e2e

# The CDK's command is Node's.
node:
	@command -v npx >/dev/null || { echo "the CDK runs in Node, which is missing: install Node 20 or later, https://nodejs.org"; exit 1; }

synth: node build ## the template of ENV=dev, into cdk.out; no account is needed
	$(CDK) synth --quiet -c env=$(ENV) $(CDKFLAGS)
	@ls cdk.out/peerkeeper-$(ENV).template.json

diff: node build ## what a deploy of ENV=dev would change
	$(CDK) diff -c env=$(ENV) $(CDKFLAGS)

deploy: node build ## ENV=dev into its account; its outputs say what to do next
	$(CDK) deploy -c env=$(ENV) $(CDKFLAGS)

cost: ## the month's bill of ENV=dev, line by line (CLUSTERS=30)
	@$(GO) run ./infra cost -env $(ENV) $(if $(CLUSTERS),-clusters $(CLUSTERS))

iam: ## who may do what, as in infra/README.md
	@$(GO) run ./infra iam

deployer: ## the policies that CloudFormation needs for ENV=dev, instead of AdministratorAccess
	@$(GO) run ./infra deployer -env $(ENV)

sbom: build ## the parts of each program that is built, as dist/NAME.cdx.json (CycloneDX 1.5)
	@$(GO) run ./infra/supply sbom -to dist $(BUILT)

licences: build ## the licence of every module that is linked; an unknown one fails
	@$(GO) run ./infra/supply licences $(BUILT)

bench: ## a tick and a certcheck against a simulator in its own process, the decoders, handshakes, a cold start, judging, a join of the 30th cluster, the audit of 2.25 million users
	$(GO) test -run='^$$' -bench='^BenchmarkTick' -benchtime=1x -timeout=20m -v ./functions/peerkeeper
	$(GO) test -run='^$$' -bench=Decode75000 -benchmem -count=$(COUNT) ./shared/axl
	$(GO) test -run='^$$' -bench='^BenchmarkScan100MB$$' -count=$(COUNT) ./shared/ciscolog
	$(GO) test -run='^$$' -bench=Probe -count=$(COUNT) ./shared/tlsprobe
	$(GO) test -run='^$$' -bench='^BenchmarkCertcheck30$$' -benchtime=5x ./shared/certcheck
	$(GO) test -run='^$$' -bench='^BenchmarkStart$$' -benchtime=30x ./shared/lambdahost
	$(GO) test -run='^$$' -bench='^BenchmarkJudge$$' -count=$(COUNT) ./shared/peer
	$(GO) test -run='^$$' -bench='^BenchmarkJoin30$$' -benchtime=1x -timeout=20m ./shared/host
	$(GO) test -run='^$$' -bench='^BenchmarkAudit$$' -benchtime=1x -timeout=20m ./shared/userset
	$(GO) test -run='^$$' -bench='^BenchmarkRun$$' -benchtime=3x ./shared/useraudit

load: ## 30 clusters of 15,000 users for 200 ticks, without and with 200 readers: what grows, who waits (LOAD_TICKS=40)
	@$(GO) test -run='^$$' -bench='^BenchmarkLoad$$' -benchtime=1x -timeout=40m -v ./functions/peerkeeper

fuzz: ## every fuzz test for 20 s each (FUZZTIME=1m)
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list='^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run='^$$' -fuzz="^$$f$$" -fuzztime=$(FUZZTIME) $$pkg || exit 1; \
		done; \
	done

# What the tests of these packages let pass is a wrong alarm or a wrong action.
MUTATED = ./shared/peer ./shared/certificate ./shared/repair ./shared/intervention ./shared/alarm ./shared/stucksync ./shared/run ./shared/record ./shared/cluster ./shared/certcheck

mutate: ## whether tests can fail: N=20 changes in each of MUTATED, by SEED=1, of which 90 in 100 must be noticed
	@$(GO) run ./shared/archtest/mutate -n $(or $(N),20) -seed $(or $(SEED),1) $(MUTATED)

clean: ## what was built and what a demo left behind
	rm -rf dist cdk.out demo
