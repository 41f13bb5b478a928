//! What a policy costs: one decision, and the time from a dropped file to the generation that has it.
//!
//! Measured through the same calls that the daemon makes, with the example policies and settings as they are shipped.

#[path = "../support/mod.rs"]
mod support;

mod question;
mod replay;
mod site;
mod table;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use layshaft::domain::{FunctionName, Node, Parameters, Project};
use layshaft::label::Expression;
use layshaft::policy::{Controller, Filtered, Generation, Policies, Request, World};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use question::Decided;
use site::Site;
use support::{Samples, Spread};
use table::{Asked, Table};

const ALLOWLIST: &str = "parameter-allowlist";
const HIERARCHY: &str = "label-hierarchy";

const JOBS: usize = 5_000;

/// Nodes that all look different, so that each of them is a question of its own.
const NODES: usize = 2_000;

const PASSES: usize = 5;

const DROPS: usize = 7;

/// How long a dropped file may take; reached only when the watcher is broken.
const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::main]
#[expect(clippy::print_stdout, reason = "a benchmark's product is its table")]
async fn main() -> anyhow::Result<()> {
    if !support::is_wanted() {
        println!("measures nothing unless it is run by `cargo bench --bench policy`");
        return Ok(());
    }
    let site = Site::new(&[ALLOWLIST, HIERARCHY])?;
    let opened = Instant::now();
    let policies = Arc::new(Policies::open(site.config.clone())?);
    let opening = opened.elapsed();
    ensure!(policies.readiness().is_empty(), "policies are not in force: {:?}", policies.readiness());

    println!("a question of real size, microseconds {:>22} {:>9} {:>9} {:>9}", "samples", "p50", "p99", "fuel");
    for Decided { policy, kept, kept_fuel, fresh, fresh_fuel } in question::measure()? {
        for (how, samples, fuel) in [("kept", kept, kept_fuel), ("fresh", fresh, fresh_fuel)] {
            let what = format!("{policy}, {how}");
            println!("  {what:<48} {:>9} {:>9.2} {:>9.2} {fuel:>9}", samples.len(), samples.p50(), samples.p99());
        }
    }

    println!("\none decision, microseconds {:>27} {:>9} {:>9}", "samples", "p50", "p99");
    print("parameters.filter, a fresh instance", &filters(&policies)?);
    print("the same through spawn_blocking", &filters_off_the_runtime(&policies).await?);
    let matching = matching(&policies)?;
    print("matching.matches, an instance's first", &matching.first);
    print("matching.matches, asked", &matching.asked);
    print("matching.matches, remembered", &matching.remembered);

    let took = replay::replay(&site, &policies, ALLOWLIST)?;
    println!("\n{} recorded decisions, put to what is in force and to a candidate", replay::RECORDS);
    println!("  milliseconds in all {:>32.0}", took.as_secs_f64() * 1e3);

    let table = Table::measure()?;
    println!("\nthe questions of a whole table, {} classes of nodes x {} projects", table::CLASSES, table::PROJECTS);
    for (what, Asked { questions, took }) in [
        ("matching.matches, 60 labels, remembered", table.matching),
        ("matching.matches, a label for each project", table.matching_each),
        ("naming.names, each project by itself", table.naming),
    ] {
        let each = took.as_secs_f64() * 1e6 / f64::from(u32::try_from(questions)?);
        println!("  {what:<42} {questions:>9} in {:.2} s, {each:.2} microseconds each", took.as_secs_f64());
    }

    println!("\nfrom a dropped file to its generation, milliseconds; median [min..max] of {DROPS} drops");
    println!("  both policies at start: {:.0}", opening.as_secs_f64() * 1e3);
    for name in [ALLOWLIST, HIERARCHY] {
        let drops = drops(&site, &policies, name).await?;
        let ms = |figures: &[Duration]| Spread::new(figures.iter().map(|took| took.as_secs_f64() * 1e3)).to_string();
        let quiet = site.config.quiet;
        let noticing = drops.live.iter().zip(&drops.reload).map(|(live, reload)| live.saturating_sub(quiet + *reload));
        println!("  {name}");
        println!("    drop to live              {:>28}", ms(&drops.live));
        println!("    of it the quiet period    {:>28}   policy.quiet, here its default", quiet.as_millis());
        println!(
            "    read, compile, try, publish {:>26}   a reload on request, without the watcher",
            ms(&drops.reload)
        );
        println!(
            "    the rest                  {:>28}   notification, looks at the folder",
            ms(&noticing.collect::<Vec<_>>())
        );
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "a benchmark's product is its table")]
fn print(what: &str, samples: &Samples) {
    println!("  {what:<42} {:>9} {:>9.2} {:>9.2}", samples.len(), samples.p50(), samples.p99());
}

/// A job whose parameters are judged, owned as the daemon has it.
struct Job {
    generation: Arc<Generation>,
    controller: Controller,
    project: Project,
    function: FunctionName,
    node: Node,
    named_labels: BTreeSet<String>,
    requested: Parameters,
}

