//! The search: places, their obstacles, and edits that take them away. Bounded, whatever the size of the fleet.

use std::collections::{BTreeMap, BTreeSet};

use super::edit::{Edit, edits, more_nodes};
use super::obstacle::{Look, Obstacle, Spot};
use super::{Change, Error, Question, Reason, Wanted, WhyNot};
use crate::domain::{ControllerName, NodeName, Project, ProjectName};
use crate::label::Expression;
use crate::policy::{Generation, Lineup};
use crate::runtime::config::Config;
use crate::runtime::fleet::{Fleet, Offered};
use crate::runtime::snapshot::Snapshot;
use crate::runtime::table::{FunctionTable, expression_of};
use crate::runtime::table_diff::{Nodes, Place, TableDiff};

/// More projects than these cannot all be meant by one name.
const MOST_PROJECTS: usize = 50;

/// Reasons are told, and changes looked for, up to here.
const MOST_REASONS: usize = 12;

/// Nodes that are tried of those that say no for the same reasons.
const MOST_SPOTS: usize = 8;

/// Changes are tried at one node each up to here, and on the whole table, which can take seconds, up to there.
const MOST_TRIED: usize = 600;
const MOST_VERIFIED: usize = 8;

/// Who reads more than these would have found one.
const MOST_CHANGES: usize = 3;

pub(super) struct Search<'a> {
    fleet: &'a Fleet,
    policies: &'a Lineup,
    question: &'a Question,
    snapshot: Snapshot,
    config: Config,
    generation: Generation,
    offered: Offered,
}

/// Nodes that say no for the same reasons.
struct Group<'s> {
    /// One for each set of the labels that matter: what is one step away differs from node to node.
    spots: Vec<(BTreeSet<&'s str>, Spot<'s>)>,
    obstacles: Vec<Obstacle>,
    nodes: Nodes,
}

impl<'a> Search<'a> {
    pub(super) fn new(fleet: &'a Fleet, policies: &'a Lineup, question: &'a Question) -> Result<Self, Error> {
        let known = |name: &ControllerName| fleet.controllers.contains_key(name);
        if let Some(name) = question.controller.as_ref().filter(|name| !known(name)) {
            let known = fleet.controllers.keys().map(ToString::to_string).collect();
            return Err(Error::Controller { name: name.clone(), known });
        }
        let of_interest = fleet
            .controllers
            .iter()
            .filter(|(name, _)| question.controller.as_ref().is_none_or(|controller| controller == *name));
        if let Some(node) = &question.node {
            let mut nodes = of_interest.flat_map(|(_, controller)| &controller.nodes);
            nodes.find(|known| known.name == *node).ok_or_else(|| Error::Node(node.clone()))?;
        }
        let (snapshot, generation) = (fleet.snapshot(), policies.generation());
        let offered = fleet.offered_by(&snapshot, &generation, None);
        Ok(Self { fleet, policies, question, snapshot, config: fleet.config(), generation, offered })
    }

