//! Matching: which nodes serve which label expressions.

use layshaft::domain::{BuildResult, NodeName};
use layshaft::policy::Grant;

use crate::support::guest::{Guest, LOOP, abstains, past_the_gates, vetoes};
use crate::support::{SiteBuilder, completion, eventually, fleet, marked, on_both_servers, project};

fn hierarchy() -> SiteBuilder {
    SiteBuilder::new().example_policy("20-label-hierarchy.wasm", "label-hierarchy")
}

on_both_servers! {
    async fn f111_without_grants_names_are_added_only_where_jenkins_matches_already(server) {
        let projects = vec![
            project("named", Some("ubuntu-22.04")),
            project("either", Some("linux || ubuntu")),
            project("widened", Some("ubuntu")),
        ];
        let fleet = fleet(&[("a", 1, &["linux", "ubuntu-22.04"])], projects);
        let site = hierarchy().controller("ci", fleet).start(server).await;
        site.offers("a_exec-0", &[
            "build:either", "build:either:linux", "build:either:ubuntu", "build:named", "build:named:ubuntu-22.04",
        ]).await;
        site.notes(&["widened on ci", r#"add grants = ["widen"] to policies.slots.label-hierarchy"#]).await;
        let advice = site.policy("label-hierarchy").await.unwrap().advice;
        assert!(advice.iter().any(|line| line.contains(r#"grants = ["labels"]"#)), "{advice:?}");
    }

    async fn f111_with_grants_a_node_serves_what_its_labels_imply_and_the_build_runs_there(server) {
        let projects = vec![
            project("deploy", Some("ubuntu")),
            project("train", Some(r#"linux && "gpu>=2""#)),
            marked("fixed", Some("ubuntu")),
        ];
        let nodes: [(&str, u32, &[&str]); 3] =
            [("old", 1, &["linux", "gpu-1"]), ("new", 1, &["ubuntu-22.04"]), ("big", 1, &["linux", "gpu-4"])];
        let builder = hierarchy().controller("ci", fleet(&nodes, projects));
        let site = builder.grant("label-hierarchy", &[Grant::Widen, Grant::Labels]).start(server).await;
        site.offers("new_exec-0", &["build:deploy", "build:deploy:ubuntu"]).await;
        site.offers("big_exec-0", &["build:train", "build:train:gpu>=2", "build:train:linux"]).await;
        site.notes(&["fixed on ci is widened by a policy and cannot be pinned"]).await;
        assert_eq!(site.server.functions_of("old_exec-0").await, [""; 0]);
        assert_eq!(site.server.workers_for("build:fixed").await, 0);
        let ci = site.controller("ci");
        for (function, project, node) in
            [("build:deploy:ubuntu", "deploy", "new"), ("build:train:gpu>=2", "train", "big")]
        {
            let mut job = site.server.submit(function, &format!("u-{project}"), "{}").await;
            let started = job.started().await;
            assert_eq!((&started["name"], &started["node_name"]), (&project.into(), &node.into()));
            let build = ci.builds().into_iter().find(|build| build.project == project).unwrap();
            assert_eq!(build.node, Some(NodeName::agent(node)));
            assert_eq!(build.parameters.get("NODE"), Some(node), "it is pinned");
            assert!(ci.finish(project, 1, BuildResult::Success));
            assert_eq!(completion(&job.finish().await)["result"], "SUCCESS");
        }
    }

    async fn n17_a_rule_keeps_nodes_out_of_the_shared_queue(server) {
        let fleet = fleet(&[("a", 1, &[]), ("own", 1, &["private"])], vec![project("lint", None)]);
        let site = SiteBuilder::new()
            .controller("ci", fleet)
            .policy_file("20-unshared.wasm", Guest::new("unshared").matching(&vetoes()).build())
            .policy_file("20-unshared.toml", "[[bind]]\nlabels = ['private']")
            .start(server)
            .await;
        site.offers("a_exec-0", &["build:lint"]).await;
        assert_eq!(site.server.functions_of("own_exec-0").await, [""; 0]);
        assert!(site.controller("ci").nodes().iter().all(|node| !node.temporarily_offline), "its own Jenkins goes on with it");
        site.controller("ci").set_labels(&NodeName::agent("own"), &[]);
        site.offers("own_exec-0", &["build:lint"]).await;
    }

    async fn f111_labels_that_change_are_judged_anew(server) {
        let fleet = fleet(&[("a", 1, &["ubuntu-22.04"])], vec![project("deploy", Some("ubuntu"))]);
        let builder = hierarchy().controller("ci", fleet);
        let site = builder.grant("label-hierarchy", &[Grant::Widen, Grant::Labels]).start(server).await;
        site.offers("a_exec-0", &["build:deploy", "build:deploy:ubuntu"]).await;
        site.controller("ci").set_labels(&NodeName::agent("a"), &["debian-12"]);
        site.offers("a_exec-0", &[]).await;
    }

    async fn f111_a_matching_policy_that_starts_to_fail_keeps_what_is_registered(server) {
        let fleet = fleet(&[("a", 1, &["linux"])], vec![project("lint", Some("linux"))]);
        let site = SiteBuilder::new().controller("ci", fleet).start(server).await;
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        let failing = Guest::new("loops").function("matching", "matches", past_the_gates(LOOP, &abstains()));
        site.impose_policy("50-loops.wasm", &failing.build()).await;
        site.notes(&["lint on ci", "loops", "it ran out of fuel"]).await;
        site.controller("ci").add_project(project("new", None));
        site.notes(&["the names of new on ci"]).await;
        site.offers("a_exec-0", &["build:lint", "build:lint:linux"]).await;
        site.delete_policy("50-loops.wasm");
        site.drop_policy("50-fine.wasm", &Guest::new("fine").matching(&abstains()).build());
        site.offers("a_exec-0", &["build:lint", "build:lint:linux", "build:new"]).await;
        eventually("nothing is left to note", || async { site.status().await.notes.is_empty() }).await;
    }
}
