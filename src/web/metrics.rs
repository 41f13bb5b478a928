//! What the daemon counts, in the text that Prometheus and its like read. Pure: the same data that `layshaft status` and
//! `layshaft policy list` show, in other words. docs/metrics.md lists it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::{Registry, Unit};

use crate::policy::{BOUNDS_US, Mode, SlotState, SlotStatus, Standing, Usage};
use crate::runtime::status::{self, BuildState, ControllerStatus, NodeStatus, Status};

pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Scrape {
    /// None while the daemon does not serve yet.
    pub(super) status: Option<Status>,
    pub(super) standing: Standing,
}

/// Names and values of the labels of one series.
type Labels<'a> = Vec<(&'static str, &'a str)>;

impl Scrape {
    pub(super) fn text(self) -> String {
        let mut registry = Registry::with_prefix("layshaft");
        registry.register_collector(Box::new(self));
        let mut text = String::new();
        text::encode(&mut text, &registry).expect("a string takes any text");
        text
    }

    fn usages(&self) -> impl Iterator<Item = &Usage> {
        self.standing.policies.iter().flat_map(|policy| &policy.usage)
    }

    /// Writes a counter of each slot and hook.
    fn usage_counter(&self, page: &mut Page<'_>, name: &str, help: &str, count: impl Fn(&Usage) -> u64) -> fmt::Result {
        page.counters(name, help, self.usages().map(|usage| (of(usage), count(usage))))
    }

    /// Writes a counter of each slot, hook and word.
    fn usage_counters(
        &self,
        page: &mut Page<'_>,
        name: &str,
        help: &str,
        label: &'static str,
        counts: fn(&Usage) -> &BTreeMap<String, u64>,
    ) -> fmt::Result {
        let mut series = Vec::new();
        for usage in self.usages() {
            for (word, count) in counts(usage) {
                let mut labels = of(usage);
                labels.push((label, word.as_str()));
                series.push((labels, *count));
            }
        }
        page.counters(name, help, series.into_iter())
    }

    fn policies(&self, page: &mut Page<'_>) -> fmt::Result {
        let Standing { generation, frozen, refusals, last_reload, .. } = &self.standing;
        page.gauge("policy_generation", "Number of the generation of policies in force", *generation)?;
        page.gauge("policy_frozen", "1 while nothing comes in from the policy folder", u64::from(*frozen))?;
        let gates: Vec<_> = refusals.iter().map(|(gate, count)| (gate.to_string(), *count)).collect();
        page.counters(
            "policy_refusals",
            "Changes of policies that were refused, by gate",
            gates.iter().map(|(gate, count)| (vec![("gate", gate.as_str())], *count)),
        )?;
        let stages = last_reload.iter().flat_map(|cost| &cost.stages);
        let stages = stages.map(|(stage, time)| (vec![("stage", stage.as_str())], Duration::from_micros(*time)));
        let help = "Duration of the last change of policies that came into force or was refused, by stage";
        page.seconds("policy_reload", help, stages)?;
        let at = last_reload.iter().filter_map(|cost| cost.at.duration_since(UNIX_EPOCH).ok());
        page.seconds("policy_reload_timestamp", "When that was over, since the epoch", at.map(|at| (Vec::new(), at)))?;
        page.infos(
            "policy_slot",
            "Policies that there are",
            self.standing.policies.iter().map(|policy| {
                let mode = if policy.mode == Mode::Monitor { "monitor" } else { "enforce" };
                let digest = policy.digest.as_ref().map(|digest| digest.short()).unwrap_or_default();
                vec![("policy", policy.name.as_str()), ("mode", mode), ("sha256", digest)]
            }),
        )?;
        let states = self.standing.policies.iter().flat_map(|policy| {
            let is = |state: SlotState| u64::from(policy.state == state);
            STATES
                .iter()
                .map(move |(state, word)| (vec![("policy", policy.name.as_str()), ("state", *word)], is(*state)))
        });
        page.gauges("policy_state", "1 for the state that a policy is in, 0 for the others", states)?;
        let failing = |policy: &SlotStatus| u64::from(policy.failing.is_some());
        page.gauges(
            "policy_failing",
            "1 if a policy failed when it was last asked at some hook",
            self.standing.policies.iter().map(|policy| (vec![("policy", policy.name.as_str())], failing(policy))),
        )?;
        self.usage(page)
    }

