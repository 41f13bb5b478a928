use std::fmt::Write as _;
use std::time::Duration;

use super::queue::Resumed;
use super::{Build, Cause, Event, Occupant, Order, Place, QueueItem, Stage, Task, World, child_name, short_name};
use crate::domain::{BuildResult, ProjectKind};
use crate::simulator::fleet::Length;

impl World {
    /// Hands a queue item to a place; its build starts at once or after the start latency.
    pub(crate) fn begin(&mut self, id: u64, place: Place) {
        let latency = self.settings.start_latency;
        if latency.is_zero() {
            if let Some(item) = self.queue.remove(&id) {
                self.start(item, place);
            }
            return;
        }
        let since = self.now;
        if let Some(item) = self.queue.get_mut(&id) {
            item.stage = Stage::Pending { since, place: place.clone() };
            self.occupy(&place, Occupant::Pending { id });
            self.plan(latency, Event::PendingOver { id });
        }
    }

    pub(super) fn start_pending(&mut self, id: u64) {
        let Some(item) = self.queue.remove(&id) else { return };
        match item.stage.clone() {
            Stage::Pending { place, .. } => {
                self.vacate(&place, &Occupant::Pending { id });
                self.start(item, place);
            }
            // It went back into the queue in the meantime.
            _ => {
                self.queue.insert(id, item);
            }
        }
    }

    /// Ends a build by hand.
    pub(crate) fn finish(&mut self, project: &str, number: u64, result: BuildResult) -> bool {
        if self.build(project, number).is_none_or(|build| !build.is_building()) {
            return false;
        }
        self.end_build(project, number, result);
        self.settle();
        true
    }

    /// Aborts a build, unless it survives the order.
    pub(crate) fn stop(&mut self, project: &str, number: u64, order: Order) {
        let Some(found) = self.project_mut(project) else { return };
        let Some(build) = found.builds.get_mut(&number).filter(|build| build.is_building()) else { return };
        build.stops += 1;
        let yields = match order {
            Order::Stop => !found.spec.ignores_stop && build.stops > found.spec.survives_stops,
            Order::Terminate => !found.spec.ignores_term,
            Order::Kill => true,
        };
        if yields {
            self.end_build(project, number, BuildResult::Aborted);
            self.settle();
        }
    }

    /// Removes the record of a build that is over.
    pub(crate) fn delete_build(&mut self, project: &str, number: u64) -> bool {
        match self.project_mut(project) {
            Some(project) if !project.running.contains(&number) => project.builds.remove(&number).is_some(),
            _ => false,
        }
    }

    /// Returns the label of a pipeline's step, with parameters put in.
    pub(crate) fn step_label(&self, project: &str, number: u64, step: usize) -> Option<String> {
        let found = self.project(project)?;
        let mut label = found.spec.steps().get(step)?.label.clone()?;
        for value in found.builds.get(&number).map(|build| build.parameters.as_slice()).unwrap_or_default() {
            label = label.replace(&format!("${{{}}}", value.name), &value.value);
        }
        Some(label)
    }

    pub(super) fn end_step(&mut self, project: &str, number: u64, step: usize) {
        let now = self.now;
        let Some(build) = self.build_mut(project, number) else { return };
        let is_due = build.is_building() && build.step == step && build.step_until.is_some_and(|until| until <= now);
        if !is_due {
            return;
        }
        let place = build.step_place.take();
        build.step_until = None;
        build.step += 1;
        if let Some(place) = place {
            self.vacate(&place, &Occupant::Placeholder { project: project.to_owned(), number });
        }
        self.next_step(project, number);
    }

    pub(super) fn end_build_as_planned(&mut self, project: &str, number: u64) {
        let Some(found) = self.project(project) else { return };
        let result = found.spec.result;
        if found.builds.get(&number).is_some_and(Build::is_building) {
            self.end_build(project, number, result);
        }
    }

    /// Stops a build from building, and all that belongs to it.
    pub(super) fn end_build(&mut self, project: &str, number: u64, result: BuildResult) {
        let now = self.now;
        let Some(found) = self.project_mut(project) else { return };
        let (post_production, kind) = (found.spec.post_production, found.spec.kind);
        let is_configuration = found.is_configuration;
        let Some(build) = found.builds.get_mut(&number).filter(|build| build.is_building()) else { return };
        build.ended = Some(now);
        build.result = Some(result);
        let _ = writeln!(build.log, "Finished: {result}");
        let step_place = build.step_place.take();
        if let Some(place) = step_place {
            self.vacate(&place, &Occupant::Placeholder { project: project.to_owned(), number });
        }
        if kind == ProjectKind::Matrix && !is_configuration {
            self.end_configurations(project, number);
        }
        self.cancel_parts(project, number);
        if post_production.is_zero() {
            self.complete_build(project, number);
        } else {
            let project = project.to_owned();
            self.plan(post_production, Event::BuildCompletes { project, number });
        }
    }

