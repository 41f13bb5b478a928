//! The function table: which names each node offers, and which project each name means.
//!
//! PURE: a snapshot and the rules' answers in, a table out. Whoever asks policies does so behind [`Rules`]; nothing
//! here awaits or reads a clock. Where the rules could not decide, what was offered before stays (fail static).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use crate::classic;
use crate::classic::names::walk_order;
use crate::domain::{
    BuildFunction, ControllerName, FunctionName, Mode, Node, NodeName, Project, ProjectKind, ProjectName,
};
use crate::label::Expression;

use super::function_set::FunctionSet;
use super::snapshot::{Controller, Snapshot};

/// What every node offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FunctionTable {
    rows: BTreeMap<(ControllerName, NodeName), Arc<Row>>,
    /// Which project a name means, over all controllers: the incumbents of the next table.
    owners: BTreeMap<FunctionName, ProjectName>,
    /// What a person should know, in a fixed order.
    pub(super) notes: BTreeSet<Note>,
}

/// The functions of a node, shared by all nodes that offer the same.
#[derive(Debug, Default)]
pub(super) struct Row {
    offers: BTreeMap<FunctionName, Offer>,
    names: FunctionSet,
    pipelines: OnceLock<Arc<Self>>,
}

/// What a function means on one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) project: ProjectName,
    /// The parts of the name; its project part is what clients see as `name`.
    pub(super) function: BuildFunction,
    /// A pipeline, which needs no executor where it is offered.
    pub(super) is_pipeline: bool,
    /// Whether a build holds an executor by itself; parts of pipelines and of matrix projects do it for them.
    pub(super) holds_executor: bool,
    /// Offered by a policy although Jenkins itself would not run it there: it must be pinned.
    pub(super) widened: bool,
}

/// Something about the table that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Note {
    /// Two projects want one name; the loser is not offered under it.
    Clash { function: FunctionName, kept: ProjectName, refused: ProjectName },
    /// A project's name cannot go on the wire.
    IllegalName { project: ProjectName, error: String },
    /// Zuul cuts the server's answers at white space.
    WhiteSpace { function: FunctionName },
    /// A policy widens a project that cannot be pinned, so Jenkins would never start it there.
    NotPinnable { controller: ControllerName, project: ProjectName },
    /// A policy widens and was not granted that.
    Clamped { controller: ControllerName, project: ProjectName, advice: String },
    /// Something among the projects that nobody here knows how to build; the first of them, and how many more.
    UnknownKind { controller: ControllerName, project: ProjectName, more: usize },
    /// The rules could not decide; what was offered before stays.
    Undecided { controller: ControllerName, project: ProjectName, error: String },
}

/// The rules' answers to one pass over the table.
pub(super) trait Rules {
    /// Returns what tells nodes of a controller apart: nodes of one class are asked about once. None if every node has
    /// to be asked about by itself.
    fn class(&self, _: &Node) -> Option<NodeClass> {
        None
    }

    /// Returns whether a required policy that binds this pair is missing, so that nothing may be offered there.
    fn is_blocked(&self, controller: &ControllerName, project: &Project, node: &Node) -> bool;

    /// Decides whether a node matches, given what Jenkins itself would say.
    fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided>;

    /// Decides the names of a matching pair.
    fn names(&mut self, question: &NameQuestion<'_>) -> Result<Names, Undecided>;

    /// Returns whether the project can be pinned to a node.
    fn is_pinnable(&self, project: &Project) -> bool;
}

/// Whether it is the controller's own node, its usage, and those of its labels that matter.
pub(super) type NodeClass = (bool, Mode, BTreeSet<String>);

/// What [`Rules::matches`] is asked.
#[derive(Debug)]
pub(super) struct MatchQuestion<'a> {
    pub(super) controller: &'a ControllerName,
    pub(super) project: &'a Project,
    pub(super) expression: Option<&'a Expression>,
    pub(super) node: &'a Node,
    pub(super) classic: bool,
}

/// What [`Rules::names`] is asked.
#[derive(Debug)]
pub(super) struct NameQuestion<'a> {
    pub(super) controller: &'a ControllerName,
    pub(super) project: &'a Project,
    pub(super) short_name_unique: bool,
    pub(super) node: &'a Node,
    pub(super) atoms: &'a BTreeSet<String>,
}

