#!/usr/bin/env bash
# Every test: formatting, lints, unit, property, golden and end-to-end tests.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh

step() { printf '\n== %s\n' "$*"; }

step "formatting"
cargo fmt --all --check

step "lints (warnings are errors)"
cargo clippy --workspace --all-targets --locked -- -D warnings

step "build"
# The simulator's shared object and the worker binaries are built before the tests that load them.
cargo build --workspace --all-targets --locked

step "tools of the fault tests, and a copy of the real library where one can be had"
# Without root, a C compiler or strace those tests say that they were skipped, and why.
need_debian strace strace || true
need_debian mkfs.ext4 e2fsprogs || true
# shellcheck source=scripts/real-sdk.sh
. scripts/real-sdk.sh

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked
else
    cargo test --workspace --locked
fi

step "the running server against its own description"
scripts/schemathesis.sh

step "the two READMEs say the same, and the scripts are sound"
scripts/check-docs.sh
