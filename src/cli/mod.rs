//! The command line: one file per command. The only room that speaks to the terminal.
//!
//! What a command has to say goes to the standard output, plain or as JSON; errors and logs go to the standard error.
//! Commands that ask a daemon use the control channel, those that use jobs speak to the Gearman server like any client.

mod arguments;
mod cancel;
mod check_config;
mod completions;
mod demo;
mod describe;
mod detach;
mod doctor;
mod exit;
mod interrupts;
mod log;
mod manage;
mod mode;
mod nodes;
mod policy;
mod queue;
mod run;
mod server;
mod simulate;
mod status;
mod stop;
mod submit;
mod terminal;

#[cfg(test)]
mod tests;

use anyhow::Context;

pub use arguments::Arguments;
pub use exit::Exit;

use arguments::Command;

/// Does what the arguments say.
///
/// # Errors
///
/// Whatever kept it from being done; [`report`] says it.
pub fn run(arguments: Arguments) -> anyhow::Result<Exit> {
    let Arguments { log, command } = arguments;
    let log = log.as_deref();
    match command {
        // They say when, and in which format.
        Command::Run(_) | Command::Server(_) => {}
        // What would be warned about is what it shows.
        Command::Demo(_) => log::start(log, "off", crate::config::LogFormat::Auto)?,
        _ => log::start(log, "warn", crate::config::LogFormat::Auto)?,
    }
    match command {
        Command::Completions(completions) => completions.run(),
        Command::CheckConfig(check) => check.run(),
        Command::Doctor(doctor) => in_tokio(doctor.run()),
        Command::Demo(demo) => in_tokio(demo.run()),
        Command::Run(run) => in_tokio(run.run(log)),
        // One thread: who is answered need not be woken on another one.
        Command::Server(server) => in_runtime(tokio::runtime::Builder::new_current_thread(), server.run(log)),
        Command::Simulate(simulate) => in_tokio(simulate.run()),
        Command::Submit(submit) => in_tokio(submit.run()),
        Command::Queue(queue) => in_tokio(queue.run()),
        Command::Cancel(cancel) => in_tokio(cancel.run()),
        Command::Stop(stop) => in_tokio(stop.run()),
        Command::Describe(describe) => in_tokio(describe.run()),
        Command::Status(status) => in_tokio(status.run()),
        Command::Nodes(nodes) => in_tokio(nodes.run()),
        Command::Node(node) => in_tokio(node.run()),
        Command::Policy(policy) => policy.run(),
        Command::Pause(change) => in_tokio(change.run(crate::runtime::status::Mode::Paused)),
        Command::Resume(change) => in_tokio(change.run(crate::runtime::status::Mode::Serving)),
        Command::Drain(change) => in_tokio(change.run(crate::runtime::status::Mode::Draining)),
    }
}

/// Prints an error with its causes, and returns what to exit with.
pub fn report(error: &anyhow::Error) -> Exit {
    if terminal::is_nobody_reading(error) {
        return Exit::Ok;
    }
    terminal::complain(&format!("layshaft: {error:#}"));
    Exit::of(error)
}

fn in_tokio<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    in_runtime(tokio::runtime::Builder::new_multi_thread(), command)
}

fn in_runtime<T>(
    mut runtime: tokio::runtime::Builder,
    command: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let runtime = runtime.enable_all().build().context("failed to start the threads of this program")?;
    let done = runtime.block_on(command);
    // A compilation or a look-up that nobody waits for any more must not hold up the end.
    runtime.shutdown_background();
    done
}