/// Whether a node matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Matched {
    pub(super) matched: bool,
    /// The atoms of the expression that the node satisfies.
    pub(super) atoms: BTreeSet<String>,
    pub(super) widened: bool,
    /// Why a policy's widening does not count, and what would let it.
    pub(super) clamped: Option<String>,
}

/// The names that policies give; none leaves them to the classic rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) owned: Option<Vec<BuildFunction>>,
    pub(super) aliases: Vec<BuildFunction>,
}

/// A policy failed to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Undecided {
    pub(super) error: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clash { function, kept, refused } => {
                write!(
                    f,
                    "{function} means {kept}; {refused} is not offered under that name (a naming policy could tell them apart)"
                )
            }
            Self::IllegalName { project, error } => write!(f, "a name of {project} is not offered: {error}"),
            Self::WhiteSpace { function } => {
                write!(
                    f,
                    "{function:?} has white space, at which Zuul cuts function names; rename the project or its label"
                )
            }
            Self::NotPinnable { controller, project } => write!(
                f,
                "{project} on {controller} is widened by a policy and cannot be pinned, so it is not offered there; \
                 let it declare a NodeLabel parameter, or one of builds.pin_parameters"
            ),
            Self::Clamped { controller, project, advice } => {
                write!(f, "{project} on {controller} is widened by a policy that may not widen: {advice}")
            }
            Self::UnknownKind { controller, project, more } => {
                write!(f, "{project} on {controller} is left out: it is of a kind that cannot be built from here")?;
                if *more > 0 { write!(f, ", as are {more} more") } else { Ok(()) }
            }
            Self::Undecided { controller, project, error } => {
                write!(f, "the names of {project} on {controller} stay as they were: {error}")
            }
        }
    }
}

impl Row {
    pub(super) fn new(offers: BTreeMap<FunctionName, Offer>) -> Self {
        let names = offers.keys().cloned().collect();
        Self { offers, names, pipelines: OnceLock::new() }
    }

    pub(super) fn names(&self) -> &FunctionSet {
        &self.names
    }

    /// Returns what a slot without an executor can serve of it.
    pub(super) fn pipelines(&self) -> &Arc<Self> {
        self.pipelines.get_or_init(|| {
            let pipelines = self.offers.iter().filter(|(_, offer)| offer.is_pipeline);
            Arc::new(Self::new(pipelines.map(|(name, offer)| (name.clone(), offer.clone())).collect()))
        })
    }
}

impl Deref for Row {
    type Target = BTreeMap<FunctionName, Offer>;

    fn deref(&self) -> &Self::Target {
        &self.offers
    }
}

impl PartialEq for Row {
    fn eq(&self, other: &Self) -> bool {
        self.offers == other.offers
    }
}

impl Eq for Row {}

impl FunctionTable {
    /// Returns what the node offers.
    pub(super) fn row(&self, controller: &ControllerName, node: &NodeName) -> Option<&Arc<Row>> {
        self.rows.get(&(controller.clone(), node.clone()))
    }

    /// Returns every row in order.
    pub(super) fn rows(&self) -> impl Iterator<Item = (&ControllerName, &NodeName, &Arc<Row>)> {
        self.rows.iter().map(|((controller, node), row)| (controller, node, row))
    }

    /// Returns a table that offers nothing and knows whose names are.
    pub(super) fn owned_by(owners: BTreeMap<FunctionName, ProjectName>) -> Self {
        Self { owners, ..Self::default() }
    }

    /// Returns each row once, with the number of nodes that share it.
    pub(super) fn distinct_rows(&self) -> impl Iterator<Item = (&Row, usize)> {
        let mut distinct: BTreeMap<*const Row, (&Row, usize)> = BTreeMap::new();
        for row in self.rows.values() {
            distinct.entry(Arc::as_ptr(row)).or_insert((row, 0)).1 += 1;
        }
        distinct.into_values()
    }

    /// Returns every name that somebody offers.
    pub(super) fn names(&self) -> impl Iterator<Item = &FunctionName> {
        self.owners.keys()
    }

