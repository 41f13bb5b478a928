//! One look at the folder, from files to the next generation.
//!
//! A file that is refused costs nobody anything but itself: its slot keeps the last good version, the others go on.
//! Only a file that was taken away by itself ends a policy; a folder that is gone, unreadable or suddenly empty never
//! does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::time::Instant;
use tracing::{error, info, warn};

use super::book::{Before, Book, InForce, changes, shape_of};
use super::folder;
use super::generation::Generation;
use super::history::Era;
use super::intake::Look;
use super::recorder::now_ms;
use super::reload::{Error, Inner, View};
use super::status::{Change, ReloadReport, Stage};
use super::table_gates::{Waiver, slots_of};

/// What is in force from now on, once it is written down.
struct Turned {
    look: Look,
    changed: Vec<Change>,
    /// None if it is what is in force already.
    generation: Option<Generation>,
    view: View,
}

impl Inner {
    /// Looks at the folder and puts in force what passes. Without `forced`, versions refused before are not tried again.
    pub(super) fn turn(&self, book: &mut Book, forced: bool, waiver: &Waiver) -> ReloadReport {
        if forced {
            book.refused.clear();
        }
        let before = book.before();
        self.turn_since(book, &before, waiver)
    }

    /// Looks at the folder after the book was changed; `before` is what was in force until then.
    pub(super) fn turn_since(&self, book: &mut Book, before: &Before, waiver: &Waiver) -> ReloadReport {
        let turned = self.look(book, before, waiver);
        let is_written = self.write_down(book).unwrap_or_else(|error| {
            error!("{error}; a restart may lose it");
            false
        });
        self.put_up(book, turned, is_written)
    }

    /// Looks at the folder after a person has changed the book, which was as `undo` until then. What cannot be written
    /// down does not count: a restart would take it back unasked.
    pub(super) fn turn_by_hand(&self, book: &mut Book, undo: Book, waiver: &Waiver) -> Result<ReloadReport, Error> {
        let turned = self.look(book, &undo.before(), waiver);
        match self.write_down(book) {
            Ok(is_written) => Ok(self.put_up(book, turned, is_written)),
            Err(error) => {
                *book = undo;
                Err(error)
            }
        }
    }

    fn look(&self, book: &mut Book, before: &Before, waiver: &Waiver) -> Turned {
        let mut look = Look::default();
        let now = SystemTime::now();
        book.disabled.retain(|_, until| *until > now);
        let folder = self.config.folder.display();
        let files = look.took.time(Stage::Read, || folder::read(&self.config.folder, self.config.limits.max_module));
        match files {
            Err(reason) => {
                let reason =
                    format!("{reason}; what was in force stays: bring the folder back, or retire policies by name");
                self.keep_all(book, &mut look, reason);
            }
            Ok(files) if files.is_empty() && !(book.live.is_empty() && book.kept.is_empty()) => {
                let count = before.shape.len();
                let reason = format!(
                    "{folder} is suddenly empty; {count} policies stay in force: bring the files back, or retire \
                     policies by name"
                );
                self.keep_all(book, &mut look, reason);
            }
            Ok(files) => self.take_in(book, &mut look, files),
        }
        self.demand_required(book, &mut look);
        for refusal in self.pass_last_gates(book, before, waiver, &mut look.took) {
            look.refuse(book, refusal);
        }
        self.turned(book, before, look)
    }

    /// Numbers what is in force from now on.
    fn turned(&self, book: &mut Book, before: &Before, look: Look) -> Turned {
        let in_force = book.in_force();
        let changed = changes(&before.shape, &shape_of(&in_force));
        let (blocked, view) = self.view(book, &look);
        let sidecar_of = |name: &String| look.rows.get(name).and_then(|row| row.sidecar.clone());
        let blocking: BTreeMap<_, _> = blocked.keys().map(|name| (name.clone(), sidecar_of(name))).collect();
        if !changed.is_empty() || blocking != book.blocking || book.number == 0 {
            book.number += 1;
        } else if book.published {
            return Turned { look, changed, generation: None, view };
        }
        for live in book.live.values_mut().filter(|live| live.since == 0) {
            live.since = book.number;
            live.came = Some(Instant::now());
        }
        let (_, view) = self.view(book, &look);
        let generation = Generation {
            number: book.number,
            slots: slots_of(&in_force),
            blocked: blocked.into_values().flatten().collect(),
            monitor: self.monitor.clone(),
            redaction: Arc::clone(&self.redaction),
            recorder: Some(Arc::clone(&self.recorder)),
        };
        book.blocking = blocking;
        book.published = true;
        Turned { look, changed, generation: Some(generation), view }
    }

    /// Writes down what is in force from now on, so that it can be asked again when it no longer is.
    fn begin_era(&self, generation: u64, in_force: &InForce) {
        let Some(ledger) = &self.ledger else { return };
        let era = Era::new(generation, now_ms(), in_force, &self.config);
        if let Err(error) = ledger.begin_era(era, in_force, &self.config.log) {
            error!(%error, "policies in force could not be added to their history; decisions by them cannot be explained later");
        }
    }

    /// Writes down what the book says, if that is new; returns whether it is.
    fn write_down(&self, book: &mut Book) -> Result<bool, Error> {
        let page = book.page();
        let Some(ledger) = self.ledger.as_ref().filter(|_| page != book.written) else { return Ok(false) };
        let folder = || ledger.folder().display().to_string();
        ledger.write(&page).map_err(|source| Error::NotWritten { folder: folder(), source })?;
        book.written = page;
        Ok(true)
    }

    /// Puts it in force, shows the state of things, and logs what is new to complain about.
    fn put_up(&self, book: &mut Book, turned: Turned, is_written: bool) -> ReloadReport {
        let Turned { mut look, changed, generation, mut view } = turned;
        let is_new = generation.is_some();
        if let Some(generation) = generation {
            let (number, slots) = (generation.number, generation.slots.len());
            self.live.send_replace(Arc::new(generation));
            info!(generation = number, slots, changes = changed.len(), "policies in force");
        }
        if is_new || !look.refused.is_empty() {
            look.took.lap(Stage::Swap);
            let cost = look.took.cost(book.number);
            info!(generation = book.number, microseconds = cost.microseconds, stages = ?cost.stages, "policies looked at");
            book.last_reload = Some(cost);
        }
        view.last_reload = book.last_reload.clone();
        let complaints: BTreeSet<String> = look.refused.iter().map(ToString::to_string).collect();
        self.count_refusals(look.refused.iter().filter(|refusal| !book.complaints.contains(&refusal.to_string())));
        for complaint in complaints.difference(&book.complaints) {
            error!("{complaint}");
        }
        book.complaints = complaints;
        self.show(view);
        if is_new {
            self.begin_era(book.number, &book.in_force());
        }
        if is_new || is_written {
            self.throw_away(book);
        }
        ReloadReport { done: look.refused.is_empty(), generation: book.number, changed, refused: look.refused }
    }

    /// Throws away what is no longer needed, unless it was not written down that it is not.
    pub(super) fn throw_away(&self, book: &Book) {
        let Some(ledger) = self.ledger.as_ref().filter(|_| book.page() == book.written) else { return };
        let modules = book.written.modules();
        let code = self.code_cache.as_ref().map_or(Ok(()), |cache| cache.keep_only(&modules));
        if let Err(error) = ledger.keep_only(&modules).and(code) {
            warn!(%error, "what is no longer needed of policies could not be thrown away");
        }
    }
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
