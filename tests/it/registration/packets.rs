//! What goes over the wire, packet by packet.

use std::collections::BTreeSet;

use layshaft::domain::BuildResult;
use layshaft::gearman::Kind;
use layshaft::runtime::status::WorkerState;

use crate::support::{Kind as Server, SiteBuilder, eventually, fleet, on_both_servers, project};

/// All that a worker has to say; an ECHO_REQ only to a server that answers it.
const ALLOWED: [Kind; 11] = [
    Kind::SetClientId,
    Kind::ResetAbilities,
    Kind::CanDo,
    Kind::CantDo,
    Kind::GrabJobUniq,
    Kind::PreSleep,
    Kind::WorkData,
    Kind::WorkStatus,
    Kind::WorkComplete,
    Kind::WorkFail,
    Kind::WorkException,
];

on_both_servers! {
    async fn f03_f04_every_connection_begins_with_its_name_and_a_clean_slate(server) {
        let fleet = fleet(&[("a", 2, &[])], vec![project("lint", None)]);
        let mut site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
        for lives in 1..=2 {
            site.offers("ci_manager", &["set_description:ci", "stop:ci"]).await;
            for worker in ["a_exec-0", "a_exec-1"] {
                site.offers(worker, &["build:lint"]).await;
                eventually("it asks for jobs", || async {
                    site.recorder().count(worker, Kind::PreSleep, 0) >= lives
                })
                .await;
            }
            let conversations = site.recorder().conversations();
            for worker in ["a_exec-0", "a_exec-1", "ci_manager"] {
                let own = conversations.iter().filter(|(id, _)| id == worker);
                let own: Vec<Vec<Kind>> = own.map(|(_, packets)| packets.iter().map(|packet| packet.kind).collect()).collect();
                // A server that is just starting may cut off some that came too early.
                assert!(own.len() >= lives, "{worker}");
                for kinds in own {
                    let beginning = [Kind::SetClientId, Kind::ResetAbilities, Kind::CanDo];
                    let length = kinds.len().min(beginning.len());
                    assert_eq!(kinds[..length], beginning[..length], "{worker}");
                    let first_grab = kinds.iter().position(|kind| *kind == Kind::GrabJobUniq);
                    let last_offer = kinds.iter().rposition(|kind| *kind == Kind::CanDo);
                    assert!(first_grab.is_none() || first_grab > last_offer, "{worker} asked too early: {kinds:?}");
                }
            }
            if lives == 1 {
                site.server.restart().await;
            }
        }
    }

    async fn f20_a_change_of_one_project_costs_its_own_functions_on_the_workers_that_have_them(server) {
        let mut projects: Vec<_> = (0..20).map(|number| project(&format!("other-{number}"), None)).collect();
        projects.push(project("lint", Some("linux || bsd")));
        let fleet = fleet(&[("a", 2, &["linux"]), ("b", 1, &["arm"])], projects);
        let site = SiteBuilder::new().controller("ci", fleet).recorded().start(server).await;
        let recorder = site.recorder();
        for worker in ["a_exec-0", "a_exec-1", "b_exec-0", "ci_manager"] {
            eventually("the worker sleeps", || async {
                recorder.count(worker, Kind::PreSleep, 0) > 0
                    && recorder.count(worker, Kind::PreSleep, 0) == recorder.count(worker, Kind::NoJob, 0)
            })
            .await;
        }
        let asks = ["GRAB_JOB_UNIQ", "PRE_SLEEP"];
        let changes: [(&str, &[&str]); 4] = [
            ("linux", &["CANT_DO function=\"build:lint\"", "CANT_DO function=\"build:lint:linux\""]),
            ("arm || linux", &["CAN_DO function=\"build:lint\"", "CAN_DO function=\"build:lint:linux\""]),
            ("arm && !arm", &["CANT_DO function=\"build:lint\"", "CANT_DO function=\"build:lint:linux\""]),
            ("linux && !bsd", &["CAN_DO function=\"build:lint\"", "CAN_DO function=\"build:lint:linux\""]),
        ];
        for (change, (label, on_a)) in changes.into_iter().enumerate() {
            let moment = recorder.now();
            match change {
                // The first one takes the whole project away.
                0 => site.controller("ci").set_disabled("lint", true),
                1 => {
                    site.controller("ci").update_project("lint", |spec| (spec.label, spec.disabled) = (Some(label.to_owned()), false))
                }
                _ => site.controller("ci").update_project("lint", |spec| spec.label = Some(label.to_owned())),
            };
            for worker in ["a_exec-0", "a_exec-1"] {
                let expected: Vec<&str> = on_a.iter().chain(&asks).copied().collect();
                eventually("the change is told", || async { recorder.sent_by(worker, moment).len() >= expected.len() }).await;
                assert_eq!(recorder.sent_by(worker, moment), expected, "{worker}, {label}");
            }
            site.looks("ci", 2).await;
            let on_b: Vec<&str> = match change {
                1 => ["CAN_DO function=\"build:lint\"", "CAN_DO function=\"build:lint:arm\""].into_iter().chain(asks).collect(),
                2 => ["CANT_DO function=\"build:lint\"", "CANT_DO function=\"build:lint:arm\""].into_iter().chain(asks).collect(),
                _ => Vec::new(),
            };
            assert_eq!(recorder.sent_by("b_exec-0", moment), on_b, "{label}");
            assert_eq!(recorder.sent_by("ci_manager", moment), [""; 0]);
            assert_eq!(recorder.sent_by("a_exec-0", moment).len(), on_a.len() + asks.len(), "nothing follows");
        }
    }

    async fn f21_an_emptied_set_is_told_by_a_reset_alone_and_nothing_is_withdrawn_that_is_not_offered(server) {
        let mut site = SiteBuilder::new().controller("ci", fleet(&[("a", 1, &["linux"])], vec![project("lint", Some("linux"))])).recorded().start(server).await;
        let worker = "a_exec-0";
        let offered: &[&str] = &["build:lint", "build:lint:linux"];
        eventually("it sleeps", || async { site.recorder().count(worker, Kind::PreSleep, 0) > 0 }).await;

        let moment = site.recorder().now();
        assert!(site.controller("ci").set_disabled("lint", true));
        site.offers(worker, &[]).await;
        site.looks("ci", 2).await;
        assert_eq!(site.recorder().sent_by(worker, moment), ["RESET_ABILITIES"]);

        // While a job runs its function stays, and goes alone once the job has ended.
        assert!(site.controller("ci").set_disabled("lint", false));
        site.offers(worker, offered).await;
        let mut job = site.server.submit("build:lint:linux", "u-1", "{}").await;
        job.started().await;
        let moment = site.recorder().now();
        assert!(site.controller("ci").set_disabled("lint", true));
        site.offers(worker, &["build:lint:linux"]).await;
        assert_eq!(site.recorder().sent_by(worker, moment), ["CANT_DO function=\"build:lint\""]);
        site.looks("ci", 2).await;
        assert!(site.controller("ci").finish("lint", 1, BuildResult::Success));
        job.finish().await;
        site.offers(worker, &[]).await;
        let ends = ["CANT_DO", "WORK_", "RESET_ABILITIES", "GET_STATUS"];
        let sent = site.recorder().sent_by(worker, moment);
        assert!(sent.iter().all(|packet| ends.iter().any(|end| packet.starts_with(end))), "{sent:?}");
        assert_eq!(sent.iter().filter(|packet| *packet == "RESET_ABILITIES").count(), 1, "{sent:?}");

        // Of what it is told after a restart it has nothing to withdraw.
        site.server.restart().await;
        site.offers("ci_manager", &["set_description:ci", "stop:ci"]).await;
        assert!(site.controller("ci").set_disabled("lint", false));
        site.offers(worker, offered).await;
        assert!(site.controller("ci").set_disabled("lint", true));
        site.offers(worker, &[]).await;
        for (id, packets) in site.recorder().conversations() {
            let mut offers = BTreeSet::new();
            for packet in packets {
                match packet.kind {
                    Kind::ResetAbilities => offers.clear(),
                    Kind::CanDo => assert!(offers.insert(packet.argument(0).clone()), "{id} offered twice: {packet:?}"),
                    Kind::CantDo => assert!(offers.remove(packet.argument(0)), "{id} had not offered: {packet:?}"),
                    _ => {}
                }
            }
        }
    }

    async fn f22_no_worker_sends_what_a_server_might_not_know(server) {
        let kind = server.kind;
        let projects = vec![project("lint", Some("linux")), project("test", None)];
        let site = SiteBuilder::new().controller("ci", fleet(&[("a", 2, &["linux"])], projects)).recorded().start(server).await;
        let ci = site.controller("ci");
        for number in 1..=3 {
            let mut job = site.server.submit("build:lint:linux", &format!("u-{number}"), "{}").await;
            job.started().await;
            assert!(ci.finish("lint", number, BuildResult::Success));
            job.finish().await;
        }
        site.server.run("stop:ci", "u-4", r#"{"name":"lint","number":1}"#).await;
        assert!(ci.remove_project("test"));
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        // The last function goes, which is told in another way.
        assert!(ci.remove_project("lint"));
        site.offers("a_exec-0", &[]).await;
        site.eventually_worker("a_exec-0", WorkerState::Waiting).await;
        let sent = site.recorder().sent_since(0);
        let strange: Vec<_> = sent.iter().filter(|(_, packet)| !ALLOWED.contains(&packet.kind)).collect();
        assert!(strange.is_empty(), "{strange:?}");
        assert!(sent.iter().any(|(_, packet)| packet.kind == Kind::GrabJobUniq));
        let refusals: usize = ["a_exec-0", "a_exec-1", "ci_manager"].iter().map(|id| site.recorder().count(id, Kind::Error, 0)).sum();
        assert_eq!(refusals, 0);
        if kind == Server::Geard {
            let log = site.server.log();
            assert!(!log.is_empty());
            let odd: Vec<&str> = log.lines().filter(|line| ["ERROR", "Traceback", "unhandled", "Exception"].iter().any(|word| line.contains(word))).collect();
            assert!(odd.is_empty(), "{odd:?}");
        }
    }
}