    /// Returns the project that a name means, wherever it is offered.
    pub(super) fn owner_of(&self, name: &FunctionName) -> Option<&ProjectName> {
        self.owners.get(name)
    }

    /// Returns the table with other rows, one for each of its own in their order. What names mean by the rules stays.
    pub(super) fn with_rows(&self, rows: impl IntoIterator<Item = Arc<Row>>) -> Self {
        let Self { rows: places, owners, notes } = self;
        let rows = places.keys().cloned().zip(rows).collect();
        Self { rows, owners: owners.clone(), notes: notes.clone() }
    }

    /// Returns the project that a name means on a controller, whichever of its nodes offers it.
    pub(super) fn project_named(&self, controller: &ControllerName, project_part: &str) -> Option<&ProjectName> {
        self.rows
            .iter()
            .filter(|((owner, _), _)| owner == controller)
            .flat_map(|(_, row)| row.values())
            .find(|offer| offer.function.project == project_part)
            .map(|offer| &offer.project)
    }

    /// Returns whether the rules had an answer to everything.
    pub(super) fn is_decided(&self) -> bool {
        !self.notes.iter().any(|note| matches!(note, Note::Undecided { .. }))
    }

    /// Returns a table that offers projects under their own names on nodes of one controller.
    #[cfg(test)]
    pub(super) fn offering(places: &[(&str, &str)]) -> Self {
        let places: Vec<_> = places.iter().map(|(node, name)| (*node, *name, *name)).collect();
        Self::giving(&places)
    }

    /// Returns a table that offers projects on nodes of one controller: node, project, `PART` or `PART:LABEL`.
    #[cfg(test)]
    pub(super) fn giving(places: &[(&str, &str, &str)]) -> Self {
        let mut rows: BTreeMap<_, BTreeMap<_, _>> = BTreeMap::new();
        for (node, project, name) in places {
            let (part, label) = name.split_once(':').map_or((*name, None), |(part, label)| (part, Some(label)));
            let (function, project) = (BuildFunction::new(part, label), ProjectName::new(*project));
            let offer = Offer { project, function, is_pipeline: false, holds_executor: true, widened: false };
            let function = offer.function.name().unwrap();
            rows.entry((ControllerName::new("ci"), NodeName::agent(*node))).or_default().insert(function, offer);
        }
        let rows: BTreeMap<_, _> =
            rows.into_iter().map(|(place, offers)| (place, Arc::new(Row::new(offers)))).collect();
        let offers = rows.values().flat_map(|row| row.iter());
        let owners = offers.map(|(name, offer)| (name.clone(), offer.project.clone())).collect();
        Self { rows, owners, ..Self::default() }
    }

    fn previous_offers<'a>(
        &'a self,
        controller: &ControllerName,
        node: &NodeName,
        project: &'a ProjectName,
    ) -> impl Iterator<Item = (&'a FunctionName, &'a Offer)> {
        self.row(controller, node)
            .into_iter()
            .flat_map(|row| row.iter())
            .filter(move |(_, offer)| offer.project == *project)
    }
}