    pub(super) fn run(self) -> Result<WhyNot, Error> {
        let shared_short_names = self.snapshot.shared_short_names();
        let look = self.look(&self.snapshot, &self.generation, &self.offered.0, &shared_short_names);
        let projects = self.projects(&look);
        let offered = places(&self.question.name, &self.offered.0, |place| self.question.covers(place));
        let groups = self.groups(&look, &projects);
        let (changes, is_cut) = self.changes(&groups, &shared_short_names);
        let reason = |group: &Group<'_>| Reason {
            stage: group.obstacles.first().map(|obstacle| obstacle.stage().to_owned()).unwrap_or_default(),
            texts: group.obstacles.iter().map(Obstacle::text).collect(),
            project: group.spots.first().map(|(_, spot)| spot.project.name.clone()),
            nodes: group.nodes.clone(),
        };
        let mut reasons: Vec<Reason> = groups.iter().take(MOST_REASONS).map(reason).collect();
        if projects.is_empty() {
            reasons.push(Reason {
                stage: "name".to_owned(),
                texts: vec![self.nobody()],
                project: None,
                nodes: Nodes::default(),
            });
        }
        let is_cut = is_cut || groups.len() > MOST_REASONS || projects.len() == MOST_PROJECTS;
        Ok(WhyNot { offered, projects: projects.into_iter().cloned().collect(), reasons, changes, is_cut })
    }

    fn look<'s>(
        &'s self,
        snapshot: &'s Snapshot,
        generation: &'s Generation,
        table: &'s FunctionTable,
        shared_short_names: &'s BTreeSet<&'s str>,
    ) -> Look<'s> {
        Look { wanted: &self.question.name, snapshot, generation, config: &self.config, table, shared_short_names }
    }

    /// Returns the projects that could be meant: by their own name, or else by one that a policy would give them.
    fn projects(&self, look: &Look<'_>) -> BTreeSet<&ProjectName> {
        let is_called = |project: &&Project| match &self.question.name {
            Wanted::Function { parts, .. } => {
                [project.name.short(), project.name.full()].contains(&parts.project.as_str())
            }
            Wanted::Project(name) => [project.name.short(), project.name.full()].contains(&name.as_str()),
        };
        let all = || self.controllers().flat_map(|(_, controller)| controller.projects.iter());
        let exact =
            |project: &&Project| matches!(&self.question.name, Wanted::Project(name) if project.name.full() == name);
        let named: BTreeSet<&ProjectName> = match all().any(|project| exact(&project)) {
            true => all().filter(exact).map(|project| &project.name).collect(),
            false => all().filter(is_called).map(|project| &project.name).take(MOST_PROJECTS).collect(),
        };
        let Wanted::Function { parts, name } = &self.question.name else { return named };
        let owner = self.offered.0.owner_of(name);
        if !named.is_empty() || !self.generation.gives_names() {
            return named;
        }
        let mut pass = look.pass();
        let spots = self.spots(|_| true);
        let given = spots.filter(|spot| look.is_named_so(*spot, parts, &mut pass)).map(|spot| &spot.project.name);
        let owner = all().map(|project| &project.name).find(|project| Some(*project) == owner);
        given.chain(owner).take(MOST_PROJECTS).collect()
    }

    fn controllers(&self) -> impl Iterator<Item = (&ControllerName, &crate::runtime::snapshot::Controller)> {
        let is_meant = |name: &ControllerName| self.question.controller.as_ref().is_none_or(|only| only == name);
        self.snapshot.controllers.iter().filter(move |(name, _)| is_meant(name))
    }

    /// Returns every pair of a project and a node that is asked about.
    fn spots<'s>(&'s self, of: impl Fn(&ProjectName) -> bool + Copy + 's) -> impl Iterator<Item = Spot<'s>> {
        self.controllers().flat_map(move |(name, controller)| {
            let projects = controller.projects.iter().filter(move |project| of(&project.name));
            projects.flat_map(move |project| {
                let is_meant = |node: &NodeName| self.question.node.as_ref().is_none_or(|only| only == node);
                let nodes = controller.nodes.iter().filter(move |node| is_meant(&node.name));
                nodes.map(move |node| Spot { name, controller, project, node })
            })
        })
    }

    /// Puts places together that say no for the same reasons, those nearest to a yes first.
    fn groups<'s>(&'s self, look: &Look<'_>, projects: &'s BTreeSet<&'s ProjectName>) -> Vec<Group<'s>> {
        let mut groups: BTreeMap<(usize, &ProjectName, Vec<Obstacle>), Group<'_>> = BTreeMap::new();
        let mut pass = look.pass();
        for spot in self.spots(|project| projects.contains(project)) {
            let obstacles = look.obstacles(spot, &mut pass);
            if obstacles.is_empty() {
                continue;
            }
            // Few obstacles are near, and of equally many those that are asked about late.
            let key = (obstacles.len(), &spot.project.name, obstacles.clone());
            let group =
                groups.entry(key).or_insert_with(|| Group { spots: Vec::new(), obstacles, nodes: Nodes::default() });
            let labels = self.labels_that_matter(spot);
            if group.spots.len() < MOST_SPOTS && !group.spots.iter().any(|(known, _)| *known == labels) {
                group.spots.push((labels, spot));
            }
            group.nodes.add(spot.name, &spot.node.name);
        }
        let mut groups: Vec<Group<'_>> = groups.into_values().collect();
        groups.sort_by_key(|group| (group.obstacles.len(), std::cmp::Reverse(group.obstacles.last().cloned())));
        groups
    }

    /// Returns those labels of a node that the project's expression or the wanted name speaks of.
    fn labels_that_matter<'s>(&self, spot: Spot<'s>) -> BTreeSet<&'s str> {
        let expression = expression_of(spot.project, spot.controller);
        let atoms = expression.as_ref().map(Expression::atoms).unwrap_or_default();
        let suffix = match &self.question.name {
            Wanted::Function { parts, .. } => parts.label.as_deref(),
            Wanted::Project(_) => None,
        };
        let labels = spot.node.labels.iter().map(String::as_str);
        labels.filter(|label| atoms.contains(label) || suffix == Some(*label)).collect()
    }

    /// Looks for single changes, first at one node each and then on the whole table.
    fn changes(&self, groups: &[Group<'_>], shared_short_names: &BTreeSet<&str>) -> (Vec<Change>, bool) {
        let mut tried = 0;
        let mut promising: Vec<Edit> = Vec::new();
        let spots =
            groups.iter().take(MOST_REASONS).flat_map(|group| group.spots.iter().map(move |(_, spot)| (group, *spot)));
        for (group, spot) in spots {
            let mut candidates = edits(&self.question.name, spot, &group.obstacles, &self.snapshot.world.named_labels);
            if self.question.node.is_none() && spot.controller.serve {
                candidates.extend(more_nodes(&self.question.name, spot.name, spot.controller, spot.project));
            }
            for edit in candidates {
                if promising.contains(&edit) {
                    continue;
                }
                if tried == MOST_TRIED {
                    break;
                }
                tried += 1;
                if self.helps(&edit, spot, shared_short_names) {
                    promising.push(edit);
                }
            }
        }
        promising.sort_by_key(Edit::effort);
        let mut changes: Vec<Change> = Vec::new();
        let mut verified = 0;
        for edit in &promising {
            if changes.len() == MOST_CHANGES || verified == MOST_VERIFIED {
                break;
            }
            verified += 1;
            changes.extend(self.verify(edit));
        }
        let is_cut = tried == MOST_TRIED || (verified == MOST_VERIFIED && changes.is_empty());
        (changes, is_cut)
    }

    /// Returns whether nothing is in the way at that one node with the edit, whose names they are aside.
    fn helps(&self, edit: &Edit, spot: Spot<'_>, shared_short_names: &BTreeSet<&str>) -> bool {
        let other;
        let generation = if edit.is_about_policies() {
            let Some(policies) = edit.policies(self.policies) else { return false };
            other = policies.generation();
            &other
        } else {
            &self.generation
        };
        let snapshot = edit.apply(&self.snapshot);
        let Some(controller) = snapshot.controllers.get(spot.name) else { return false };
        let node = edit.node(&snapshot, spot);
        let project = controller.projects.iter().find(|project| project.name == spot.project.name);
        let (Some(node), Some(project)) = (node, project) else { return false };
        let look = self.look(&snapshot, generation, &self.offered.0, shared_short_names);
        let obstacles = look.obstacles(Spot { name: spot.name, controller, project, node }, &mut look.pass());
        let is_settled_by_table = |obstacle: &Obstacle| {
            matches!((obstacle, edit), (Obstacle::Clash { .. }, Edit::Disable { .. } | Edit::Without { .. }))
        };
        obstacles.iter().all(is_settled_by_table)
    }

    /// Works the whole table out again; none if the name is not offered anywhere that it was not.
    fn verify(&self, edit: &Edit) -> Option<Change> {
        let snapshot = edit.apply(&self.snapshot);
        let offered = match edit.policies(self.policies) {
            Some(policies) => self.fleet.offered_by(&snapshot, &policies.generation(), Some(&self.offered)),
            None => self.fleet.offered_by(&snapshot, &self.generation, Some(&self.offered)),
        };
        let is_new = |place: &Place| {
            let is_asked_about = self.question.covers(place) || matches!(edit, Edit::AnotherNode { .. });
            is_asked_about && !offers(&self.question.name, &self.offered.0, place)
        };
        let nodes = places(&self.question.name, &offered.0, is_new);
        let TableDiff { places_added, places_withdrawn, .. } = self.offered.diff(&offered);
        (nodes.count > 0).then(|| Change {
            text: edit.to_string(),
            also_added: places_added.saturating_sub(nodes.count),
            also_withdrawn: places_withdrawn,
            nodes,
        })
    }

    /// Says that nobody has the name, and who has one that is nearly so.
    fn nobody(&self) -> String {
        let name = match &self.question.name {
            Wanted::Function { parts, .. } => parts.project.as_str(),
            Wanted::Project(name) => name.as_str(),
        };
        let short = name.rsplit('/').next().unwrap_or(name).to_lowercase();
        let projects = self.controllers().flat_map(|(_, controller)| controller.projects.iter());
        let alike: BTreeSet<&str> = projects
            .map(|project| &project.name)
            .filter(|project| {
                let other = project.short().to_lowercase();
                !short.is_empty() && (other.contains(&short) || (other.len() > 2 && short.contains(&other)))
            })
            .map(ProjectName::full)
            .take(5)
            .collect();
        let hint = match alike.is_empty() {
            true => String::new(),
            false => format!("; is one of these meant: {}", alike.into_iter().collect::<Vec<_>>().join(", ")),
        };
        format!("nothing is called {name}, neither a project nor what a policy makes of one{hint}")
    }
}

/// Returns the places that offer what is wanted.
fn places(wanted: &Wanted, table: &FunctionTable, is_meant: impl Fn(&Place) -> bool) -> Nodes {
    let mut nodes = Nodes::default();
    for (controller, node, _) in table.rows() {
        let place = Place { controller: controller.clone(), node: node.clone() };
        if is_meant(&place) && offers(wanted, table, &place) {
            nodes.add(controller, node);
        }
    }
    nodes
}

fn offers(wanted: &Wanted, table: &FunctionTable, place: &Place) -> bool {
    let Some(row) = table.row(&place.controller, &place.node) else { return false };
    match wanted {
        Wanted::Function { name, .. } => row.contains_key(name),
        Wanted::Project(name) => {
            row.values().any(|offer| [offer.project.full(), offer.project.short()].contains(&name.as_str()))
        }
    }
}
