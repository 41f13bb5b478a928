//! Servers, controllers and a runtime for one test, and ways to wait for what shall come true.

mod gearman;
#[path = "../../../src/policy/guest.rs"]
#[allow(dead_code, reason = "the rest is for the tests of the policy room")]
pub(crate) mod guest;
mod hand;
pub(crate) mod log;
mod pki;
mod proxy;
mod recorder;
mod site;

use std::future::Future;
use std::time::Duration;

pub(crate) use gearman::{GearmanServer, Job, Kind, completion, exception, free_port, spawn_geard_with_access_list};
pub(crate) use hand::Hand;
pub(crate) use pki::{CLIENT, Pki};
pub(crate) use proxy::Proxy;
pub(crate) use recorder::Recorder;
pub(crate) use site::{Site, SiteBuilder, example_policy, fleet, marked, project, stuck};

/// Longer than anything here takes on a busy machine; reached only by a test that fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a condition holds, looking often.
#[track_caller]
pub(crate) fn eventually<'a, F>(what: &'a str, mut holds: impl FnMut() -> F + 'a) -> impl Future<Output = ()> + 'a
where
    F: Future<Output = bool>,
{
    let caller = std::panic::Location::caller();
    async move {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while !holds().await {
            assert!(tokio::time::Instant::now() < deadline, "never came true: {what} (asked at {caller})");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Ends a test that hangs.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("took too long: {what}"),
    }
}

/// Makes a test for each of some Gearman servers, which stand first: `{ gearmand: Gearmand, … }`.
macro_rules! on_servers {
    ($servers:tt $($(#[$attribute:meta])* async fn $name:ident($server:ident) $body:block)*) => {
        $(
            $(#[$attribute])*
            mod $name {
                use super::*;

                async fn check($server: $crate::support::GearmanServer) $body

                $crate::support::check_on! $servers
            }
        )*
    };
}
pub(crate) use on_servers;

/// Makes a test that runs `check` on each server.
macro_rules! check_on {
    ($($name:ident: $kind:ident),*) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                check($crate::support::GearmanServer::start($crate::support::Kind::$kind).await).await;
            }
        )*
    };
}
pub(crate) use check_on;

/// Makes a test for each real Gearman server: `on_both_servers! { async fn name(server) { … } }`.
macro_rules! on_both_servers {
    ($($tests:tt)*) => { $crate::support::on_servers! { { gearmand: Gearmand, geard: Geard } $($tests)* } };
}
pub(crate) use on_both_servers;

/// Makes a test for each Gearman server that there is, the embedded one too.
macro_rules! on_every_server {
    ($($tests:tt)*) => {
        $crate::support::on_servers! { { gearmand: Gearmand, geard: Geard, layshaft: Layshaft } $($tests)* }
    };
}
pub(crate) use on_every_server;
