# `make` lists what there is. The scripts find or fetch a Node that is new enough by themselves.
NODE := scripts/node.sh

.DEFAULT_GOAL := help
.PHONY: help setup provision demo test lint bench bench-quick soak dev-up dev-down run-watcher run-writer run-gateway-embedded run-nats3 clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

setup: ## install what a checkout needs: Node and the npm packages
	@scripts/setup.sh

provision: setup ## put all servers that the tests use into the cache
	@$(NODE) scripts/provision.ts

demo: setup ## follow a real Elasticsearch with a real OpenSearch and compare them (KEEP=1 leaves it running)
	@$(NODE) scripts/demo.ts

test: setup ## run all tests on real servers (ONLY=unit or another folder, FILES="a.test.ts ...")
	@$(NODE) scripts/test.ts $(ONLY) $(FILES)

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
