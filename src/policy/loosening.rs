//! What a change of policies lets through that was held back until then. Pure.
//!
//! Held back are a job that was rejected or for which a policy failed, a parameter that was dropped or set by a policy,
//! a project that did not match a node, and a node that went offline or was reserved. Names are no such thing: what is
//! offered is what the gates `table` and `orphans` look at.

use super::Asked;
use super::record::{Composed, Fate};
use super::written::Call;

/// Returns what `after` lets through and `before` did not, as a sentence without a value of any parameter.
pub(super) fn loosening(asked: &Asked, before: &Composed, after: &Composed) -> Option<String> {
    let project = asked.project().name.full();
    let node = asked.node().name.to_string();
    match (before, after) {
        (Composed::Rejected, Composed::Passed { .. }) => {
            Some(format!("a job of {project} on node {node}, which is rejected, would be built"))
        }
        (Composed::Failed, Composed::Passed { .. }) => {
            Some(format!("a job of {project} on node {node}, for which a policy fails, would be built"))
        }
        (Composed::Passed { parameters: before }, Composed::Passed { parameters: after }) => {
            before.iter().find_map(|(name, fate)| {
                let change = match (fate, after.get(name)) {
                    (Fate::Dropped, Some(Fate::Kept)) => "which is dropped, would pass",
                    (Fate::Set(_), None | Some(Fate::Kept)) => "which a policy sets, would be left to the client",
                    _ => return None,
                };
                Some(format!("parameter {name:?} of {project}, {change}"))
            })
        }
        (Composed::NoMatch { .. }, Composed::Matched { .. }) => {
            Some(format!("{project}, which does not match node {node}, would run there"))
        }
        _ => {
            let away = |decided: &Composed| kept_away(asked, decided);
            (away(after) < away(before)).then(|| match asked.call() {
                Call::BuildStarted => {
                    format!("node {node}, which is kept for a build of {project}, would be shared with others")
                }
                _ => format!("node {node}, which goes offline after a build of {project}, would stay online"),
            })
        }
    }
}

