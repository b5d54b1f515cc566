//! Benchmarks. `benches/micro.rs` times single functions with criterion; the programs under
//! `src/bin` time whole processes on a named workload. Results worth quoting are kept in
//! `results/`, with the machine, the commit and the command.