    /// Gives back the executor of a build that is over, and forgets the oldest builds.
    pub(super) fn complete_build(&mut self, project: &str, number: u64) {
        let keep = self.settings.keep_builds.max(1);
        let Some(found) = self.project_mut(project) else { return };
        if !found.running.remove(&number) {
            return;
        }
        let Some(build) = found.builds.get_mut(&number) else { return };
        build.in_progress = false;
        let (place, result) = (build.place.clone(), build.result);
        while found.builds.len() > keep
            && let Some(oldest) = found.builds.keys().find(|number| !found.running.contains(number)).copied()
        {
            found.builds.remove(&oldest);
        }
        let is_configuration = found.is_configuration;
        self.vacate(&place, &Occupant::Build { project: project.to_owned(), number });
        if is_configuration {
            self.configuration_ended(project, number, result.unwrap_or(BuildResult::Aborted));
        }
    }

    /// A part of a build was taken out of the queue: a pipeline without its node is aborted, a matrix goes on with the
    /// other cells.
    pub(super) fn task_was_cancelled(&mut self, task: &Task) {
        match task {
            Task::Project(_) => {}
            Task::Step { project, number, .. } => self.end_build(project, *number, BuildResult::Aborted),
            Task::Configuration { project, number } => {
                self.configuration_ended(project, *number, BuildResult::Aborted);
            }
        }
    }

    /// A controller that starts anew finds its freestyle builds dead; pipelines go on, on the same node.
    pub(super) fn lose_running_builds(&mut self) {
        let running: Vec<(String, u64)> = self.running_builds();
        for (name, number) in running {
            let Some(project) = self.project(&name) else { continue };
            if project.spec.kind == ProjectKind::Pipeline {
                self.resume_pipeline(&name, number);
            } else {
                self.end_build(&name, number, BuildResult::Aborted);
                self.complete_build(&name, number);
            }
        }
    }

    /// An agent is gone, and what ran there with it.
    pub(super) fn fail_builds_on(&mut self, node: &str) {
        let on_node = |build: &Build| {
            let places = [Some(&build.place), build.step_place.as_ref()];
            places.into_iter().flatten().any(|place| place.node == node && place.executor.is_some())
        };
        for (name, number) in self.running_builds() {
            if self.build(&name, number).is_some_and(on_node) {
                self.end_build(&name, number, BuildResult::Failure);
            }
        }
    }

    fn running_builds(&self) -> Vec<(String, u64)> {
        let projects = self.items.keys().filter_map(|name| Some((name, self.project(name)?)));
        projects.flat_map(|(name, project)| project.running.iter().map(|number| (name.clone(), *number))).collect()
    }

    fn start(&mut self, item: QueueItem, place: Place) {
        match item.task.clone() {
            Task::Step { project, number, step, resumed } => {
                self.leave(item, false, Some(number));
                self.start_step(&project, number, step, resumed, place);
            }
            Task::Configuration { project, number } => {
                self.create_build(&project, number, &item, place);
                self.leave(item, false, Some(number));
            }
            Task::Project(project) => {
                let Some(found) = self.project_mut(&project) else { return };
                if found.spec.never_created {
                    self.leave(item, false, None);
                    return;
                }
                let number = found.next_number;
                found.next_number += 1;
                self.create_build(&project, number, &item, place);
                self.leave(item, false, Some(number));
                self.start_parts(&project, number);
            }
        }
    }

    fn create_build(&mut self, project: &str, number: u64, item: &QueueItem, place: Place) {
        let now = self.now;
        let on = self.nodes.get(&place.node).map(|node| self.node_display_name(node).to_owned()).unwrap_or_default();
        let Some(found) = self.project_mut(project) else { return };
        let mut log: String = item.causes.iter().map(|cause| cause.short_description() + "\n").collect();
        let _ = writeln!(log, "Running on {on} in /workspace/{project}");
        let is_matrix_parent = found.spec.kind == ProjectKind::Matrix && !found.is_configuration;
        let has_parts = is_matrix_parent || found.spec.kind == ProjectKind::Pipeline;
        let length = found.spec.duration;
        let early_result = found.spec.early_result.then_some(found.spec.result);
        let build = Build {
            number,
            queue_id: item.id,
            scheduled: item.since,
            started: now,
            ended: None,
            in_progress: true,
            result: early_result,
            parameters: item.parameters.clone(),
            causes: item.causes.clone(),
            description: None,
            stops: 0,
            place: place.clone(),
            log,
            open_configurations: 0,
            step: 0,
            step_place: None,
            last_step_node: None,
            step_until: None,
        };
        found.builds.insert(number, build);
        found.running.insert(number);
        found.next_number = found.next_number.max(number + 1);
        self.occupy(&place, Occupant::Build { project: project.to_owned(), number });
        if let Length::Fixed(length) = length
            && !has_parts
        {
            self.plan(length, Event::BuildEnds { project: project.to_owned(), number });
        }
    }

