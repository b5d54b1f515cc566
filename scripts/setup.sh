# Sourced by the other scripts: installs what a fresh Debian machine lacks.
# Needs only git, make, a C compiler and Rust (rustup or Debian's).

export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$HOME/.cache/huicun-target}"
[ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }

need_debian() { # command package
    command -v "$1" >/dev/null 2>&1 && return
    echo "installing $2 (for $1)"
    as_root apt-get install -y -qq "$2" >/dev/null || { as_root apt-get update -qq && as_root apt-get install -y -qq "$2" >/dev/null; }
}

command -v cargo >/dev/null 2>&1 || { echo "error: Rust is missing; install it from https://rustup.rs" >&2; exit 1; }
need_debian cc gcc
need_debian curl curl

# Several checkouts share the target folder, and cargo tells what is stale by the age of files: what
# another checkout built later would be taken for ours. So ours are made new when we come after it.
fresh_checkout() {
    local stamp="$CARGO_TARGET_DIR/huicun-checkout"
    [ "$(cat "$stamp" 2>/dev/null)" = "$PWD" ] && return
    { git ls-files -z -- '*.rs' '*.toml' '*.txt' '*.json' || true; } | xargs -0 -r touch -c
    mkdir -p "$CARGO_TARGET_DIR" && printf '%s' "$PWD" >"$stamp"
}
fresh_checkout
