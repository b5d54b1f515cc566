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
