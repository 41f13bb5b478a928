use std::process::ExitCode;

use clap::Parser;
use layshaft::cli::{self, Arguments};

fn main() -> ExitCode {
    match cli::run(Arguments::parse()) {
        Ok(exit) => exit.into(),
        Err(error) => cli::report(&error).into(),
    }
}
