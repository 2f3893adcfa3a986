# `make` lists what there is. The scripts find or fetch a Node that is new enough by themselves.
NODE := scripts/node.sh

.DEFAULT_GOAL := help
.PHONY: help setup provision demo test lint bench bench-quick soak soak-nats3 dev-up dev-down run-watcher run-writer run-gateway-embedded run-nats3 clean build release musl dist tarball release-check docker-build docker-push firecracker-rootfs firecracker-kernel

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-28s %s\n", $$1, $$2 }'

setup: ## install what a checkout needs: Node and the npm packages
	@scripts/setup.sh

provision: setup ## put all servers that the tests use into the cache
	@$(NODE) scripts/provision.ts

demo: setup ## follow a real Elasticsearch with a real OpenSearch and compare them (KEEP=1 leaves it running)
	@$(NODE) scripts/demo.ts

test: setup ## run all tests on real servers (ONLY=unit or another folder, FILES="a.test.ts ...")
	@$(NODE) scripts/test.ts $(ONLY) $(FILES)

build: setup ## check types and bundle all programs into one file, dist/bundle/es-sync.cjs
	@$(NODE) --with tsc --noEmit
	@$(NODE) scripts/release.ts build

release: setup ## make the executable that is all programs, dist/linux-x64/es-sync, with nats-server beside it
	@$(NODE) scripts/release.ts release

musl: setup ## the same for systems without glibc, dist/linux-x64-musl
	@$(NODE) scripts/release.ts musl

dist: setup ## lay out what the archives hold: executables, completions, licences, bill of materials (dist/es-sync-gateway-*)
	@$(NODE) scripts/release.ts dist

tarball: setup ## make the archives and the npm package, the same bytes each time
	@$(NODE) scripts/release.ts tarball

release-check: setup ## build a release and look at all of it (ARGS="--unreleased --twice")
	@$(NODE) scripts/release.ts check $(ARGS)

docker-build: setup ## build the container image es-sync-gateway:VERSION (IMAGE=..., VERSION=..., LOCAL=1 builds what goes in on this machine)
	@IMAGE='$(IMAGE)' VERSION='$(VERSION)' LOCAL='$(LOCAL)' $(NODE) scripts/docker.ts build

docker-push: setup ## push it to the registry that its name begins with, for amd64 and arm64 (TO=oci:DIRECTORY)
	@IMAGE='$(IMAGE)' VERSION='$(VERSION)' TO='$(TO)' $(NODE) scripts/docker.ts push

firecracker-rootfs: release ## make the root drive of a microVM with nats-gateway --embedded, dist/firecracker/rootfs.ext4
	@$(NODE) scripts/firecracker.ts rootfs

firecracker-kernel: setup ## build its kernel from Debian's source, dist/firecracker/vmlinux
	@$(NODE) scripts/firecracker.ts kernel

lint: setup ## check style, format, types and dead code
	@failed=0; for tool in 'oxlint --type-aware' 'oxfmt --check' 'tsc --noEmit' knip; do \
	  echo "$$tool"; $(NODE) --with $$tool || failed=1; \
	done; exit $$failed

bench: setup ## run all benchmarks
	@$(NODE) bench/run.ts

bench-quick: setup ## run a few small benchmarks; fails when a ratio falls short
	@$(NODE) bench/run.ts --quick

soak: setup ## compare both sides under faults, over and over (MINUTES=30, SEED=...)
	@$(NODE) test/faults/soak.ts

soak-nats3: setup ## store and load a million messages while the server is killed, and compare (MESSAGES=1000000, SEED=...)
	@$(NODE) test/faults/soak-nats3.ts

dev-up: setup ## start a stack that stays: Elasticsearch 9200, OpenSearch 9201, NATS 4222 (DEV_SOURCE_PORT, DEV_TARGET_PORT, DEV_NATS_PORT)
	@$(NODE) scripts/dev.ts up

dev-down: ## stop that stack, keep its data
	@$(NODE) scripts/dev.ts down

run-watcher: setup ## run es-watcher against that stack (ARGS="--log-level debug")
	@settings=$$($(NODE) scripts/dev.ts env watcher) && eval "$$settings" && exec bin/es-watcher $(ARGS)

run-writer: setup ## run es-writer against that stack (ARGS=...)
	@settings=$$($(NODE) scripts/dev.ts env writer) && eval "$$settings" && exec bin/es-writer $(ARGS)

run-gateway-embedded: setup ## run nats-gateway with a NATS server of its own, on 127.0.0.1:4222 (ARGS="--exclude-patterns 'secret-*'")
	@settings=$$($(NODE) scripts/dev.ts env gateway) && eval "$$settings" && exec bin/nats-gateway --embedded $(ARGS)

run-nats3: setup ## run nats3 with a NATS and an S3 server of its own, on ports 4222, 7070 and 8080 (ARGS="--log-level debug")
	@$(NODE) examples/stack.ts $(ARGS)

clean: ## stop that stack and remove its data; installed servers stay
	@$(NODE) scripts/dev.ts clean
