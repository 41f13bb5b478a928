use std::collections::{BTreeMap, BTreeSet};

use super::{Build, Task, World};
use crate::domain::{BuildResult, ProjectKind};
use crate::simulator::fleet::ProjectSpec;

/// What has a name on a controller.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    Folder(Folder),
    Project(Box<Project>),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Folder {
    pub(crate) disabled: bool,
    pub(crate) multibranch: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Project {
    pub(crate) spec: ProjectSpec,
    /// One cell of a matrix; it is no project of its own in lists.
    pub(crate) is_configuration: bool,
    pub(crate) builds: BTreeMap<u64, Build>,
    pub(crate) next_number: u64,
    /// The builds that are in progress.
    pub(crate) running: BTreeSet<u64>,
}

impl Project {
    pub(super) fn new(spec: ProjectSpec) -> Self {
        Self { spec, is_configuration: false, builds: BTreeMap::new(), next_number: 1, running: BTreeSet::new() }
    }

    /// Returns whether its builds run without occupying an executor.
    pub(crate) fn is_flyweight(&self) -> bool {
        !self.is_configuration && matches!(self.spec.kind, ProjectKind::Pipeline | ProjectKind::Matrix)
    }

    /// Returns the mean duration of the last three good builds.
    pub(crate) fn estimated_duration(&self) -> Option<u64> {
        let good = |build: &&Build| matches!(build.result, Some(BuildResult::Success | BuildResult::Unstable));
        let ended = self.builds.values().rev().take(20).filter(|build| !build.is_building()).filter(good);
        let durations: Vec<u64> = ended.take(3).map(Build::duration).collect();
        let count = u64::try_from(durations.len()).ok().filter(|count| *count > 0)?;
        Some(durations.iter().sum::<u64>() / count)
    }
}

impl World {
    pub(crate) fn project(&self, full_name: &str) -> Option<&Project> {
        match self.items.get(full_name)? {
            Item::Project(project) => Some(project),
            Item::Folder(_) => None,
        }
    }

    pub(crate) fn project_mut(&mut self, full_name: &str) -> Option<&mut Project> {
        match self.items.get_mut(full_name)? {
            Item::Project(project) => Some(project),
            Item::Folder(_) => None,
        }
    }

    pub(crate) fn build(&self, full_name: &str, number: u64) -> Option<&Build> {
        self.project(full_name)?.builds.get(&number)
    }

    pub(crate) fn build_mut(&mut self, full_name: &str, number: u64) -> Option<&mut Build> {
        self.project_mut(full_name)?.builds.get_mut(&number)
    }

    /// Returns the items directly in a folder, by full name; the root is the folder `""`.
    pub(crate) fn children<'w>(&'w self, folder: &'w str) -> impl Iterator<Item = (&'w str, &'w Item)> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let prefix_length = prefix.len();
        let inside = self.items.range(prefix.clone()..).take_while(move |(name, _)| name.starts_with(&prefix));
        inside
            .filter(move |(name, item)| {
                let is_configuration = matches!(item, Item::Project(project) if project.is_configuration);
                !is_configuration && !name[prefix_length..].contains('/')
            })
            .map(|(name, item)| (name.as_str(), item))
    }

    /// Returns a matrix project's configurations.
    pub(crate) fn configurations<'w>(&'w self, matrix: &str) -> impl Iterator<Item = (&'w str, &'w Project)> {
        let prefix = format!("{matrix}/");
        let inside = self.items.range(prefix.clone()..).take_while(move |(name, _)| name.starts_with(&prefix));
        inside.filter_map(|(name, item)| match item {
            Item::Project(project) if project.is_configuration => Some((name.as_str(), project.as_ref())),
            _ => None,
        })
    }

    /// Returns whether builds may be started: neither the project nor a folder around it is disabled.
    pub(crate) fn is_buildable(&self, full_name: &str) -> bool {
        let own = match self.items.get(full_name) {
            Some(Item::Project(project)) => !project.spec.disabled,
            Some(Item::Folder(folder)) => !folder.disabled,
            None => false,
        };
        own && parent_of(full_name).is_none_or(|parent| self.is_buildable(parent))
    }

    pub(crate) fn add_folder(&mut self, full_name: &str, multibranch: bool) {
        if full_name.is_empty() {
            return;
        }
        if let Some(parent) = parent_of(full_name) {
            self.add_folder(parent, false);
        }
        let folder = Folder { disabled: false, multibranch };
        self.items.entry(full_name.to_owned()).or_insert(Item::Folder(folder));
    }

    /// Adds a project and the folders around it; returns whether the name was free.
    pub(crate) fn add_project(&mut self, spec: ProjectSpec) -> bool {
        let full_name = spec.full_name.clone();
        if full_name.is_empty() || self.items.contains_key(&full_name) || self.is_inside_a_project(&full_name) {
            return false;
        }
        if let Some(parent) = parent_of(&full_name) {
            self.add_folder(parent, false);
        }
        self.items.insert(full_name.clone(), Item::Project(Box::new(Project::new(spec))));
        self.add_configurations(&full_name);
        true
    }

    /// Changes how a project is configured; its builds and its name stay.
    pub(crate) fn update_project(&mut self, full_name: &str, mut spec: ProjectSpec) -> bool {
        let Some(project) = self.project_mut(full_name) else { return false };
        full_name.clone_into(&mut spec.full_name);
        let disabled = spec.disabled;
        project.spec = spec;
        self.add_configurations(full_name);
        self.set_disabled(full_name, disabled);
        self.settle();
        true
    }

    /// Disables a project or a folder, or enables it; disabling cancels what is queued.
    pub(crate) fn set_disabled(&mut self, full_name: &str, disabled: bool) -> bool {
        match self.items.get_mut(full_name) {
            Some(Item::Project(project)) => project.spec.disabled = disabled,
            Some(Item::Folder(folder)) => folder.disabled = disabled,
            None => return false,
        }
        if disabled {
            self.cancel_all_of(full_name);
        }
        true
    }

    /// Removes a project, or a folder and all that is in it, with builds and queue items.
    pub(crate) fn remove_item(&mut self, full_name: &str) -> bool {
        if !self.items.contains_key(full_name) {
            return false;
        }
        let prefix = format!("{full_name}/");
        let inside = self.items.keys().filter(|name| *name == full_name || name.starts_with(&prefix));
        for name in inside.cloned().collect::<Vec<_>>() {
            self.cancel_all_of(&name);
            let running = self.project(&name).map(|project| project.running.clone()).unwrap_or_default();
            for number in running {
                self.end_build(&name, number, BuildResult::Aborted);
                self.complete_build(&name, number);
            }
            self.items.remove(&name);
        }
        self.settle();
        true
    }

    /// Renames or moves an item with all that is in it, unless the new name is taken or something of it is building.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> bool {
        let prefix = format!("{from}/");
        let affected = |name: &str| name == from || name.starts_with(&prefix);
        let building = self.items.iter().any(
            |(name, item)| matches!(item, Item::Project(project) if affected(name) && !project.running.is_empty()),
        );
        let is_free = !to.is_empty() && !self.items.contains_key(to) && !self.is_inside_a_project(to);
        if building || affected(to) || !is_free || !self.items.contains_key(from) {
            return false;
        }
        if let Some(parent) = parent_of(to) {
            self.add_folder(parent, false);
        }
        let new_name = |name: &str| format!("{to}{}", &name[from.len()..]);
        for name in self.items.keys().filter(|name| affected(name)).cloned().collect::<Vec<_>>() {
            if let Some(mut item) = self.items.remove(&name) {
                if let Item::Project(project) = &mut item {
                    project.spec.full_name = new_name(&name);
                }
                self.items.insert(new_name(&name), item);
            }
        }
        for item in self.queue.values_mut() {
            if affected(item.task.project()) {
                let renamed = new_name(item.task.project());
                item.task.set_project(renamed);
            }
        }
        true
    }

    fn is_inside_a_project(&self, full_name: &str) -> bool {
        let mut around = std::iter::successors(parent_of(full_name), |name| parent_of(name));
        around.any(|name| self.project(name).is_some())
    }

    fn add_configurations(&mut self, matrix: &str) {
        let Some(project) = self.project(matrix) else { return };
        if project.is_configuration || project.spec.kind != ProjectKind::Matrix {
            return;
        }
        let spec = project.spec.clone();
        let wanted: BTreeSet<String> = cells(&spec.axes).iter().map(|cell| format!("{matrix}/{cell}")).collect();
        for full_name in &wanted {
            let cell = ProjectSpec { full_name: full_name.clone(), parameters: Vec::new(), ..spec.clone() };
            match self.project_mut(full_name) {
                Some(configuration) => configuration.spec = cell,
                None => {
                    let configuration = Project { is_configuration: true, ..Project::new(cell) };
                    self.items.insert(full_name.clone(), Item::Project(Box::new(configuration)));
                }
            }
        }
        let stale =
            self.configurations(matrix).filter(|(name, cell)| !wanted.contains(*name) && cell.running.is_empty());
        for name in stale.map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
            self.items.remove(&name);
        }
    }

    /// Cancels the queue items of a project, or of all projects in a folder.
    pub(crate) fn cancel_all_of(&mut self, full_name: &str) {
        let prefix = format!("{full_name}/");
        let concerned = |task: &Task| {
            let name = task.project();
            matches!(task, Task::Project(_)) && (name == full_name || name.starts_with(&prefix))
        };
        let ids: Vec<u64> = self.queue.iter().filter(|(_, item)| concerned(&item.task)).map(|(id, _)| *id).collect();
        for id in ids {
            self.cancel(id);
        }
    }
}

pub(crate) fn parent_of(full_name: &str) -> Option<&str> {
    full_name.rsplit_once('/').map(|(parent, _)| parent)
}

pub(crate) fn short_name(full_name: &str) -> &str {
    full_name.rsplit('/').next().unwrap_or(full_name)
}

pub(crate) fn child_name(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Returns the combinations of a matrix, as Jenkins names them: `A=1,B=x`.
fn cells(axes: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut cells: Vec<String> = Vec::new();
    for (axis, values) in axes {
        let named = values.iter().map(|value| format!("{axis}={value}"));
        cells = match cells.is_empty() {
            true => named.collect(),
            false => named
                .flat_map(|last| cells.iter().map(move |cell| format!("{cell},{last}")).collect::<Vec<_>>())
                .collect(),
        };
    }
    cells
}
