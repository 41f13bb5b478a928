//! Capacity: how many builds each node could start now. D1 of the design, leases are capacity.
//!
//! Pure arithmetic on a snapshot and on the builds that are ours. A snapshot is always a little old, so a build of
//! ours counts from the moment it was promised, and stops counting when it ended, whatever the snapshot still shows.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::{BuildId, Node, NodeName, QueueItemId};

/// What is known of the builds of ours on one controller.
#[derive(Debug, Default)]
pub(super) struct OurBuilds {
    /// Every build of ours that the snapshot may show: live, or ended after it was taken.
    known: Vec<Known>,
    /// How many executors of each node our live builds hold or are promised.
    held: BTreeMap<NodeName, u32>,
    /// Live pipelines: what they occupy are executors of their parts, which come and go.
    pipelines: BTreeSet<BuildId>,
}

#[derive(Debug)]
struct Known {
    build: Option<BuildId>,
    queue_item: Option<QueueItemId>,
}

impl OurBuilds {
    /// Counts a build that has not ended. A pipeline or a matrix holds no executor by itself; the cells of a matrix
    /// count as builds of others while they run.
    pub(super) fn add_live(
        &mut self,
        node: &NodeName,
        holds_executor: bool,
        build: Option<BuildId>,
        queue_item: Option<QueueItemId>,
    ) {
        if holds_executor {
            self.known.push(Known { build, queue_item });
            *self.held.entry(node.clone()).or_default() += 1;
        } else {
            self.pipelines.extend(build);
        }
    }

    /// Notes a build that ended after the snapshot was asked for.
    pub(super) fn add_ended(&mut self, build: BuildId) {
        self.known.push(Known { build: Some(build), queue_item: None });
    }

    /// Returns how many more builds the node could start.
    pub(super) fn idle(&self, node: &Node) -> u32 {
        let held = self.held.get(&node.name).copied().unwrap_or(0);
        self.available(node).saturating_sub(held)
    }

    /// Returns how many executors of the node are idle or ours.
    pub(super) fn available(&self, node: &Node) -> u32 {
        if !node.is_online() {
            return 0;
        }
        let foreign = node.executors.iter().filter(|executor| !executor.idle).filter(|executor| {
            // A busy executor whose build we may not read is somebody else's.
            executor
                .build
                .as_ref()
                .is_none_or(|build| !self.known.iter().any(|known| known.is(&build.id, build.queue_id)))
        });
        node.executor_count.saturating_sub(u32::try_from(foreign.count()).unwrap_or(u32::MAX))
    }

    /// Returns how many executors of the node parts of our pipelines occupy.
    pub(super) fn occupied_by_pipelines(&self, node: &Node) -> u32 {
        let builds = node.executors.iter().filter_map(|executor| executor.build.as_ref());
        let parts = builds.filter(|build| self.pipelines.contains(&build.id)).count();
        u32::try_from(parts).unwrap_or(u32::MAX)
    }
}

impl Known {
    fn is(&self, build: &BuildId, queue_item: Option<QueueItemId>) -> bool {
        self.build.as_ref() == Some(build) || (self.queue_item.is_some() && self.queue_item == queue_item)
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{Executor, Parameters, ProjectName, RunningBuild};

    use super::*;

    fn build_id(number: u64) -> BuildId {
        BuildId { project: ProjectName::new("lint"), number }
    }

    fn node(executors: &[Option<u64>]) -> Node {
        let executors: Vec<_> = executors
            .iter()
            .map(|number| Executor {
                idle: number.is_none(),
                build: number.map(|number| RunningBuild {
                    id: build_id(number),
                    queue_id: Some(QueueItemId(number + 100)),
                    started_ms: None,
                    parameters: Parameters::new(),
                }),
            })
            .collect();
        Node { executor_count: executors.len() as u32, executors, ..Node::new(NodeName::agent("a")) }
    }

    #[test]
    fn builds_of_others_and_of_ours_are_each_counted_once() {
        let mut ours = OurBuilds::default();
        assert_eq!(ours.idle(&node(&[None, Some(1), Some(2)])), 1);
        ours.add_live(&NodeName::agent("a"), true, Some(build_id(1)), None);
        assert_eq!(ours.idle(&node(&[None, Some(1), Some(2)])), 1, "a build of ours that shows");
        assert_eq!(ours.idle(&node(&[None, None, Some(2)])), 1, "a build of ours that does not show yet");
        assert_eq!(ours.idle(&node(&[Some(3), Some(1), Some(2)])), 0);
    }

    #[test]
    fn a_build_is_recognised_by_its_queue_item_before_its_number_is_known() {
        let mut ours = OurBuilds::default();
        ours.add_live(&NodeName::agent("a"), true, None, Some(QueueItemId(101)));
        assert_eq!(ours.idle(&node(&[Some(1), None])), 1);
    }

    #[test]
    fn a_build_that_ended_after_the_snapshot_no_longer_counts() {
        let mut ours = OurBuilds::default();
        ours.add_ended(build_id(1));
        assert_eq!(ours.idle(&node(&[Some(1), None])), 2);
    }

    #[test]
    fn a_hidden_build_holds_its_executor_and_a_pipeline_holds_none() {
        let mut hidden = node(&[Some(1), None]);
        hidden.executors[0].build = None;
        let mut ours = OurBuilds::default();
        ours.add_live(&NodeName::agent("a"), false, Some(build_id(9)), None);
        assert_eq!(ours.idle(&hidden), 1);
    }

    #[test]
    fn the_parts_of_a_pipeline_hold_executors_that_are_still_told_from_those_of_others() {
        let mut ours = OurBuilds::default();
        ours.add_live(&NodeName::BuiltIn, false, Some(build_id(9)), None);
        let node = node(&[Some(9), Some(9), Some(1), None]);
        assert_eq!((ours.idle(&node), ours.occupied_by_pipelines(&node)), (1, 2));
    }

    #[test]
    fn what_our_builds_hold_is_available_to_them_until_executors_are_configured_away() {
        let mut ours = OurBuilds::default();
        ours.add_live(&NodeName::agent("a"), true, Some(build_id(1)), None);
        ours.add_live(&NodeName::agent("a"), true, Some(build_id(2)), None);
        let mut node = node(&[Some(1), Some(2), Some(3)]);
        assert_eq!((ours.idle(&node), ours.available(&node)), (0, 2));
        node.executor_count = 1;
        assert_eq!((ours.idle(&node), ours.available(&node)), (0, 0));
    }

    #[test]
    fn an_offline_node_has_no_capacity() {
        let mut offline = node(&[None]);
        offline.temporarily_offline = true;
        assert_eq!(OurBuilds::default().idle(&offline), 0);
    }
}
