#!/usr/bin/env bash
# The READMEs are twins (same headings, same commands), and no path of a machine is in the tree.
set -euo pipefail
cd "$(dirname "$0")/.."
commands() { awk '/^```/{inside=!inside; next} inside' "$1"; }
headings() { grep -c '^#' "$1"; }
diff <(commands README.md) <(commands README.zh-CN.md) || { echo "error: README.md and README.zh-CN.md show different commands" >&2; exit 1; }
[ "$(headings README.md)" = "$(headings README.zh-CN.md)" ] || { echo "error: README.md and README.zh-CN.md have different sections" >&2; exit 1; }
if git grep -nE '(^|[^A-Za-z0-9_.])/(work|farm|root|home)/' -- . ':!*.lock' ':!scripts/check-docs.sh'; then
    echo "error: a path of a machine is in the tree" >&2
    exit 1
fi
for script in scripts/*.sh .ci/run; do bash -n "$script"; done
echo "ok"
