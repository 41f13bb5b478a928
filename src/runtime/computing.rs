//! One making of the table, away from the loop: what the rules give, and what is kept beside it.

use std::sync::Arc;

use super::config::Config;
use super::keeper::Grace;
use super::keeping::{Change, Keeping};
use super::rules::PolicyRules;
use super::snapshot::Snapshot;
use super::table::{FunctionTable, table};
use crate::policy::Generation;

/// What it is made of.
pub(super) struct Computing {
    /// None if what the rules give is known, and only what is kept has to be looked at again.
    pub(super) rules: Option<(Arc<Generation>, Arc<Config>)>,
    pub(super) snapshot: Arc<Snapshot>,
    /// What the rules gave last.
    pub(super) ruled: Arc<FunctionTable>,
    /// What is offered now.
    pub(super) offered: Arc<FunctionTable>,
    /// How many servers there are.
    pub(super) servers: usize,
    pub(super) keeping: Grace,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Computed {
    /// The policies by which it was made; none if the table of the rules is the one before.
    pub(super) generation: Option<u64>,
    pub(super) ruled: Arc<FunctionTable>,
    pub(super) offered: Arc<FunctionTable>,
    /// What a change of policies took away, and stays for a while.
    pub(super) change: Option<Change>,
}

impl Computing {
    pub(super) fn run(self) -> Computed {
        let Self { rules, snapshot, ruled: before, offered, servers, keeping } = self;
        let Grace { mut keeping, since, until, past } = keeping;
        let Some((generation, config)) = rules else {
            let offered = keeping.over(&before, &snapshot, &offered, servers);
            return Computed { generation: None, ruled: before, offered, change: None };
        };
        let by =
            |generation: &Generation| table(&snapshot, &mut PolicyRules::new(generation, &snapshot, &config), &before);
        let ruled = by(&generation);
        let ruled = if ruled == *before { Arc::clone(&before) } else { Arc::new(ruled) };
        let of_past = past.and_then(|(earlier, until)| {
            let was = Arc::new(by(&earlier));
            Change::between(&was, &ruled, &snapshot, until)
        });
        let generation = generation.number();
        let is_changed = since.is_some_and(|since| since != generation);
        let until = until.filter(|_| is_changed);
        let change = of_past.or_else(|| Change::between(&before, &ruled, &snapshot, until?));
        if let Some(change) = &change {
            Keeping::add(&mut keeping, change.clone(), &ruled);
        }
        let offered = keeping.over(&ruled, &snapshot, &offered, servers);
        Computed { generation: Some(generation), ruled, offered, change }
    }
}
