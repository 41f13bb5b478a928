//! A table of probes: what each Gearman server answers to the same words, side by side.
//!
//! The page that it makes is `docs/gearman-probes.md`, and the test fails when it is not what the servers say;
//! `UPDATE_EXPECT=1` writes it. It also fails when the embedded server differs from gearmand without a reason given.

mod administrators;
mod clients;
mod framing;
mod peer;
mod script;
mod workers;

use std::collections::BTreeMap;
use std::sync::Arc;

use expect_test::expect_file;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use self::peer::Peer;
use self::script::Conversation;
use super::support::{GearmanServer, Kind};

/// One conversation, held with every server.
struct Probe {
    name: &'static str,
    /// What the protocol's document says, or who does it so.
    says: &'static str,
    script: &'static str,
    /// Why the embedded server does not do as gearmand does; empty if it does.
    differs: &'static str,
}

const SECTIONS: [(&str, &[Probe]); 4] = [
    ("Framing", framing::PROBES),
    ("Clients", clients::PROBES),
    ("Workers", workers::PROBES),
    ("Administrators", administrators::PROBES),
];

const SERVERS: [Kind; 3] = [Kind::Gearmand, Kind::Layshaft, Kind::Geard];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_of_probes_is_what_the_servers_say() {
    let (gearmand, layshaft, geard) = tokio::join!(all(SERVERS[0]), all(SERVERS[1]), all(SERVERS[2]));
    let page = page(&[gearmand, layshaft, geard]);
    expect_file![concat!(env!("CARGO_MANIFEST_DIR"), "/docs/gearman-probes.md")].assert_eq(&page);
}

/// Returns what one server says to each probe.
async fn all(kind: Kind) -> Vec<String> {
    let probes = SECTIONS.iter().flat_map(|(_, probes)| probes.iter()).enumerate();
    let (patient, quick): (Vec<_>, Vec<_>) = probes.partition(|(_, probe)| probe.script.contains(" sees"));
    let (mut outcomes, others) = tokio::join!(at_once(kind, patient), one_by_one(kind, quick));
    outcomes.extend(others);
    outcomes.into_values().map(|outcome| outcome.join("<br>")).collect()
}

type Numbered = Vec<(usize, &'static Probe)>;
type Outcomes = BTreeMap<usize, Vec<String>>;

/// Holds all conversations at once: those that wait.
async fn at_once(kind: Kind, probes: Numbered) -> Outcomes {
    let server = GearmanServer::start(kind).await;
    let observer = Arc::new(Mutex::new(observer(&server.address).await));
    let mut held = JoinSet::new();
    for (number, probe) in probes {
        let (address, observer) = (server.address.clone(), Arc::clone(&observer));
        held.spawn(async move { (number, Conversation::hold(probe.script, number, &address, &observer).await) });
    }
    held.join_all().await.into_iter().map(|(number, (outcome, _peers))| (number, outcome)).collect()
}

/// Holds one conversation after the other, and leaves connections open until the end, for geard's sake.
async fn one_by_one(kind: Kind, probes: Numbered) -> Outcomes {
    let server = GearmanServer::start(kind).await;
    let observer = Mutex::new(observer(&server.address).await);
    let (mut outcomes, mut kept) = (Outcomes::new(), Vec::new());
    for (number, probe) in probes {
        let (outcome, peers) = Conversation::hold(probe.script, number, &server.address, &observer).await;
        outcomes.insert(number, outcome);
        kept.push(peers);
    }
    outcomes
}

/// Returns a connection to ask on, once the server has no other: geard may take a new connection for one that has just
/// left, and close it.
async fn observer(address: &str) -> Peer {
    loop {
        let mut observer = Peer::connect(address).await;
        while let Some(connections) = observer.listing("workers").await {
            if connections.len() <= 1 {
                return observer;
            }
        }
    }
}

fn page(outcomes: &[Vec<String>; 3]) -> String {
    let mut page = vec![include_str!("preface.md").to_owned()];
    let mut unexplained = Vec::new();
    let mut number = 0;
    for (title, probes) in SECTIONS {
        page.push(format!("## {title}\n"));
        page.push("| probe | says | script | gearmand | layshaft | geard | why layshaft differs |".to_owned());
        page.push("|---|---|---|---|---|---|---|".to_owned());
        for probe in probes {
            let [gearmand, layshaft, geard] = outcomes.each_ref().map(|outcomes| outcomes[number].as_str());
            number += 1;
            if (gearmand == layshaft) != probe.differs.is_empty() {
                unexplained.push(probe.name);
            }
            let script = probe.script.lines().map(str::trim).filter(|line| !line.is_empty());
            let script = script.map(cell).collect::<Vec<_>>().join("<br>");
            let shown = |outcome: &str| if outcome == gearmand { "same".to_owned() } else { cell(outcome) };
            let cells = [&script, &cell(gearmand), &shown(layshaft), &shown(geard)].map(String::as_str).join(" | ");
            page.push(format!("| {} | {} | {cells} | {} |", probe.name, probe.says, probe.differs));
        }
        page.push(String::new());
    }
    page.push("## Where layshaft differs from gearmand\n".to_owned());
    let differing = SECTIONS.iter().flat_map(|(_, probes)| probes.iter()).filter(|probe| !probe.differs.is_empty());
    page.extend(differing.map(|probe| format!("- {}: {}", probe.name, probe.differs)));
    page.push(String::new());
    let page = page.join("\n");
    assert!(
        unexplained.is_empty() || std::env::var_os("UPDATE_EXPECT").is_some(),
        "differ from gearmand without a reason, or have a reason without a difference: {unexplained:#?}\n{page}"
    );
    page
}

fn cell(text: &str) -> String {
    if text.is_empty() { "no answer".to_owned() } else { text.replace('|', "\\|") }
}