impl Job {
    /// Makes one of which the shipped rules let four parameters pass and drop two.
    fn new(policies: &Policies) -> anyhow::Result<Self> {
        Ok(Self {
            generation: policies.live(),
            controller: site::controller(),
            project: site::project(),
            function: FunctionName::new("build:deploy/webapp:linux")?,
            node: site::node(1),
            named_labels: BTreeSet::from(["linux".to_owned()]),
            requested: [
                ("VERSION", "1.4.2"),
                ("DEPLOY_ARGS", "--region eu-west --dry-run"),
                ("ZUUL_PROJECT", "acme/webapp"),
                ("ZUUL_REF", "refs/zuul/master/Z0123456789"),
                ("ZUUL_TOKEN", "0123456789abcdef"),
                ("SHELL", "/bin/sh"),
            ]
            .into_iter()
            .collect(),
        })
    }

    fn request(&self) -> Request<'_> {
        Request {
            controller: &self.controller,
            project: &self.project,
            function: &self.function,
            label: Some("linux"),
            node: &self.node,
            named_labels: &self.named_labels,
            requested: &self.requested,
            client_asks_offline: false,
        }
    }
}

/// A fast wrong answer is no figure.
fn check(filtered: Filtered) -> anyhow::Result<()> {
    let Filtered::Pass { parameters, dropped, .. } = filtered else {
        anyhow::bail!("the policy answered {filtered:?}")
    };
    ensure!((parameters.len(), dropped.len()) == (4, 2), "{parameters:?} passed and {dropped:?} did not");
    Ok(())
}

fn filters(policies: &Policies) -> anyhow::Result<Samples> {
    let job = Job::new(policies)?;
    let mut samples = Samples::default();
    for _ in 0..JOBS {
        let started = Instant::now();
        let filtered = job.generation.filter(&job.request());
        samples.push(started.elapsed());
        check(filtered)?;
    }
    Ok(samples)
}

/// The daemon asks off its async threads.
async fn filters_off_the_runtime(policies: &Policies) -> anyhow::Result<Samples> {
    let mut samples = Samples::default();
    for _ in 0..JOBS {
        let job = Job::new(policies)?;
        let started = Instant::now();
        let filtered = tokio::task::spawn_blocking(move || job.generation.filter(&job.request())).await?;
        samples.push(started.elapsed());
        check(filtered)?;
    }
    Ok(samples)
}

#[derive(Default)]
struct Matching {
    /// With the start of the instance and its `configure`.
    first: Samples,
    asked: Samples,
    remembered: Samples,
}

/// Decides in passes as over a function table: one project, many nodes, and then all of them again.
fn matching(policies: &Policies) -> anyhow::Result<Matching> {
    let generation = policies.live();
    let (controller, project) = (site::controller(), site::project());
    let expression = Expression::lookup("ubuntu && \"gpu>=2\"");
    let world = World { named_labels: expression.atoms().into_iter().map(str::to_owned).collect() };
    let nodes: Vec<Node> = (0..NODES).map(site::node).collect();
    let mut matching = Matching::default();
    for _ in 0..PASSES {
        let mut pass = generation.pass(&world);
        let mut decide = |node: &Node| {
            let started = Instant::now();
            let matched = pass.matches(&controller, &project, Some(&expression), node, false);
            let took = started.elapsed();
            let matched = matched.map_err(|undecided| anyhow::anyhow!("{undecided}"))?;
            ensure!(matched.matched && matched.widened, "the policy answered {matched:?}");
            anyhow::Ok(took)
        };
        matching.first.push(decide(&nodes[0])?);
        for node in &nodes[1..] {
            matching.asked.push(decide(node)?);
        }
        for node in &nodes {
            matching.remembered.push(decide(node)?);
        }
    }
    Ok(matching)
}

#[derive(Default)]
struct Drops {
    /// With the watcher.
    live: Vec<Duration>,
    /// On request.
    reload: Vec<Duration>,
}

/// Replaces a policy again and again by a version that has to be compiled.
async fn drops(site: &Site, policies: &Arc<Policies>, name: &str) -> anyhow::Result<Drops> {
    let mut drops = Drops::default();
    for _ in 0..DROPS {
        site.change(name)?;
        let started = Instant::now();
        let report = policies.reload().await;
        drops.reload.push(started.elapsed());
        ensure!(report.changed.len() == 1 && report.refused.is_empty(), "{report:?}");
    }
    let stop = CancellationToken::new();
    let watching = tokio::spawn(Arc::clone(policies).watch(stop.clone()));
    // The watcher first looks by itself, since something may have changed before it came.
    sleep(site.config.quiet * 3).await;
    let mut live = policies.subscribe();
    for _ in 0..DROPS {
        live.mark_unchanged();
        let started = Instant::now();
        site.change(name)?;
        timeout(PATIENCE, live.changed()).await.context("the watcher did not see the file")??;
        drops.live.push(started.elapsed());
        // By then it watches again.
        sleep(site.config.quiet / 2).await;
    }
    stop.cancel();
    watching.await?;
    Ok(drops)
}