    fn usage(&self, page: &mut Page<'_>) -> fmt::Result {
        self.usage_counters(page, "policy_verdicts", "Answers, by word", "verdict", |usage| &usage.verdicts)?;
        self.usage_counters(page, "policy_errors", "Failed calls, by class", "class", |usage| &usage.errors)?;
        page.histograms("policy_call", "Duration of calls", self.usages())?;
        self.usage_counter(page, "policy_fuel", "Fuel that calls took", |usage| usage.fuel)?;
        let help = "Questions of a pass that had been asked in it before";
        self.usage_counter(page, "policy_memo_hits", help, |usage| usage.memo_hits)?;
        let help = "Questions of a pass that were new in it";
        self.usage_counter(page, "policy_memo_misses", help, |usage| usage.memo_misses)?;
        let help = "What policies in mode monitor would have changed, by what";
        self.usage_counters(page, "policy_would_have", help, "what", |usage| &usage.would_have)?;
        let trial = self.standing.policies.iter().filter(|policy| policy.mode == Mode::Monitor);
        let skipped = trial.flat_map(|policy| &policy.usage).map(|usage| (of(usage), usage.skipped));
        page.counters(
            "policy_trial_skipped",
            "Questions left out for policies in mode monitor that fell behind",
            skipped,
        )
    }

    fn site(&self, page: &mut Page<'_>, status: &Status) -> fmt::Result {
        page.gauge("ready", "1 if jobs are taken, as /ready says", u64::from(status.not_ready.is_empty()))?;
        let is = |mode: status::Mode| u64::from(status.mode == mode);
        let modes = [
            ("serving", status::Mode::Serving),
            ("paused", status::Mode::Paused),
            ("draining", status::Mode::Draining),
        ];
        let modes = modes.into_iter().map(|(word, mode)| (vec![("mode", word)], is(mode)));
        page.gauges("mode", "1 for the mode that the daemon is in, 0 for the others", modes)?;
        let servers = || status.gearman.iter().map(|server| (vec![("server", server.server.as_str())], server));
        let up = servers().map(|(labels, server)| (labels, server.connected as u64));
        page.gauges("gearman_connections", "Connections to a Gearman server that are up", up)?;
        let wanted = servers().map(|(labels, server)| (labels, server.connections as u64));
        page.gauges("gearman_connections_wanted", "Connections to a Gearman server that there should be", wanted)?;
        let controllers =
            || status.controllers.iter().map(|controller| (vec![("controller", controller.name.as_str())], controller));
        let up = controllers().map(|(labels, controller)| (labels, u64::from(controller.reachable)));
        page.gauges("controller_up", "1 if a controller answers, so that its functions are on offer", up)?;
        let on_nodes = |count: fn(&NodeStatus) -> u32| {
            let sum = move |controller: &ControllerStatus| {
                controller.nodes.iter().filter(|node| node.online).map(|node| u64::from(count(node))).sum()
            };
            controllers().map(move |(labels, controller)| (labels, sum(controller)))
        };
        page.gauges("executors", "Executors of nodes that are online", on_nodes(|node| node.executors))?;
        let help = "Executors of nodes that are online which are busy, whoever started the build";
        page.gauges("executors_busy", help, on_nodes(|node| node.busy))?;
        page.gauge("functions", "Build functions that are offered", status.functions.len() as u64)?;
        let count = |state: BuildState| status.builds.iter().filter(|build| build.state == state).count() as u64;
        let builds = BUILD_STATES.iter().map(|(state, word)| (vec![("state", *word)], count(*state)));
        page.gauges("builds", "Builds under way for jobs, by state", builds)?;
        let jobs = status.jobs.iter().map(|(outcome, count)| (vec![("outcome", outcome.as_str())], *count));
        page.counters("jobs", "Jobs that ended, by outcome", jobs)
    }
}