/// Returns how far away a node is kept from other builds.
fn kept_away(asked: &Asked, decided: &Composed) -> u8 {
    let client_asks = asked.job().is_some_and(|job| job.client_asks_offline);
    match decided {
        Composed::Held | Composed::Offline | Composed::Reserve => 2,
        Composed::Classic if client_asks && asked.call() == Call::BuildEnded => 2,
        // Whether a client's wish counts at the start already is for the site to say.
        Composed::Classic if client_asks => 1,
        _ => 0,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::super::samples::{controller, node, project};
    use super::super::{EndedSo, JobAsked, MatchAsked, Sent, SentValue};
    use super::*;
    use crate::domain::{DeclaredParameter, FunctionName};

    pub(in super::super) fn job(sent: &[(&str, SentValue)]) -> JobAsked {
        JobAsked {
            controller: controller("ci"),
            project: crate::domain::Project {
                parameters: Some(vec![DeclaredParameter { name: "A".into(), kind: "String".into() }]),
                ..project("lint")
            },
            function: FunctionName::new("build:lint").unwrap(),
            label: None,
            node: node("n1", &["linux"]),
            named_labels: BTreeSet::from(["linux".to_owned()]),
            sent: sent.iter().map(|(name, value)| Sent { name: (*name).to_owned(), value: value.clone() }).collect(),
            client_asks_offline: false,
            sealed: None,
        }
    }

    fn match_asked() -> Asked {
        Asked::Matches(MatchAsked {
            controller: controller("ci"),
            project: project("lint"),
            expression: Some("gpu".into()),
            node: node("n1", &["linux"]),
            named_labels: BTreeSet::new(),
            classic: false,
        })
    }

    fn passed(parameters: &[(&str, Fate)]) -> Composed {
        let parameters = parameters.iter().map(|(name, fate)| ((*name).to_owned(), fate.clone()));
        Composed::Passed { parameters: parameters.collect() }
    }

    fn set(value: &str) -> Fate {
        Fate::Set(Some(value.to_owned()))
    }

    #[track_caller]
    fn check(asked: &Asked, before: Composed, after: Composed, expected: Option<&str>) {
        let found = loosening(asked, &before, &after);
        assert_eq!(found.as_deref(), expected, "{before:?} -> {after:?}");
    }

    #[test]
    fn jobs_and_parameters_that_were_held_back_and_pass_are_loosened() {
        let asked = Asked::Filter(job(&[]));
        let built = "a job of lint on node n1, which is rejected, would be built";
        check(&asked, Composed::Rejected, passed(&[]), Some(built));
        let built = "a job of lint on node n1, for which a policy fails, would be built";
        check(&asked, Composed::Failed, passed(&[]), Some(built));
        let dropped = "parameter \"A\" of lint, which is dropped, would pass";
        check(&asked, passed(&[("A", Fate::Dropped)]), passed(&[("A", Fate::Kept)]), Some(dropped));
        let was_set = "parameter \"A\" of lint, which a policy sets, would be left to the client";
        check(&asked, passed(&[("A", set("x"))]), passed(&[("A", Fate::Kept)]), Some(was_set));
        check(&asked, passed(&[("A", Fate::Set(None))]), passed(&[]), Some(was_set));
        for (before, after) in [
            (passed(&[]), Composed::Rejected),
            (passed(&[]), Composed::Failed),
            (Composed::Rejected, Composed::Failed),
            (Composed::Failed, Composed::Rejected),
            (passed(&[("A", Fate::Kept)]), passed(&[("A", Fate::Dropped)])),
            (passed(&[("A", Fate::Kept)]), passed(&[("A", set("x"))])),
            (passed(&[("A", Fate::Dropped)]), passed(&[("A", set("x"))])),
            (passed(&[("A", set("x"))]), passed(&[("A", set("y"))])),
            (passed(&[("A", set("x"))]), passed(&[("A", Fate::Dropped)])),
            (passed(&[]), passed(&[("A", set("y"))])),
        ] {
            check(&asked, before, after, None);
        }
    }

    #[test]
    fn a_pair_that_did_not_match_and_does_is_loosened() {
        let asked = match_asked();
        let matched = |widened| Composed::Matched { atoms: BTreeSet::new(), widened };
        let runs = "lint, which does not match node n1, would run there";
        for vetoed in [false, true] {
            for widened in [false, true] {
                check(&asked, Composed::NoMatch { vetoed }, matched(widened), Some(runs));
                check(&asked, matched(widened), Composed::NoMatch { vetoed }, None);
            }
        }
        // What stays registered while a policy fails is not known.
        check(&asked, Composed::Undecided, matched(false), None);
        check(&asked, Composed::NoMatch { vetoed: true }, Composed::NoMatch { vetoed: false }, None);
    }

    #[test]
    fn a_node_that_was_kept_away_and_is_not_is_loosened() {
        use Composed::{Classic, Held, Offline, Online, Reserve, Share};
        let shared = "node n1, which is kept for a build of lint, would be shared with others";
        let online = "node n1, which goes offline after a build of lint, would stay online";
        let starts = [
            (false, Reserve, Share, true),
            (false, Reserve, Classic, true),
            (false, Classic, Share, false),
            (false, Share, Reserve, false),
            (true, Classic, Share, true),
            (true, Reserve, Classic, true),
            (true, Classic, Reserve, false),
        ];
        for (client_asks_offline, before, after, is_looser) in starts {
            let asked = Asked::BuildStarted(JobAsked { client_asks_offline, ..job(&[]) });
            check(&asked, before, after, is_looser.then_some(shared));
        }
        let ends = [
            (false, Held, Online, true),
            (false, Offline, Online, true),
            (false, Offline, Classic, true),
            (true, Offline, Classic, false),
            (true, Classic, Online, true),
            (false, Classic, Online, false),
            (false, Held, Offline, false),
            (false, Online, Held, false),
        ];
        for (client_asks_offline, before, after, is_looser) in ends {
            let ended = EndedSo { result: None, duration_ms: 1 };
            let asked = Asked::BuildEnded(JobAsked { client_asks_offline, ..job(&[]) }, ended);
            check(&asked, before, after, is_looser.then_some(online));
        }
    }

    fn fate() -> impl Strategy<Value = Fate> {
        prop_oneof![Just(Fate::Kept), Just(Fate::Dropped), proptest::option::of("[ab]").prop_map(Fate::Set)]
    }

    pub(in super::super) fn filtered() -> impl Strategy<Value = Composed> {
        let parameters = proptest::collection::btree_map("[A-C]", fate(), 0..4);
        prop_oneof![
            Just(Composed::Rejected),
            Just(Composed::Failed),
            parameters.prop_map(|parameters: BTreeMap<String, Fate>| Composed::Passed { parameters }),
        ]
    }

    proptest! {
        #[test]
        fn whoever_decides_the_same_loosens_nothing(decided in filtered()) {
            prop_assert_eq!(loosening(&Asked::Filter(job(&[])), &decided, &decided), None);
        }

        /// Taking something back is never loosening too.
        #[test]
        fn of_two_decisions_at_most_one_is_looser_about_a_single_thing(one in filtered(), other in filtered()) {
            let asked = Asked::Filter(job(&[]));
            let is_single = |decided: &Composed| {
                !matches!(decided, Composed::Passed { parameters } if parameters.len() > 1)
            };
            prop_assume!(is_single(&one) && is_single(&other));
            let (there, back) = (loosening(&asked, &one, &other), loosening(&asked, &other, &one));
            let names = |decided: &Composed| match decided {
                Composed::Passed { parameters } => parameters.keys().cloned().collect(),
                _ => BTreeSet::new(),
            };
            // Two policies may each set what the other does not.
            prop_assert!(there.is_none() || back.is_none() || names(&one) != names(&other));
        }
    }
}