/// Makes the table of a snapshot. `previous` supplies the incumbents of contested names and what stays where the
/// rules cannot decide.
pub(super) fn table(snapshot: &Snapshot, rules: &mut dyn Rules, previous: &FunctionTable) -> FunctionTable {
    let shared_short_names = snapshot.shared_short_names();
    let mut candidates: Vec<Candidate> = Vec::new();
    // What stays where the rules could not decide; alike as the nodes of a class are, they may have offered different things.
    let mut kept: Vec<(usize, &NodeName, FunctionName, Offer)> = Vec::new();
    // By number of their class: nodes that offer the same, with their controller.
    let mut nodes: Vec<(&ControllerName, Vec<&Node>)> = Vec::new();
    let mut notes = BTreeSet::new();
    for (name, controller) in &snapshot.controllers {
        if !controller.serve || !controller.reachable {
            continue;
        }
        let may_be_offered = |project: &&Project| project.buildable && !project.label_unknown;
        let mut projects: Vec<&Project> = controller.projects.iter().filter(may_be_offered).collect();
        projects.sort_by(|a, b| walk_order(&a.name, &b.name));
        let (unknown, projects): (Vec<_>, Vec<_>) =
            projects.into_iter().partition(|project| project.kind == ProjectKind::Unknown);
        if let [first, others @ ..] = unknown.as_slice() {
            let (controller, project) = (name.clone(), first.name.clone());
            notes.insert(Note::UnknownKind { controller, project, more: others.len() });
        }
        let classes = classes(controller, rules);
        let first = nodes.len();
        nodes.extend(classes.iter().map(|alike| (name, alike.clone())));
        for project in projects {
            let pass = ProjectPass {
                name,
                project,
                expression: expression_of(project, controller),
                short_name_unique: !shared_short_names.contains(project.name.short()),
            };
            for (class, alike) in classes.iter().enumerate().map(|(class, alike)| (first + class, alike)) {
                let Some(&node) = alike.first() else { continue };
                if rules.is_blocked(name, project, node) {
                    continue;
                }
                match pass.offers(node, rules, &mut notes) {
                    Ok(offers) => {
                        candidates.extend(offers.into_iter().map(|(function, offer)| (class, function, offer)));
                    }
                    Err(Undecided { error }) => {
                        notes.insert(Note::Undecided {
                            controller: name.clone(),
                            project: project.name.clone(),
                            error,
                        });
                        kept.extend(alike.iter().flat_map(|node| {
                            let offers = previous.previous_offers(name, &node.name, &project.name);
                            offers.map(|(function, offer)| (class, &node.name, function.clone(), offer.clone()))
                        }));
                    }
                }
            }
        }
    }
    let wanted = candidates.iter().map(|(_, function, offer)| (function, &offer.project));
    let wanted = wanted.chain(kept.iter().map(|(_, _, function, offer)| (function, &offer.project)));
    let owners = owners(wanted, previous, &mut notes);
    let is_owned = |function: &FunctionName, offer: &Offer| owners.get(function) == Some(&offer.project);
    let mut by_class: Vec<Offers> = vec![Offers::new(); nodes.len()];
    for (class, function, offer) in candidates.into_iter().filter(|(_, function, offer)| is_owned(function, offer)) {
        by_class[class].insert(function, offer);
    }
    let mut kept_by_node: BTreeMap<(usize, &NodeName), Offers> = BTreeMap::new();
    for (class, node, function, offer) in kept.into_iter().filter(|(_, _, function, offer)| is_owned(function, offer)) {
        kept_by_node.entry((class, node)).or_default().insert(function, offer);
    }
    let mut rows = BTreeMap::new();
    for (class, (offers, (controller, alike))) in by_class.into_iter().zip(nodes).enumerate() {
        let (apart, alike): (Vec<&Node>, Vec<&Node>) =
            alike.into_iter().partition(|node| kept_by_node.contains_key(&(class, &node.name)));
        for node in apart {
            let mut offers = offers.clone();
            offers.extend(kept_by_node.remove(&(class, &node.name)).unwrap_or_default());
            rows.extend(row_for(controller, &[node], offers, previous));
        }
        rows.extend(row_for(controller, &alike, offers, previous));
    }
    FunctionTable { rows, owners, notes }
}

/// Returns the one row of nodes that offer the same; none of those that offer nothing.
fn row_for<'a>(
    controller: &'a ControllerName,
    alike: &'a [&Node],
    offers: Offers,
    previous: &FunctionTable,
) -> impl Iterator<Item = ((ControllerName, NodeName), Arc<Row>)> + use<'a> {
    // What has not changed stays the same row, so that nobody has to look at its names.
    let known = alike.iter().find_map(|node| previous.row(controller, &node.name));
    let row = match known.filter(|known| known.offers == offers) {
        Some(known) => Some(Arc::clone(known)),
        None if offers.is_empty() => None,
        None => Some(Arc::new(Row::new(offers))),
    };
    let place = |node: &&Node| (controller.clone(), node.name.clone());
    row.into_iter().flat_map(move |row| alike.iter().map(move |node| (place(node), Arc::clone(&row))))
}

