//! Who else serves the same names at a Gearman server.

use layshaft::simulator::{Options, Permission, Simulator};
use serde_json::Value;

use super::{Seed, TOKEN, read, told};
use crate::daemon::{Daemon, controller};
use crate::support::{GearmanServer, Hand, eventually, fleet, marked, on_both_servers};

async fn until_listed(server: &GearmanServer, client_ids: &[&str]) {
    eventually("the workers are listed", || async {
        let listed = server.worker_ids().await;
        client_ids.iter().all(|client_id| listed.iter().any(|it| it == client_id))
    })
    .await;
}

#[track_caller]
fn fix(report: &Value) -> &str {
    report["findings"][0]["fix"].as_str().unwrap()
}

on_both_servers! {
    async fn the_plugin_of_a_controller_is_found_with_the_host_to_adopt_and_the_order(server) {
        let functions = ["stop:old.example.org", "set_description:old.example.org"];
        let manager = Hand::offer(&server.address, "old.example.org_manager", &functions).await;
        let executor = Hand::offer(&server.address, "ci2-a_exec-0", &["build:lint", "build:lint:linux"]).await;
        until_listed(&server, &["old.example.org_manager", "ci2-a_exec-0"]).await;

        let site = Seed::clean(&server.address).start().await;
        let (exit, report) = site.look().await;
        assert_eq!(exit, 0, "{report:#}");
        assert_eq!(told(&report), [format!("plugin-serves [ci2] {}", server.address)]);
        let seen = report["findings"][0]["seen"].as_str().unwrap();
        assert!(seen.starts_with("old.example.org_manager at 127.0.0.1 serves stop:old.example.org"), "{seen}");
        assert!(seen.ends_with("workers of ci2-a connect from there too"), "{seen}");
        let adopt = fix(&report);
        let words = "write host = \"old.example.org\" into the section of controller ci2; then prepare it for shutdown";
        assert!(adopt.starts_with(words), "{adopt}");

        // Adopted, and the plugin still runs: the daemon would keep away.
        let site = Seed { host: Some("old.example.org".to_owned()), ..Seed::clean(&server.address) }.start().await;
        let (exit, report) = site.look().await;
        assert_eq!((exit, told(&report)), (1, vec![format!("host-taken [ci2] {}", server.address)]));
        assert!(fix(&report).contains("switch the gearman plugin off there, cancel the shutdown: layshaft run takes over"), "{}", fix(&report));

        // The plugin lost its management, and then is switched off.
        drop(manager);
        eventually("executors are left", || async { site.findings().await == [format!("foreign-executors [] {}", server.address)] }).await;
        drop(executor);
        eventually("nobody is left", || async { site.findings().await.is_empty() }).await;
    }

    async fn f87_the_permissions_that_the_page_lists_are_enough(server) {
        let fleet = fleet(&[("a", 1, &["linux"])], vec![marked("quick", Some("linux"))]);
        let mut options = Options::new("layshaft", TOKEN, fleet);
        options.users[0].permissions = [
            Permission::OverallRead,
            Permission::ItemBuild,
            Permission::ItemCancel,
            Permission::RunUpdate,
            Permission::AgentConnect,
            Permission::AgentDisconnect,
        ]
        .into();
        let ci = Simulator::start(options).await.unwrap();
        let daemon = Daemon::start(&server.address, &ci);
        daemon.wait_until_ready().await;
        let done = daemon.layshaft(&["submit", "build:quick", "--param", "OFFLINE_NODE_WHEN_COMPLETE=1"]).await;
        assert_eq!(done.status.code(), Some(0), "{done:?}");
        assert!(ci.nodes().iter().any(|node| node.temporarily_offline));
        let described = daemon.layshaft(&["describe", "quick", "1", "by f87", "--host", "ci"]).await;
        assert_eq!(described.status.code(), Some(0), "{described:?}");
        let config = daemon.config();
        let (exit, report) = read(&daemon.layshaft(&["doctor", "--json", "--strict", "--config", &config]).await);
        assert_eq!((exit, told(&report)), (0, Vec::new()), "{report:#}");
    }

    async fn a_daemon_that_runs_here_is_no_stranger_and_tells_what_clients_lose(server) {
        let ci = controller().await;
        let daemon = Daemon::start(&server.address, &ci);
        daemon.wait_until_ready().await;
        until_listed(&server, &["ci_manager", "a_exec-0"]).await;
        let config = daemon.config();
        let look = || async { read(&daemon.layshaft(&["doctor", "--json", "--config", &config]).await) };
        // One project of that controller cannot be pinned.
        assert_eq!(told(&look().await.1), ["not-pinned [ci] quick"]);

        let sent = daemon.layshaft(&["submit", "build:quick", "--param", "ZUUL_BRANCH=hunter2"]).await;
        assert_eq!(sent.status.code(), Some(0), "{sent:?}");
        let (exit, report) = look().await;
        assert_eq!((exit, told(&report)), (0, vec!["parameters-lost [ci] quick".to_owned(), "not-pinned [ci] quick".to_owned()]));
        assert!(!report.to_string().contains("hunter2") && report.to_string().contains("ZUUL_BRANCH"), "{report:#}");

        // Another worker of the same name is one.
        let _another = Hand::offer(&server.address, "ci_manager", &["stop:ci"]).await;
        eventually("it is told from the daemon's", || async { told(&look().await.1)[0] == format!("host-taken [ci] {}", server.address) }).await;
    }
}
