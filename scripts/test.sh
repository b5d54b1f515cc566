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

step "tests"
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --locked
else
    cargo test --workspace --locked
fi

step "the two READMEs say the same, and the scripts are sound"
scripts/check-docs.sh
