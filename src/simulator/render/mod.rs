//! From the world to Jenkins' JSON, no more of it than was asked for.
//!
//! Each file renders one noun. Fields are named with the visibility that Jenkins gives them; the expensive ones are
//! closures, so that a list of thousands costs what its `tree` names.

mod bean;
mod build;
mod label;
mod node;
mod project;
mod queue;
mod root;

pub(crate) use bean::{ALWAYS, Bean};
pub(crate) use node::escape;

use std::cell::RefCell;
use std::collections::BTreeMap;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::auth::Caller;
use super::language::Language;
use super::scheduling::{Prospect, Wish};
use super::tree::Selection;
use super::world::{Project, World, parent_of, short_name};

/// What stays as it is in a path segment.
const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'=').remove(b',').remove(b'$');

/// The world as one caller sees it.
pub(crate) struct View<'w> {
    world: &'w World,
    caller: &'w Caller,
    language: Language,
    /// Finding out why something waits looks at every node; queue items that want the same wait for the same.
    prospects: RefCell<BTreeMap<Wish, Prospect>>,
}

impl<'w> View<'w> {
    pub(crate) fn new(world: &'w World, caller: &'w Caller, language: Language) -> Self {
        Self { world, caller, language, prospects: RefCell::default() }
    }

    pub(super) fn bean<'t>(&self, class: &str, selection: Selection<'t>) -> Bean<'t> {
        Bean::new(self.world.settings.version.exports_class().then_some(class), selection)
    }

    /// An object whose class goes without saying.
    pub(super) fn plain<'t>(&self, selection: Selection<'t>) -> Bean<'t> {
        Bean::new(None, selection)
    }

    /// Jenkins drops a list element that fails to render, and says so only in its log.
    pub(super) fn is_listed(&self, name: &str) -> bool {
        !self.world.hidden_from_lists.contains(name)
    }

    pub(crate) fn item_url(&self, full_name: &str) -> String {
        format!("{}{}", self.world.settings.root_url, item_path(self.world.project(full_name), full_name))
    }

    pub(crate) fn build_url(&self, full_name: &str, number: u64) -> String {
        format!("{}{number}/", self.item_url(full_name))
    }
}

/// Returns the path of an item below the root, with a slash at the end.
pub(crate) fn item_path(project: Option<&Project>, full_name: &str) -> String {
    let encode = |segment: &str| utf8_percent_encode(segment, SEGMENT).to_string();
    match (project.is_some_and(|project| project.is_configuration), parent_of(full_name)) {
        (true, Some(matrix)) => format!("{}{}/", item_path(None, matrix), encode(short_name(full_name))),
        _ => full_name.split('/').map(|segment| format!("job/{}/", encode(segment))).collect(),
    }
}

/// An object of which clients only ever see that it is there.
pub(super) fn hollow(class: &str, view: &View<'_>, selection: Selection<'_>) -> Value {
    view.bean(class, selection).done()
}
