//! A peer: workers as one writes them with the crate `rustygear`. They run until they are killed.
//!
//! rustygear HOST PORT work FUNCTION
//! rustygear HOST PORT register WORKERS FUNCTIONS

use std::error::Error;

use rustygear::client::Client;
use tokio::task::LocalSet;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [host, port, "work", function] => work(format!("{host}:{port}"), vec![function.to_owned()]).await,
        [host, port, "register", workers, functions] => {
            let functions: usize = functions.parse()?;
            let names: Vec<String> = (0..functions).map(|number| format!("build:{number}")).collect();
            // Its futures cannot be sent to another thread.
            let clients = LocalSet::new();
            for _ in 0..workers.parse()? {
                let (server, names) = (format!("{host}:{port}"), names.clone());
                clients.spawn_local(async move {
                    if let Err(error) = work(server, names).await {
                        eprintln!("rustygear: {error}");
                    }
                });
            }
            clients.await;
            Ok(())
        }
        _ => panic!("usage: rustygear HOST PORT work FUNCTION | register WORKERS FUNCTIONS"),
    }
}

async fn work(server: String, functions: Vec<String>) -> Result<(), Box<dyn Error>> {
    let mut worker = Client::new().add_server(&server).set_client_id("bench-worker").connect().await?;
    for function in &functions {
        worker = worker.can_do(function, |job| Ok(job.payload().to_vec())).await?;
    }
    worker.work().await
}