const STATES: [(SlotState, &str); 6] = [
    (SlotState::Live, "live"),
    (SlotState::LastGood, "last_good"),
    (SlotState::Refused, "refused"),
    (SlotState::Missing, "missing"),
    (SlotState::Quarantined, "quarantined"),
    (SlotState::Disabled, "disabled"),
];

const BUILD_STATES: [(BuildState, &str); 4] = [
    (BuildState::Starting, "starting"),
    (BuildState::Queued, "queued"),
    (BuildState::Running, "running"),
    (BuildState::Undelivered, "undelivered"),
];

impl Collector for Scrape {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut page = Page(encoder);
        page.infos("build", "This daemon", [vec![("version", env!("CARGO_PKG_VERSION"))]].into_iter())?;
        if let Some(status) = &self.status {
            self.site(&mut page, status)?;
        }
        self.policies(&mut page)
    }
}

fn of(usage: &Usage) -> Labels<'_> {
    vec![("slot", &usage.slot), ("hook", usage.hook.as_str())]
}

/// What is written so far. A family without series is left out.
struct Page<'e>(DescriptorEncoder<'e>);

impl Page<'_> {
    fn gauge(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.0.encode_descriptor(name, help, None, MetricType::Gauge)?.encode_gauge(&value)
    }

    fn gauges<'a>(&mut self, name: &str, help: &str, series: impl Iterator<Item = (Labels<'a>, u64)>) -> fmt::Result {
        let write = |encoder: &mut MetricEncoder<'_>, value: &u64| encoder.encode_gauge(value);
        self.family(name, help, None, MetricType::Gauge, series, write)
    }

    fn counters<'a>(&mut self, name: &str, help: &str, series: impl Iterator<Item = (Labels<'a>, u64)>) -> fmt::Result {
        let write =
            |encoder: &mut MetricEncoder<'_>, value: &u64| encoder.encode_counter::<NoLabelSet, _, u64>(value, None);
        self.family(name, help, None, MetricType::Counter, series, write)
    }

    fn seconds<'a>(
        &mut self,
        name: &str,
        help: &str,
        series: impl Iterator<Item = (Labels<'a>, Duration)>,
    ) -> fmt::Result {
        let write = |encoder: &mut MetricEncoder<'_>, value: &Duration| encoder.encode_gauge(&value.as_secs_f64());
        self.family(name, help, Some(&Unit::Seconds), MetricType::Gauge, series, write)
    }

    fn infos<'a>(&mut self, name: &str, help: &str, series: impl Iterator<Item = Labels<'a>>) -> fmt::Result {
        let write = |encoder: &mut MetricEncoder<'_>, labels: &Labels<'_>| encoder.encode_info(labels);
        self.family(name, help, None, MetricType::Info, series.map(|labels| (Vec::new(), labels)), write)
    }

    fn histograms<'a>(&mut self, name: &str, help: &str, usages: impl Iterator<Item = &'a Usage>) -> fmt::Result {
        let write = |encoder: &mut MetricEncoder<'_>, usage: &&Usage| {
            let bounds = BOUNDS_US.iter().map(|bound| *bound as f64 / 1e6).chain([f64::INFINITY]);
            let buckets: Vec<(f64, u64)> = bounds.zip(usage.latency.iter().copied()).collect();
            encoder.encode_histogram::<NoLabelSet>(usage.nanoseconds as f64 / 1e9, usage.calls, &buckets, None)
        };
        let series = usages.map(|usage| (of(usage), usage));
        self.family(name, help, Some(&Unit::Seconds), MetricType::Histogram, series, write)
    }

    fn family<'a, V>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        kind: MetricType,
        series: impl Iterator<Item = (Labels<'a>, V)>,
        write: impl Fn(&mut MetricEncoder<'_>, &V) -> fmt::Result,
    ) -> fmt::Result {
        let mut series = series.peekable();
        if series.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, unit, kind)?;
        for (labels, value) in series {
            match labels.is_empty() {
                true => write(&mut family, &value)?,
                false => write(&mut family.encode_family(&labels)?, &value)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
