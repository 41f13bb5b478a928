//! What the functions of a connection mean: now, and those that a grab under way may still bring.

use std::sync::Arc;

use crate::domain::FunctionName;

use super::function_set::FunctionSet;
use super::table::{Offer, Row};

/// What was offered until now, what was meant by it until now, and what is new: a change of both takes two steps.
const LAYERS: usize = 3;

/// Layers of what was offered and what it meant then, the newest first. Nothing is copied.
#[derive(Clone, Debug, Default)]
pub(super) struct Meanings(Vec<(FunctionSet, Arc<Row>)>);

impl Meanings {
    pub(super) fn get(&self, function: &FunctionName) -> Option<&Offer> {
        let known = self.0.iter().filter(|(offered, _)| offered.contains(function));
        known.filter_map(|(_, row)| row.get(function)).next()
    }

    /// Returns them with what is offered from now on, and what it means.
    pub(super) fn renewed(&self, offered: &FunctionSet, row: Arc<Row>) -> Self {
        let newest = (offered.clone(), row);
        Self(std::iter::once(newest).chain(self.0.iter().take(LAYERS - 1).cloned()).collect())
    }

    /// Returns newer ones, with these behind them.
    pub(super) fn overlaid_by(&self, newer: &Self) -> Self {
        let is_new = |(offered, row): &&(FunctionSet, Arc<Row>)| {
            !newer.0.iter().any(|(known, known_row)| known.is(offered) && Arc::ptr_eq(known_row, row))
        };
        Self(newer.0.iter().chain(self.0.iter().filter(is_new)).cloned().collect())
    }

    /// Returns whether this row is what the newest ones were taken from.
    pub(super) fn are_of(&self, row: &Arc<Row>) -> bool {
        self.0.first().is_some_and(|(_, newest)| Arc::ptr_eq(newest, row))
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::{BuildFunction, ProjectName};

    use super::*;

    fn row(project: &str) -> Arc<Row> {
        let offer = Offer {
            project: ProjectName::new(project),
            function: BuildFunction::new("lint", None),
            is_pipeline: false,
            holds_executor: true,
            widened: false,
        };
        Arc::new(Row::new([(name("build:lint"), offer)].into()))
    }

    fn name(name: &str) -> FunctionName {
        FunctionName::new(name).unwrap()
    }

    fn meant(meanings: &Meanings) -> Option<&str> {
        meanings.get(&name("build:lint")).map(|offer| offer.project.full())
    }

    #[test]
    fn a_function_means_what_it_meant_last_while_it_was_offered() {
        let (offered, nothing) = (FunctionSet::from_iter([name("build:lint")]), FunctionSet::default());
        let first = Meanings::default().renewed(&offered, row("x/lint"));
        assert_eq!(meant(&first), Some("x/lint"));
        assert_eq!(meant(&first.renewed(&offered, row("y/lint"))), Some("y/lint"));
        // It means another project now, and is no longer offered here: a grab may still bring it as what it was.
        let withdrawn = first.renewed(&nothing, row("y/lint"));
        assert_eq!(meant(&withdrawn), Some("x/lint"));
        let gone = first.renewed(&offered, Arc::default()).renewed(&nothing, Arc::default());
        assert_eq!(meant(&gone), Some("x/lint"), "the project goes first, and then the offer");
        assert_eq!(meant(&gone.renewed(&nothing, Arc::default())), None);
        assert_eq!(meant(&gone.overlaid_by(&Meanings::default())), Some("x/lint"));
    }
}
