//! The SDK worker alone, for tests and for trying a library out.

fn main() {
    std::process::exit(huicun_ffi_finance_sdk::worker::run());
}
