#!/usr/bin/env bash
# Lets schemathesis (from PyPI) make up requests from the server's own OpenAPI document, against a
# server on a small demo company: no 5xx, no answer that the document does not describe.
#
# HUICUN_EXAMPLES (12) requests made up for each route; more take longer.
# HUICUN_SCHEMATHESIS_VENV keeps the Python packages ($CARGO_TARGET_DIR/schemathesis).
set -euo pipefail
cd "$(dirname "$0")/.."
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/huicun-target}"
version=4.32.5
venv="$(realpath -m "${HUICUN_SCHEMATHESIS_VENV:-$CARGO_TARGET_DIR/schemathesis}")"

if ! "$venv/bin/schemathesis" --version 2>/dev/null | grep -qF "$version"; then
    rm -rf "$venv"
    if ! { python3 -m venv "$venv" && "$venv/bin/pip" install -q "schemathesis==$version"; }; then
        # A machine without Python or without PyPI still has all other tests.
        echo "skipped: schemathesis $version cannot be installed here"
        exit 0
    fi
fi

export SCHEMATHESIS_HOOKS="$PWD/scripts/schemathesis_hooks.py"
if [ -z "${HUICUN_UNDER_TEST:-}" ]; then
    cargo build --locked --workspace --bins
fi
bin="$(realpath "${HUICUN_UNDER_TEST:-$CARGO_TARGET_DIR/debug/huicun}")"
dir="$(mktemp -d)"
server=""
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$dir"
}
trap finish EXIT
huicun() { "$bin" --data "$dir/data" --config "$dir/huicun.toml" "$@"; }

huicun demo make "$dir/company" --messages 3000 --employees 24 --days 10 >/dev/null
huicun import directory "$dir/company/directory" >/dev/null
huicun import messages "$dir/company/messages.ndjson" >/dev/null
functions=(messages.search messages.read media.read exports sql figures.read behaviours.read
    behaviours.review rules.read rules.write directory.write ledger.read operations.read audit.read
    tokens.manage)
token="$(huicun token create --name schemathesis "${functions[@]/#/--function=}" 2>/dev/null)"
"$bin" --data "$dir/data" --config "$dir/huicun.toml" serve --listen 127.0.0.1:0 --without-pull \
    >"$dir/address" 2>"$dir/log" &
server=$!
for _ in $(seq 100); do
    [ -s "$dir/address" ] && break
    sleep 0.1
done
url="$(head -1 "$dir/address")"

# What a route does with what the document does not allow is tested by hand (cli/tests/it); here it
# is what must never happen, whatever comes.
checks=not_a_server_error,status_code_conformance,content_type_conformance
checks+=,response_headers_conformance,response_schema_conformance,ignored_auth
# One worker: CPython 3.11 keeps the depth of ast.parse, which hypothesis calls, in one place for all
# threads, and two of them at once end now and then in "AST constructor recursion depth mismatch".
# It remembers in its folder what it found.
cd "$dir"
if ! "$venv/bin/schemathesis" --no-color run "$url/openapi.json" \
    --header "Authorization: Bearer $token" --checks "$checks" --mode all \
    --phases examples,coverage,fuzzing --max-examples "${HUICUN_EXAMPLES:-12}" --seed 1 \
    --workers 1 --request-timeout 60 "$@"; then
    echo "error: schemathesis found something; the server's log:" >&2
    tail -40 "$dir/log" >&2
    exit 1
fi
kill -0 "$server" || { echo "error: the server has ended" >&2; exit 1; }
