//! The binary: reads what was typed and configured, wires the backends, prints.

mod args;
mod canvas;
mod command;
mod config;
mod exit;
mod listen;
mod logs;
mod marks;
mod plot;
mod print;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    if let Command::Pixel { memory_bytes } = args.command {
        return exit::of_pixel(cicatrix_worker::pixel::serve(
            memory_bytes,
            std::io::stdin().lock(),
            std::io::stdout().lock(),
        ));
    }
    let json = args.global.json;
    let spans = logs::start(&args.global);
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return exit::of_error(&anyhow::Error::new(error), json),
    };
    let result = runtime.block_on(command::dispatch(args));
    // Work that is still blocked in the system does not hold the exit.
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    spans.send_last();
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => exit::of_error(&error, json),
    }
}