/// Puts the online nodes of a controller together that the rules cannot tell apart.
fn classes<'a>(controller: &'a Controller, rules: &dyn Rules) -> Vec<Vec<&'a Node>> {
    let mut classes: Vec<Vec<&Node>> = Vec::new();
    let mut known: BTreeMap<NodeClass, usize> = BTreeMap::new();
    for node in controller.nodes.iter().filter(|node| node.is_online()) {
        let next = classes.len();
        let class = rules.class(node).map_or(next, |class| *known.entry(class).or_insert(next));
        match classes.get_mut(class) {
            Some(alike) => alike.push(node),
            None => classes.push(vec![node]),
        }
    }
    classes
}

/// One project of one controller, asked about node by node.
struct ProjectPass<'a> {
    name: &'a ControllerName,
    project: &'a Project,
    expression: Option<Expression>,
    short_name_unique: bool,
}

impl ProjectPass<'_> {
    fn offers(
        &self,
        node: &Node,
        rules: &mut dyn Rules,
        notes: &mut BTreeSet<Note>,
    ) -> Result<Vec<(FunctionName, Offer)>, Undecided> {
        let satisfied =
            self.expression.as_ref().map(|expression| expression.evaluate(|atom| node.labels.contains(atom)));
        let matched = rules.matches(&MatchQuestion {
            controller: self.name,
            project: self.project,
            expression: self.expression.as_ref(),
            node,
            classic: classic::matching::matches(node.mode, satisfied),
        })?;
        if let Some(advice) = matched.clamped {
            notes.insert(Note::Clamped { controller: self.name.clone(), project: self.project.name.clone(), advice });
        }
        if !matched.matched {
            return Ok(Vec::new());
        }
        if matched.widened && !rules.is_pinnable(self.project) {
            notes.insert(Note::NotPinnable { controller: self.name.clone(), project: self.project.name.clone() });
            return Ok(Vec::new());
        }
        let names = rules.names(&NameQuestion {
            controller: self.name,
            project: self.project,
            short_name_unique: self.short_name_unique,
            node,
            atoms: &matched.atoms,
        })?;
        let is_classic = names.owned.is_none();
        let owned = names.owned.unwrap_or_else(|| {
            let suffixes = matched.atoms.iter().map(String::as_str).collect();
            classic::names::build_functions(self.project.name.short(), &suffixes)
        });
        let mut offers = Vec::new();
        for function in owned.into_iter().chain(names.aliases) {
            match function.name() {
                Ok(name) => {
                    if is_classic && name.as_str().contains(char::is_whitespace) {
                        notes.insert(Note::WhiteSpace { function: name.clone() });
                    }
                    let is_pipeline = self.project.kind == ProjectKind::Pipeline;
                    let project = self.project.name.clone();
                    let holds_executor = !self.project.kind.runs_in_parts();
                    let offer = Offer { project, function, is_pipeline, holds_executor, widened: matched.widened };
                    offers.push((name, offer));
                }
                Err(error) => {
                    let project = self.project.name.clone();
                    notes.insert(Note::IllegalName { project, error: error.to_string() });
                }
            }
        }
        Ok(offers)
    }
}

/// Returns the label expression that counts for a project: a pipeline is tied to the controller's own node.
pub(super) fn expression_of(project: &Project, controller: &Controller) -> Option<Expression> {
    classic::matching::effective_label(project, controller.self_label()).map(Expression::lookup)
}

type Offers = BTreeMap<FunctionName, Offer>;

/// What the nodes of a class could offer.
type Candidate = (usize, FunctionName, Offer);

