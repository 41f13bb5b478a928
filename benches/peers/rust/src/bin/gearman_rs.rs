//! A peer: workers as one writes them with the crate `gearman`. They run until they are killed.
//!
//! gearman_rs HOST PORT work FUNCTION
//! gearman_rs HOST PORT register WORKERS FUNCTIONS

use bytes::Bytes;
use gearman::worker::{WorkError, WorkerBuilder, WorkerJob};

async fn echo(job: WorkerJob) -> Result<Bytes, WorkError> {
    Ok(job.payload)
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let worker = match arguments[..] {
        [host, port, "work", function] => {
            WorkerBuilder::new().servers([format!("{host}:{port}")]).concurrency(1).register(function, echo).run()
        }
        [host, port, "register", workers, functions] => {
            let builder = WorkerBuilder::new()
                .servers([format!("{host}:{port}")])
                .concurrency(workers.parse().expect("a number"));
            let functions: usize = functions.parse().expect("a number");
            (0..functions).fold(builder, |builder, number| builder.register(format!("build:{number}"), echo)).run()
        }
        _ => panic!("usage: gearman_rs HOST PORT work FUNCTION | register WORKERS FUNCTIONS"),
    };
    std::future::pending::<()>().await;
    worker.shutdown().await;
}
