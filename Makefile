# Two commands: `make demo` runs the product on real input, `make test` runs every test.
# Both do their own set-up on a fresh Debian machine with git, make, a C compiler and Rust.

CARGO_TARGET_DIR ?= $(HOME)/.cache/huicun-target
export CARGO_TARGET_DIR

.PHONY: demo demo-stop test schemathesis faults bench clean

demo:
	@scripts/demo.sh

demo-stop:
	@scripts/demo.sh stop

test:
	@scripts/test.sh

# The running server against its own OpenAPI document, with more requests than `make test` makes up.
schemathesis:
	@HUICUN_EXAMPLES=$${HUICUN_EXAMPLES:-100} scripts/schemathesis.sh

# The fault suites with their full counts; about an hour on two cores, and goes on where it stopped.
faults:
	@scripts/faults.sh

bench:
	cargo bench --workspace

clean:
	@scripts/demo.sh stop
	rm -rf demo
