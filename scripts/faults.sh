#!/usr/bin/env bash
# The fault suites in full (`make faults`), and a table of what each did.
#
# Suites that are done are not begun again: what is left of a run that was stopped goes on with
# the same command; `scripts/faults.sh afresh` begins anew. Each suite has two hours at most.
#
# HUICUN_FAULTS_SUITES (all): names of suites to run, as in the table's first column.
# HUICUN_FAULTS_SEED: another seed than the suites' own. HUICUN_FAULTS_OUT (target folder): the record.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/setup.sh
. scripts/setup.sh
need_debian strace strace
need_debian mkfs.ext4 e2fsprogs
need_debian unshare util-linux
# shellcheck source=scripts/real-sdk.sh
. scripts/real-sdk.sh

# Read whole before it begins: the file may be changed while it runs for an hour.
main() {
out="${HUICUN_FAULTS_OUT:-$CARGO_TARGET_DIR/faults}"
[ "${1:-}" = afresh ] && rm -rf "$out"
mkdir -p "$out"
commit="$(git rev-parse --short HEAD)$(git diff --quiet HEAD || echo +)"
if [ "$(cat "$out/commit" 2>/dev/null)" != "$commit" ]; then
    # What another state of the sources did says nothing of this one.
    rm -f "$out"/*.done "$out/report.tsv"
    printf '%s' "$commit" >"$out/commit"
fi
export HUICUN_FAULTS=full HUICUN_FAULTS_REPORT="$out/report.tsv"

# A suite and the tests that make it up. The long ones come first: two run side by side.
suites=(
    "kills|test(kills_of_a_pull)"
    "power|test(/faults::power/)"
    "calls-kill|test(a_kill_at_any_call)"
    "calls-write|test(a_write_that_fails) + test(a_torn_write)"
    "calls-sync|test(a_sync_that_fails)"
    "calls-full|test(a_disk_that_is_full)"
    "strace|test(by_strace) + test(the_shim_counts)"
    "disk-full|test(/faults::disk_full/)"
    "pullers|test(/faults::pullers/)"
    "sdk|test(/faults::sdk/)"
    "pages|test(/faults::odd_pages/)"
    "upkeep|test(/faults::upkeep/)"
    "media|test(/media::many_files/) + test(/media::a_kill_or_an_error/)"
    "bits|test(/storage::one_flipped/)"
    "model|test(/faults::model/)"
    "real|test(/real_library/)"
)

echo "building"
cargo build --workspace --all-targets --locked
cargo nextest --version >/dev/null 2>&1 || { echo "error: the fault suites need cargo-nextest: cargo install --locked cargo-nextest" >&2; exit 1; }

one() { # name filter
    local began=$SECONDS status=failed
    timeout 7200 cargo nextest run --workspace --locked --no-fail-fast --no-tests=fail \
        -E "package(huicun-cli) & ($2) + package(huicun-ffi-finance-sdk) & ($2)" \
        >"$out/$1.log" 2>&1 && status=passed
    echo "$1 $status after $((SECONDS - began)) s"
    printf '%s %s\n' "$status" "$((SECONDS - began))" >"$out/$1.result"
    if [ "$status" = passed ]; then touch "$out/$1.done"; fi
}

# As many suites at once as there are cores: they wait for disks and processes more than they compute.
running=0
for suite in "${suites[@]}"; do
    name="${suite%%|*}"
    if [ -n "${HUICUN_FAULTS_SUITES:-}" ] && [[ " $HUICUN_FAULTS_SUITES " != *" $name "* ]]; then continue; fi
    if [ -e "$out/$name.done" ]; then echo "$name was done"; continue; fi
    one "$name" "${suite#*|}" &
    running=$((running + 1))
    if [ "$running" -ge "$(nproc)" ]; then wait -n; running=$((running - 1)); fi
done
wait

echo
echo "commit $commit, $(nproc) cores"
{
    printf 'suite\tcases\tseed\tseconds\twhat\n'
    sort -u "$out/report.tsv" 2>/dev/null || true
} | awk -F'\t' '{ printf "%-44s %8s %6s %8s  %s\n", $1, $2, $3, $4, $5 }'
failed=0
for suite in "${suites[@]}"; do
    name="${suite%%|*}"
    [ -e "$out/$name.result" ] || continue
    if ! grep -q '^passed' "$out/$name.result"; then
        failed=1
        echo "failed: $name, see $out/$name.log"
    fi
done
exit "$failed"
}
main "$@"