    /// Queues what a build that holds no executor consists of.
    fn start_parts(&mut self, project: &str, number: u64) {
        match self.project(project).map(|project| project.spec.kind) {
            Some(ProjectKind::Pipeline) => self.next_step(project, number),
            Some(ProjectKind::Matrix) => self.start_configurations(project, number),
            _ => {}
        }
    }

    fn next_step(&mut self, project: &str, number: u64) {
        let Some(build) = self.build(project, number) else { return };
        let step = build.step;
        if self.project(project).is_some_and(|project| step < project.spec.steps().len()) {
            let task = Task::Step { project: project.to_owned(), number, step, resumed: None };
            self.enqueue(task, Vec::new(), Vec::new(), Duration::ZERO);
        } else {
            self.end_build_as_planned(project, number);
        }
    }

    fn start_step(&mut self, project: &str, number: u64, step: usize, resumed: Option<Resumed>, place: Place) {
        let now = self.now;
        let length = self.project(project).and_then(|project| project.spec.steps().get(step).map(|step| step.duration));
        let left = match (resumed, length) {
            (Some(resumed), _) => resumed.left.map(Duration::from_millis),
            (None, Some(Length::Fixed(length))) => Some(length),
            (None, _) => None,
        };
        let on = self.nodes.get(&place.node).map(|node| self.node_display_name(node).to_owned()).unwrap_or_default();
        let Some(build) = self.build_mut(project, number) else { return };
        let _ = writeln!(build.log, "Running on {on} in /workspace/{project}");
        build.step_place = Some(place.clone());
        build.last_step_node = Some(place.node.clone());
        build.step_until = left.map(|left| now.saturating_add(super::millis(left)));
        self.occupy(&place, Occupant::Placeholder { project: project.to_owned(), number });
        if let Some(left) = left {
            self.plan(left, Event::StepEnds { project: project.to_owned(), number, step });
        }
    }

    fn resume_pipeline(&mut self, project: &str, number: u64) {
        let now = self.now;
        let Some(build) = self.build_mut(project, number) else { return };
        let Some(place) = build.step_place.take() else { return };
        let left = build.step_until.take().map(|until| until.saturating_sub(now));
        let step = build.step;
        let resumed = Some(Resumed { node: place.node.clone(), left });
        self.vacate(&place, &Occupant::Placeholder { project: project.to_owned(), number });
        let task = Task::Step { project: project.to_owned(), number, step, resumed };
        self.enqueue(task, Vec::new(), Vec::new(), Duration::ZERO);
    }

    fn start_configurations(&mut self, matrix: &str, number: u64) {
        let names: Vec<String> = self.configurations(matrix).map(|(name, _)| name.to_owned()).collect();
        let Some(found) = self.project_mut(matrix) else { return };
        let length = found.spec.duration;
        let Some(build) = found.builds.get_mut(&number) else { return };
        build.open_configurations = u32::try_from(names.len()).unwrap_or(u32::MAX);
        let parameters = build.parameters.clone();
        if names.is_empty() {
            if let Length::Fixed(length) = length {
                self.plan(length, Event::BuildEnds { project: matrix.to_owned(), number });
            }
            return;
        }
        for project in names {
            let cause = Cause::Upstream { project: matrix.to_owned(), number };
            self.enqueue(Task::Configuration { project, number }, parameters.clone(), vec![cause], Duration::ZERO);
        }
    }

    fn configuration_ended(&mut self, configuration: &str, number: u64, result: BuildResult) {
        let Some(matrix) = super::parent_of(configuration).map(str::to_owned) else { return };
        let Some(build) = self.build_mut(&matrix, number).filter(|build| build.is_building()) else { return };
        build.open_configurations = build.open_configurations.saturating_sub(1);
        build.result = Some(build.result.map_or(result, |worst| worst.max(result)));
        let _ = writeln!(build.log, "{} completed with result {result}", short_name(configuration));
        if build.open_configurations == 0 {
            let result = build.result.unwrap_or(result);
            self.end_build(&matrix, number, result);
        }
    }

    fn end_configurations(&mut self, matrix: &str, number: u64) {
        let running = self.configurations(matrix).filter(|(_, cell)| cell.running.contains(&number));
        for name in running.map(|(name, _)| name.to_owned()).collect::<Vec<_>>() {
            self.end_build(&name, number, BuildResult::Aborted);
        }
    }

    /// Takes the queued parts of a build that is over out of the queue.
    fn cancel_parts(&mut self, project: &str, number: u64) {
        let prefix = child_name(project, "");
        let is_part = |task: &Task| match task {
            Task::Project(_) => false,
            Task::Step { project: of, number: n, .. } => of == project && *n == number,
            Task::Configuration { project: of, number: n } => of.starts_with(&prefix) && *n == number,
        };
        let ids: Vec<u64> = self.queue.values().filter(|item| is_part(&item.task)).map(|item| item.id).collect();
        for id in ids {
            if let Some(item) = self.queue.remove(&id) {
                if let Stage::Pending { place, .. } = &item.stage {
                    self.vacate(&place.clone(), &Occupant::Pending { id });
                }
                self.leave(item, true, None);
            }
        }
    }
}