/// Decides which project each name means: the incumbent while it still wants it, else the last one walked, which is
/// how the plugin settles it.
fn owners<'a>(
    wanted: impl Iterator<Item = (&'a FunctionName, &'a ProjectName)>,
    previous: &FunctionTable,
    notes: &mut BTreeSet<Note>,
) -> BTreeMap<FunctionName, ProjectName> {
    let mut wanted_by: BTreeMap<&FunctionName, BTreeSet<&ProjectName>> = BTreeMap::new();
    for (function, project) in wanted {
        wanted_by.entry(function).or_default().insert(project);
    }
    let mut owners = BTreeMap::new();
    for (function, projects) in wanted_by {
        let incumbent = previous.owners.get(function).filter(|incumbent| projects.contains(incumbent));
        let last_walked = projects.iter().copied().max_by(|a, b| walk_order(a, b));
        let Some(owner) = incumbent.or(last_walked) else { continue };
        for refused in projects.into_iter().filter(|project| *project != owner) {
            notes.insert(Note::Clash { function: function.clone(), kept: owner.clone(), refused: refused.clone() });
        }
        owners.insert(function.clone(), owner.clone());
    }
    owners
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use crate::domain::DeclaredParameter;

    use super::*;

    /// No policies: the classic rules alone.
    #[derive(Default)]
    struct Classic {
        widened: bool,
        fails: bool,
        named: Option<&'static str>,
        sees_no_names: bool,
    }

    impl Rules for Classic {
        fn class(&self, node: &Node) -> Option<NodeClass> {
            self.sees_no_names.then_some((false, node.mode, BTreeSet::new()))
        }

        fn is_blocked(&self, _: &ControllerName, project: &Project, _: &Node) -> bool {
            project.name.full() == "blocked"
        }

        fn matches(&mut self, question: &MatchQuestion<'_>) -> Result<Matched, Undecided> {
            if self.fails {
                return Err(Undecided { error: "trapped".to_owned() });
            }
            let carried = |atom: &&str| question.node.labels.contains(*atom);
            let atoms = question
                .expression
                .map(|expression| expression.atoms().into_iter().filter(carried).map(str::to_owned).collect());
            let matched = question.classic || self.widened;
            let widened = self.widened && !question.classic;
            Ok(Matched { matched, atoms: atoms.unwrap_or_default(), widened, clamped: None })
        }

        fn names(&mut self, _: &NameQuestion<'_>) -> Result<Names, Undecided> {
            let owned = self.named.map(|name| vec![BuildFunction::new(name, None)]);
            Ok(Names { owned, aliases: Vec::new() })
        }

        fn is_pinnable(&self, project: &Project) -> bool {
            project.parameter("NODE").is_some()
        }
    }

    fn project(name: &str, label: Option<&str>) -> Project {
        Project { label: label.map(str::to_owned), ..Project::sample(name) }
    }

    fn node(name: &str, labels: &[&str]) -> Node {
        let labels = labels.iter().copied().chain([name]).map(str::to_owned).collect();
        Node { labels, executor_count: 1, ..Node::new(NodeName::agent(name)) }
    }

    fn snapshot(controllers: &[(&str, Vec<Project>, Vec<Node>)]) -> Snapshot {
        let of = |(name, projects, nodes): &(&str, Vec<Project>, Vec<Node>)| {
            let controller = Controller {
                tags: BTreeSet::new(),
                nodes: Arc::new(nodes.clone()),
                nodes_asked_at: Instant::now(),
                projects: Arc::new(projects.clone()),
                quieting_down: false,
                reachable: true,
                fresh: true,
                serve: true,
            };
            (ControllerName::new(*name), controller)
        };
        Snapshot::new(controllers.iter().map(of).collect())
    }

    fn shown(table: &FunctionTable) -> Vec<String> {
        let cell = |(controller, node, row): (&ControllerName, &NodeName, &Arc<Row>)| {
            let names: Vec<String> = row.iter().map(|(name, offer)| format!("{name}={}", offer.project)).collect();
            format!("{controller}/{node}: {}", names.join(" "))
        };
        table.rows().map(cell).collect()
    }

    #[track_caller]
    fn check(snapshot: &Snapshot, rules: &mut Classic, previous: &FunctionTable, expected: &[&str]) -> FunctionTable {
        let table = table(snapshot, rules, previous);
        assert_eq!(shown(&table), expected);
        table
    }

    #[test]
    fn every_matching_online_node_offers_a_project_with_the_atoms_that_it_carries() {
        let mut away = node("c", &["linux"]);
        away.offline = true;
        let nodes = vec![node("a", &["linux", "gpu"]), node("b", &["mac"]), away];
        let snapshot = snapshot(&[("ci", vec![project("lint", Some("linux || gpu"))], nodes)]);
        let expected = ["ci/a: build:lint=lint build:lint:gpu=lint build:lint:linux=lint"];
        check(&snapshot, &mut Classic::default(), &FunctionTable::default(), &expected);
    }

    #[test]
    fn a_disabled_or_blocked_project_and_an_unreachable_controller_offer_nothing() {
        let mut disabled = project("off", None);
        disabled.buildable = false;
        let mut snapshot =
            snapshot(&[("ci", vec![disabled, project("blocked", None), project("on", None)], vec![node("a", &[])])]);
        check(&snapshot, &mut Classic::default(), &FunctionTable::default(), &["ci/a: build:on=on"]);
        for controller in snapshot.controllers.values_mut() {
            controller.reachable = false;
        }
        check(&snapshot, &mut Classic::default(), &FunctionTable::default(), &[]);
    }

    #[test]
    fn a_project_whose_label_nobody_knows_is_offered_nowhere() {
        let hidden = Project { label_unknown: true, ..project("hidden", None) };
        let snapshot = snapshot(&[("ci", vec![hidden, project("roams", None)], vec![node("a", &[]), node("b", &[])])]);
        let expected = ["ci/a: build:roams=roams", "ci/b: build:roams=roams"];
        check(&snapshot, &mut Classic::default(), &FunctionTable::default(), &expected);
    }

    #[test]
    fn the_last_one_walked_gets_a_contested_name_and_then_keeps_it() {
        let both =
            |names: [&str; 2]| snapshot(&[("ci", names.map(|name| project(name, None)).into(), vec![node("a", &[])])]);
        let mut classic = Classic::default();
        let first =
            check(&both(["x/lint", "y/lint"]), &mut classic, &FunctionTable::default(), &["ci/a: build:lint=y/lint"]);
        assert_eq!(first.notes.len(), 1);
        check(&both(["y/lint", "z/lint"]), &mut classic, &first, &["ci/a: build:lint=y/lint"]);
        check(&both(["z/lint", "zz/lint"]), &mut classic, &first, &["ci/a: build:lint=zz/lint"]);
    }

    #[test]
    fn one_full_name_on_two_controllers_is_one_project() {
        let snapshot = snapshot(&[
            ("ci1", vec![project("lint", None)], vec![node("a", &[])]),
            ("ci2", vec![project("lint", None)], vec![node("a", &[])]),
        ]);
        let expected = ["ci1/a: build:lint=lint", "ci2/a: build:lint=lint"];
        let table = check(&snapshot, &mut Classic::default(), &FunctionTable::default(), &expected);
        assert!(table.notes.is_empty());
    }

    #[test]
    fn what_the_rules_cannot_decide_stays_and_what_was_never_seen_is_not_offered() {
        let before = snapshot(&[("ci", vec![project("lint", None)], vec![node("a", &[])])]);
        let known = table(&before, &mut Classic::default(), &FunctionTable::default());
        let after = snapshot(&[(
            "ci",
            vec![project("lint", None), project("new", None)],
            vec![node("a", &[]), node("b", &[])],
        )]);
        // Whether the nodes are asked about one by one or together.
        for sees_no_names in [false, true] {
            let mut failing = Classic { fails: true, sees_no_names, ..Classic::default() };
            let kept = check(&after, &mut failing, &known, &["ci/a: build:lint=lint"]);
            assert_eq!(kept.notes.len(), 2);
        }
    }

    #[test]
    fn a_widened_pair_is_offered_only_where_the_project_can_be_pinned() {
        let mut pinnable = project("pinnable", Some("gpu"));
        pinnable.parameters =
            Some(vec![DeclaredParameter { name: "NODE".to_owned(), kind: "NodeParameterDefinition".to_owned() }]);
        let snapshot = snapshot(&[("ci", vec![pinnable, project("fixed", Some("gpu"))], vec![node("a", &[])])]);
        let mut widening = Classic { widened: true, ..Classic::default() };
        let table = check(&snapshot, &mut widening, &FunctionTable::default(), &["ci/a: build:pinnable=pinnable"]);
        assert_eq!(table.notes.len(), 1);
    }

    #[test]
    fn names_of_policies_replace_the_classic_ones() {
        let snapshot = snapshot(&[("ci", vec![project("team/lint", None)], vec![node("a", &[])])]);
        let mut naming = Classic { named: Some("team/lint"), ..Classic::default() };
        let table = check(&snapshot, &mut naming, &FunctionTable::default(), &["ci/a: build:team/lint=team/lint"]);
        let name = table.project_named(&ControllerName::new("ci"), "team/lint");
        assert_eq!(name, Some(&ProjectName::new("team/lint")));
    }
}
