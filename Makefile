# Thin: each target calls cargo or a script in deploy/. `make` alone lists them.

CARGO ?= cargo
.DEFAULT_GOAL := help
.PHONY: help setup build run figures test check calibrate chaos faults bench bench-train bench-coordinator bench-parts clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: ## Fetch libtorch and MNIST, once (CUDA=1 adds what a GPU node needs)
	@deploy/setup-libtorch.sh
	@deploy/setup-mnist.sh

build: setup ## Build everything, optimised, into target/release
	$(CARGO) build --release --workspace

run: build ## Train a real sweep here and show its results
	target/release/tenfold run configs/quickstart.toml

figures: build ## Run the small study of the 2019 report and write docs/study (ten minutes to half an hour on two cores)
	target/release/tenfold run configs/study-small.toml --results runs/study --report docs/study
	target/release/tenfold run configs/study-target.toml --results runs/study --report docs/study/target

test: setup ## Run all tests
	@deploy/setup-foreign.sh
	$(CARGO) build --workspace --all-targets
	$(CARGO) test --workspace

check: setup ## Formatting, lints with warnings denied, and all tests
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(MAKE) test
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

calibrate: setup ## Simulate how often intervals, verdicts and choices are right, and write docs/calibration.md (some minutes)
	TENFOLD_CALIBRATION=long $(CARGO) test --release --workspace --test calibration -- --nocapture --test-threads 2 $(ARGS)

chaos: setup ## Kill, stop, cut off and starve real processes for some 20 minutes, and see that nothing is lost
	$(CARGO) build --workspace --all-targets
	rm -f target/tmp/chaos-long.md
	TENFOLD_CHAOS=long $(CARGO) test -p tenfold --test chaos --test simulation -- --nocapture --test-threads 3 $(ARGS)
	@cat target/tmp/chaos-long.md

faults: setup ## Break promises on purpose, one at a time, and see that a test turns red
	@coordinator/tests/deliberate-faults.sh $(ARGS)

bench: bench-train bench-coordinator bench-parts ## Run all benchmarks

bench-train: setup ## How fast networks train, beside PyTorch (ARGS=--help says what can be chosen)
	$(CARGO) bench -p tenfold-trainer --bench train -- $(ARGS)

bench-coordinator: setup ## What a coordinator bears, beside Optuna and Ray Tune (ARGS=--help says what can be chosen)
	$(CARGO) bench -p tenfold --bench coordinator -- $(ARGS)

bench-parts: setup ## What the turn, decisions of a search and the results log cost by themselves
	$(CARGO) bench -p tenfold --bench turn --bench decisions --bench log

clean: ## Remove what was built; libtorch, MNIST and results stay
	$(CARGO) clean
