use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::domain::Node;
use crate::runtime::snapshot::Controller;

const GRACE: Duration = Duration::from_secs(600);

/// Node, project, `PART` or `PART:LABEL`.
type Places = [(&'static str, &'static str, &'static str)];

/// One controller with nodes, given by name and labels.
fn snapshot(nodes: &[(&str, &[&str])]) -> Snapshot {
    let node = |(name, labels): &(&str, &[&str])| Node {
        labels: labels.iter().map(|label| (*label).to_owned()).collect(),
        ..Node::new(NodeName::agent(*name))
    };
    let controller = Controller {
        tags: BTreeSet::new(),
        nodes: Arc::new(nodes.iter().map(node).collect()),
        nodes_asked_at: Instant::now(),
        projects: Arc::default(),
        quieting_down: false,
        reachable: true,
        fresh: true,
        serve: true,
    };
    Snapshot::new([(ControllerName::new("ci"), controller)].into())
}

fn name(text: &str) -> FunctionName {
    FunctionName::new(format!("build:{text}")).unwrap()
}

fn waiting(jobs: &[(&str, u64)]) -> Waiting {
    jobs.iter().map(|(text, jobs)| (name(text), *jobs)).collect()
}

fn shown(table: &FunctionTable) -> Vec<String> {
    let cell = |node: &NodeName, row: &Row| {
        let names: Vec<String> = row
            .iter()
            .map(|(name, offer)| format!("{}={}", name.as_str().strip_prefix("build:").unwrap(), offer.project))
            .collect();
        format!("{node}: {}", names.join(" "))
    };
    table.rows().map(|(_, node, row)| cell(node, row)).collect()
}

/// A site of one server on which policies change.
struct Story {
    snapshot: Snapshot,
    ruled: Arc<FunctionTable>,
    offered: Arc<FunctionTable>,
    keeping: Keeping,
    now: Instant,
}

impl Story {
    fn new(nodes: &[(&str, &[&str])], before: &Places) -> Self {
        let ruled = Arc::new(FunctionTable::giving(before));
        let (keeping, now) = (Keeping::default(), Instant::now());
        Self { snapshot: snapshot(nodes), offered: Arc::clone(&ruled), ruled, keeping, now }
    }

    fn policies_change(&mut self, after: &Places) -> &mut Self {
        let after = Arc::new(FunctionTable::giving(after));
        if let Some(change) = Change::between(&self.ruled, &after, &self.snapshot, self.now + GRACE) {
            self.keeping.add(change, &after);
        }
        self.ruled = after;
        self
    }

    fn announced(&mut self) -> &mut Self {
        self.keeping.announced();
        self
    }

    fn waits(&mut self, jobs: &[(&str, u64)]) -> &mut Self {
        let asked = self.keeping.asks().unwrap();
        self.keeping.heard(asked, 0, &waiting(jobs));
        self
    }

    #[track_caller]
    fn offers(&mut self, expected: &[&str]) -> &mut Self {
        self.offered = self.keeping.over(&self.ruled, &self.snapshot, &self.offered, 1);
        assert_eq!(shown(&self.offered), expected);
        self
    }
}

/// Returns what is offered while names are announced, and with jobs waiting for every old one afterwards.
#[track_caller]
fn check(nodes: &[(&str, &[&str])], before: &Places, after: &Places, announcing: &[&str], then: &[&str]) {
    let mut story = Story::new(nodes, before);
    story.policies_change(after).offers(announcing).announced();
    if story.keeping.asks().is_some() {
        let jobs: Waiting = story
            .ruled
            .names()
            .cloned()
            .chain(FunctionTable::giving(before).names().cloned())
            .map(|name| (name, 1))
            .collect();
        story.keeping.heard(1, 0, &jobs);
    }
    story.offers(then);
}

const N1: &[(&str, &[&str])] = &[("n1", &[])];
const N1_N2: &[(&str, &[&str])] = &[("n1", &["linux"]), ("n2", &[])];

#[test]
fn a_name_that_is_replaced_stays_where_it_was_while_jobs_wait() {
    let both = ["n1: new=p old=p"];
    check(N1, &[("n1", "p", "old")], &[("n1", "p", "new")], &both, &both);
}

#[test]
fn what_the_rules_still_give_needs_no_keeping() {
    let (before, after) = ([("n1", "p", "a"), ("n1", "p", "b")], [("n1", "p", "a"), ("n1", "p", "c")]);
    check(N1, &before, &after, &["n1: a=p b=p c=p"], &["n1: a=p b=p c=p"]);
    check(N1, &before, &before, &["n1: a=p b=p"], &["n1: a=p b=p"]);
}

#[test]
fn a_node_that_may_no_longer_run_a_project_keeps_none_of_its_names() {
    let before = [("n1", "p", "old"), ("n1", "q", "q"), ("n2", "p", "old")];
    // Vetoed on n1, renamed on n2.
    let after = [("n1", "q", "q"), ("n2", "p", "new")];
    check(N1_N2, &before, &after, &["n1: q=q", "n2: new=p old=p"], &["n1: q=q", "n2: new=p old=p"]);
    // Vetoed everywhere.
    check(N1, &[("n1", "p", "p"), ("n1", "q", "q")], &[("n1", "q", "q")], &["n1: q=q"], &["n1: q=q"]);
}

#[test]
fn a_name_that_others_still_offer_goes_once_the_new_ones_are_announced() {
    let before = [("n1", "p", "fast"), ("n1", "p", "p"), ("n2", "p", "fast"), ("n2", "p", "p")];
    let after = [("n1", "p", "fast"), ("n1", "p", "p"), ("n2", "p", "p")];
    check(N1_N2, &before, &after, &["n1: fast=p p=p", "n2: fast=p p=p"], &["n1: fast=p p=p", "n2: p=p"]);
}

#[test]
fn a_name_that_means_another_project_now_keeps_no_older_meaning() {
    let before = [("n1", "p", "x"), ("n1", "q", "y")];
    let swapped = [("n1", "p", "y"), ("n1", "q", "x")];
    check(N1, &before, &swapped, &["n1: x=q y=p"], &["n1: x=q y=p"]);
    // Clients stop builds by the project part, which must not be two projects'.
    let after = [("n1", "p", "z"), ("n1", "q", "x:linux")];
    check(N1, &before, &after, &["n1: x:linux=q y=q z=p"], &["n1: x:linux=q y=q z=p"]);
}

#[test]
fn a_name_with_a_label_stays_only_where_the_label_still_holds() {
    let before = [("n1", "p", "p:linux"), ("n2", "p", "p:linux"), ("n1", "p", "p"), ("n2", "p", "p")];
    // n1 has the label itself; that n2 counts as one, only the policy before has said.
    let without = [("n1", "p", "t/p"), ("n2", "p", "t/p")];
    let kept = ["n1: p=p p:linux=p t/p=p", "n2: p=p t/p=p"];
    check(N1_N2, &before, &without, &kept, &kept);
    let with = [("n1", "p", "t/p:linux"), ("n2", "p", "t/p:linux")];
    let kept = ["n1: p=p p:linux=p t/p:linux=p", "n2: p=p p:linux=p t/p:linux=p"];
    check(N1_N2, &before, &with, &kept, &kept);
}

#[test]
fn a_name_goes_with_its_last_job_and_comes_back_with_the_next_until_its_time_is_over() {
    let mut story = Story::new(N1, &[("n1", "p", "a"), ("n1", "p", "b")]);
    story.policies_change(&[("n1", "p", "new")]).announced().offers(&["n1: a=p b=p new=p"]);
    story.waits(&[("a", 2), ("new", 1)]).offers(&["n1: a=p new=p"]);
    story.waits(&[("b", 1)]).offers(&["n1: b=p new=p"]);
    story.waits(&[]).offers(&["n1: new=p"]);
    story.waits(&[("a", 3)]).offers(&["n1: a=p new=p"]);
    let until = story.now + GRACE;
    assert_eq!(story.keeping.why(&name("a"), &story.ruled, 1), Some((Reason::Jobs(3), until)));
    assert_eq!(story.keeping.expire(until - Duration::from_millis(1), &story.ruled), None);
    assert_eq!(story.keeping.expire(until, &story.ruled), Some(waiting(&[("a", 3)])));
    story.offers(&["n1: new=p"]);
    assert_eq!(story.keeping.asks(), None, "nothing depends on servers any more");
}

#[test]
fn what_a_server_said_before_the_new_names_were_announced_counts_for_nothing() {
    let mut story = Story::new(N1, &[("n1", "p", "a")]);
    story.policies_change(&[("n1", "p", "b")]).announced().waits(&[]).offers(&["n1: b=p"]);
    let asked = story.keeping.asks().unwrap();
    story.policies_change(&[("n1", "p", "c")]).announced();
    story.keeping.heard(asked, 0, &waiting(&[]));
    story.offers(&["n1: b=p c=p"]).waits(&[]).offers(&["n1: c=p"]);
}

#[test]
fn as_long_as_a_server_has_not_answered_every_name_stays() {
    let mut story = Story::new(N1, &[("n1", "p", "a")]);
    story.policies_change(&[("n1", "p", "b")]).announced();
    story.keeping.heard(1, 0, &waiting(&[]));
    let kept = |story: &Story| shown(&story.keeping.over(&story.ruled, &story.snapshot, &story.offered, 2));
    assert_eq!(kept(&story), ["n1: a=p b=p"]);
    assert_eq!(story.keeping.why(&name("a"), &story.ruled, 2).unwrap().0, Reason::Unknown);
    story.keeping.heard(1, 1, &waiting(&[]));
    assert_eq!(kept(&story), ["n1: b=p"]);
}

#[test]
fn each_change_keeps_its_own_time_and_a_name_that_comes_back_is_a_name_like_any_other() {
    let mut story = Story::new(N1, &[("n1", "p", "a")]);
    let first = story.now + GRACE;
    story.policies_change(&[("n1", "p", "b")]).announced().waits(&[("a", 1)]);
    story.now += Duration::from_secs(1);
    story.policies_change(&[("n1", "p", "c")]).announced().waits(&[("a", 1), ("b", 1)]).offers(&["n1: a=p b=p c=p"]);
    story.keeping.expire(first, &story.ruled);
    story.offers(&["n1: b=p c=p"]);
    story.policies_change(&[("n1", "p", "b")]).announced().waits(&[("b", 1)]).offers(&["n1: b=p"]);
    assert_eq!(story.keeping.why(&name("b"), &story.ruled, 1), None);
}

#[test]
fn a_node_that_comes_back_has_its_old_names_again() {
    let mut story = Story::new(N1_N2, &[("n1", "p", "a"), ("n2", "p", "a")]);
    story.policies_change(&[("n1", "p", "b"), ("n2", "p", "b")]).announced().waits(&[("a", 1)]);
    let all = Arc::clone(&story.ruled);
    story.ruled = Arc::new(FunctionTable::giving(&[("n1", "p", "b")]));
    story.offers(&["n1: a=p b=p"]);
    story.ruled = all;
    story.offers(&["n1: a=p b=p", "n2: a=p b=p"]);
}

#[test]
fn of_many_changes_in_a_row_the_latest_are_kept() {
    let mut story = Story::new(N1, &[("n1", "p", "v0")]);
    for version in ["v1", "v2", "v3", "v4", "v5", "v6"] {
        story.policies_change(&[("n1", "p", version)]);
    }
    story.offers(&["n1: v2=p v3=p v4=p v5=p v6=p"]);
}

#[test]
fn what_stays_the_same_stays_the_same_row() {
    let mut story = Story::new(N1_N2, &[("n1", "p", "a"), ("n2", "p", "a")]);
    story.policies_change(&[("n1", "p", "b"), ("n2", "p", "b")]).announced().waits(&[("a", 1)]);
    story.offers(&["n1: a=p b=p", "n2: a=p b=p"]);
    let before = Arc::clone(&story.offered);
    story.waits(&[("a", 2)]).offers(&["n1: a=p b=p", "n2: a=p b=p"]);
    for ((_, _, before), (_, _, after)) in before.rows().zip(story.offered.rows()) {
        assert!(Arc::ptr_eq(before, after));
    }
    story.waits(&[]).offers(&["n1: b=p", "n2: b=p"]);
    assert!(Arc::ptr_eq(&story.offered, &story.ruled));
}

#[track_caller]
fn left(keeping: &Keeping, before: &Places, after: &Places, keeps: bool) -> Vec<String> {
    let (before, after) = (FunctionTable::giving(before), FunctionTable::giving(after));
    let left = keeping.left_behind(&before, &after, &snapshot(N1_N2), keeps);
    left.iter().map(|(name, left)| format!("{name} {left:?}")).collect()
}

#[test]
fn jobs_are_left_behind_where_their_name_cannot_be_kept_or_means_another_project() {
    let none = Keeping::default();
    let before = [("n1", "p", "a"), ("n1", "q", "q"), ("n2", "p", "a")];
    let (renamed, vetoed) = ([("n1", "p", "b"), ("n1", "q", "q")], [("n1", "q", "q")]);
    assert_eq!(left(&none, &before, &renamed, true), [""; 0]);
    assert_eq!(left(&none, &before, &renamed, false), ["build:a Nobody"]);
    assert_eq!(left(&none, &before, &vetoed, true), ["build:a Nobody"]);
    assert_eq!(left(&none, &before, &[("n2", "p", "a"), ("n1", "q", "q")], false), [""; 0], "another node has it");
    let taken = [("n1", "q", "a"), ("n1", "p", "b")];
    let another = r#"build:a Another { meant: ProjectName("p"), means: ProjectName("q") }"#;
    assert_eq!(left(&none, &before, &taken, true), [another]);
}

#[test]
fn a_change_leaves_behind_what_an_earlier_one_had_kept() {
    let mut story = Story::new(N1, &[("n1", "p", "a"), ("n1", "q", "q")]);
    story.policies_change(&[("n1", "p", "b"), ("n1", "q", "q")]);
    let before = [("n1", "p", "b"), ("n1", "q", "q")];
    assert_eq!(left(&story.keeping, &before, &[("n1", "q", "q")], true), ["build:a Nobody", "build:b Nobody"]);
    assert_eq!(left(&story.keeping, &before, &[("n1", "p", "c"), ("n1", "q", "q")], true), [""; 0]);
    assert_eq!(left(&story.keeping, &before, &[("n1", "p", "a"), ("n1", "q", "q")], true), [""; 0]);
}

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const PROJECTS: [&str; 3] = ["p", "q", "r"];
const NAMES: [&str; 6] = ["a", "b", "c", "a:linux", "b:linux", "a:gpu"];

/// Each name means one project, as in every table that the rules make.
fn tables() -> impl Strategy<Value = Vec<(&'static str, &'static str, &'static str)>> {
    let owners = prop::collection::vec(0..PROJECTS.len(), NAMES.len());
    let places = prop::collection::btree_set((0..NODES.len(), 0..NAMES.len()), 0..12);
    (owners, places).prop_map(|(owners, places)| {
        places.into_iter().map(|(node, name)| (NODES[node], PROJECTS[owners[name]], NAMES[name])).collect()
    })
}

#[derive(Clone, Debug)]
enum Happens {
    Policies(Vec<(&'static str, &'static str, &'static str)>),
    /// Nodes and projects come and go.
    Fleet(Vec<(&'static str, &'static str, &'static str)>),
    Announced,
    Waits(BTreeSet<usize>),
    Passes(u64),
}

fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        3 => tables().prop_map(Happens::Policies),
        1 => tables().prop_map(Happens::Fleet),
        2 => Just(Happens::Announced),
        2 => prop::collection::btree_set(0..NAMES.len(), 0..4).prop_map(Happens::Waits),
        1 => (1..700u64).prop_map(Happens::Passes),
    ]
}

proptest! {
    #[test]
    fn whatever_happens_a_kept_name_has_one_meaning_a_project_beside_it_and_an_end(
        before in tables(),
        events in prop::collection::vec(happens(), 1..25),
    ) {
        let mut story = Story::new(&[("n1", &["linux"]), ("n2", &["gpu"]), ("n3", &[])], &before);
        // When each name was taken away last by policies.
        let mut taken: BTreeMap<FunctionName, Instant> = BTreeMap::new();
        for event in events {
            let ruled = Arc::clone(&story.ruled);
            match event {
                Happens::Policies(places) => {
                    story.policies_change(&places);
                    let gone = |(_, node, row): (&ControllerName, &NodeName, &Arc<Row>)| -> Vec<FunctionName> {
                        let left = story.ruled.row(&ControllerName::new("ci"), node);
                        let names = row.keys().filter(|name| left.is_none_or(|left| !left.contains_key(*name)));
                        names.cloned().collect()
                    };
                    taken.extend(ruled.rows().flat_map(gone).map(|name| (name, story.now)));
                    // Nothing that may stay goes before the new names are announced.
                    let offered = story.keeping.over(&story.ruled, &story.snapshot, &story.offered, 1);
                    for (place, offers) in staying(&ruled, &story.ruled, &story.snapshot, &|_| true) {
                        let row = offered.row(place.0, place.1).unwrap();
                        prop_assert!(offers.keys().all(|name| row.contains_key(name)));
                    }
                }
                Happens::Fleet(places) => story.ruled = Arc::new(FunctionTable::giving(&places)),
                Happens::Announced => story.keeping.announced(),
                Happens::Waits(names) => {
                    let jobs: Vec<(&str, u64)> = names.into_iter().map(|name| (NAMES[name], 1)).collect();
                    if let Some(asked) = story.keeping.asks() {
                        story.keeping.heard(asked, 0, &waiting(&jobs));
                    }
                }
                Happens::Passes(seconds) => story.now += Duration::from_secs(seconds),
            }
            story.keeping.expire(story.now, &story.ruled);
            story.offered = story.keeping.over(&story.ruled, &story.snapshot, &story.offered, 1);
            let mut meanings: BTreeMap<&FunctionName, &ProjectName> = BTreeMap::new();
            for (controller, node, row) in story.offered.rows() {
                let given = story.ruled.row(controller, node).unwrap();
                prop_assert!(given.iter().all(|(name, offer)| row.get(name) == Some(offer)), "what the rules give is offered");
                for (name, offer) in row.iter() {
                    prop_assert_eq!(*meanings.entry(name).or_insert(&offer.project), &offer.project);
                    if given.contains_key(name) {
                        continue;
                    }
                    prop_assert!(given.values().any(|given| given.project == offer.project), "only names are kept");
                    prop_assert!(taken.get(name).is_some_and(|at| story.now < *at + GRACE), "{} has had its time", name);
                    prop_assert!(story.ruled.owner_of(name).is_none_or(|owner| *owner == offer.project));
                }
            }
        }
    }
}
