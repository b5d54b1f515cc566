//! `huicun`, the one binary: arguments in, answers out. No business rules here.

mod arguments;
mod commands;
mod failure;
mod output;
mod signals;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = arguments::Arguments::parse();
    // The worker is a small process of its own: no runtime, no logging, no data directory.
    if matches!(arguments.command, arguments::Command::SdkWorker) {
        let status = huicun_ffi_finance_sdk::worker::run();
        return ExitCode::from(u8::try_from(status).unwrap_or(1));
    }
    start_logging();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(huicun_engine::tables::WORKER_STACK_BYTES)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start the async runtime: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(commands::run(arguments)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// Logs go to stderr; `HUICUN_LOG` sets the filter, `HUICUN_LOG_FORMAT=json` the form.
fn start_logging() {
    use tracing_subscriber::EnvFilter;
    let quiet = "warn,deltalake_core=error,huicun_indexer=info,huicun_query_api=info,huicun=info";
    let filter = EnvFilter::try_from_env("HUICUN_LOG").unwrap_or_else(|_| EnvFilter::new(quiet));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let is_json = std::env::var("HUICUN_LOG_FORMAT").is_ok_and(|form| form == "json");
    if is_json {
        builder.json().init();
    } else {
        builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init();
    }
}
