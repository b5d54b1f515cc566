#!/usr/bin/env bash
# Builds huicun, makes a demo company, pulls it through the simulator's shared object, asks it
# something, and leaves the server running. `demo.sh stop` ends the server.
#
# HUICUN_DEMO_MESSAGES (200000), HUICUN_DEMO_EMPLOYEES (320), HUICUN_DEMO_DAYS (60),
# HUICUN_DEMO_LISTEN (127.0.0.1:8787), HUICUN_DEMO_DIR (demo), HUICUN_DEMO_PROFILE (release).
set -euo pipefail
cd "$(dirname "$0")/.."
dir="${HUICUN_DEMO_DIR:-demo}"

stop_server() {
    if [ -f "$dir/server.pid" ]; then
        kill "$(cat "$dir/server.pid")" 2>/dev/null || true
        rm -f "$dir/server.pid"
    fi
}
if [ "${1:-}" = stop ]; then stop_server; exit 0; fi

# shellcheck source=scripts/setup.sh
. scripts/setup.sh
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }

profile="${HUICUN_DEMO_PROFILE:-release}"
say "1. build ($profile; the first time takes about half an hour on two cores)"
if [ "$profile" = release ]; then
    cargo build --release --locked --workspace --bins --lib
else
    cargo build --locked --workspace --bins --lib
    profile=debug
fi
bin="$CARGO_TARGET_DIR/$profile"
huicun() { "$bin/huicun" --data "$dir/data" --config "$dir/huicun.toml" "$@"; }

say "2. make a demo company with ${HUICUN_DEMO_MESSAGES:-200000} messages and seal it on a tape"
stop_server
rm -rf "$dir"
mkdir -p "$dir"
huicun demo make "$dir/company" --messages "${HUICUN_DEMO_MESSAGES:-200000}" \
    --employees "${HUICUN_DEMO_EMPLOYEES:-320}" --days "${HUICUN_DEMO_DAYS:-60}" >"$dir/company.json"
huicun tape make "$dir/company/messages.ndjson" -o "$dir/tape" --corpid wwdemo --secret demo-secret
cat >"$dir/huicun.toml" <<TOML
# The demo's configuration: the simulator stands where Tencent's library would.
[[corp]]
corpid = "wwdemo"
secret = "demo-secret"
sdk_library = "$bin/libhuicun_simulator.so"
[corp.keys]
1 = "tape/keys/v1.pem"
2 = "tape/keys/v2.pem"
TOML
# It holds a secret; `huicun doctor` warns of one that others can read.
chmod 600 "$dir/huicun.toml"

say "3. pull it through the SDK's C interface: unseal, decrypt, archive, index"
export FINANCE_SDK_TAPE="$PWD/$dir/tape"
case "$dir" in /*) FINANCE_SDK_TAPE="$dir/tape" ;; esac
huicun import directory "$dir/company/directory"
huicun pull --once

say "4. search: 退款 (the newest five)"
huicun search 退款 --limit 5 --format table

say "5. report: the first employees by dialogue and reply metrics"
huicun report employees --metrics dialogues,dialogues_replied,reply_rate,first_reply_avg,unanswered \
    --format table | head -14
huicun report employees --format xlsx -o "$dir/employees.xlsx"

say "6. serve"
token="$(huicun token create --name demo 2>/dev/null)"
nohup "$bin/huicun" --data "$dir/data" --config "$dir/huicun.toml" serve \
    --listen "${HUICUN_DEMO_LISTEN:-127.0.0.1:8787}" >"$dir/server.out" 2>"$dir/server.log" &
echo $! >"$dir/server.pid"
url=""
for _ in $(seq 100); do
    url="$(head -1 "$dir/server.out" 2>/dev/null || true)"
    [ -n "$url" ] && break
    sleep 0.1
done
[ -n "$url" ] || { echo "error: the server did not start:" >&2; cat "$dir/server.log" >&2; exit 1; }
curl -fsS "$url/readyz"; echo
cat <<TXT

The server is running (make demo-stop ends it). Try:

  curl -H 'Authorization: Bearer $token' '$url/v1/search?q=%E5%8F%91%E8%B4%A7&limit=3'
  curl -H 'Authorization: Bearer $token' '$url/v1/reports/employees?metrics=dialogues,reply_rate'
  curl -H 'Authorization: Bearer $token' '$url/v1/dialogues?limit=3'
  curl '$url/openapi.json'

The spreadsheet is $dir/employees.xlsx; the archive's Parquet files are under $dir/data/tables.
TXT
