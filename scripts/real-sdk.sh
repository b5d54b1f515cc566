# Sourced by the test scripts: a copy of Tencent's own library for the tests that load it.
#
# Two packages of PyPI carry the real x86-64 library. It is downloaded once into the user's cache
# (never into this tree, and it is not ours to pass on), checked by its SHA-256, and named by
# FINANCE_SDK_REAL. The tests run it in a namespace without a network. Where pip, the registry or
# the architecture is missing this says so, and those tests say that they were skipped.

real_sdk() {
    local sha=79ced4de6b18d5e96a21cd06f325794dc8957f8925120538d56d4ce827d3dfd0
    local cache="${XDG_CACHE_HOME:-$HOME/.cache}/huicun-sdk"
    local library="$cache/libWeWorkFinanceSdk_C.so"
    local scratch package found
    is_it() { [ "$(sha256sum "$1" 2>/dev/null | cut -d' ' -f1)" = "$sha" ]; }
    if [ -n "${FINANCE_SDK_REAL:-}" ]; then return; fi
    if ! is_it "$library"; then
        [ "$(uname -m)" = x86_64 ] || { echo "the real library is skipped: no copy for $(uname -m)"; return; }
        python3 -m pip --version >/dev/null 2>&1 || { echo "the real library is skipped: no pip"; return; }
        scratch="$(mktemp -d)"
        for package in pyweworkfinance==1.1.0 pywecomarchive==0.1.0; do
            timeout 120 python3 -m pip install -q --disable-pip-version-check --no-deps --no-compile --only-binary :all: \
                --target "$scratch/$package" "$package" >"$scratch/log" 2>&1 || continue
            found="$(find "$scratch/$package" -name libWeWorkFinanceSdk_C.so -print -quit)"
            if [ -n "$found" ] && is_it "$found"; then
                mkdir -p "$cache" && cp "$found" "$library.new" && mv "$library.new" "$library"
                break
            fi
        done
        is_it "$library" || echo "the real library is skipped: $(tail -1 "$scratch/log")"
        rm -rf "$scratch"
    fi
    if is_it "$library"; then
        export FINANCE_SDK_REAL="$library"
        echo "the real library: $library"
    fi
}
real_sdk
