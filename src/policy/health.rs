//! How a slot in force has fared lately, for people: a policy that fails is contained, and must not go unnoticed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::component::Hook;

/// So many failures in a row are no accident.
const IN_A_ROW: u32 = 3;

/// By hook: the last failure, if the last time was one, and how many there were in a row.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<BTreeMap<Hook, Failing>>);

#[derive(Debug)]
struct Failing {
    failure: String,
    in_a_row: u32,
}

impl Health {
    /// Notes how a hook fared this time.
    pub(super) fn note(&self, hook: Hook, failure: Option<String>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(failure) => {
                let in_a_row = failures.get(&hook).map_or(0, |failing| failing.in_a_row).saturating_add(1);
                failures.insert(hook, Failing { failure, in_a_row });
            }
            None => {
                failures.remove(&hook);
            }
        }
    }

    /// Notes a failure that a client's input alone has led to: people are told, and it counts for nothing else.
    pub(super) fn note_of_input(&self, hook: Hook, failure: String) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let failing = failures.entry(hook).or_insert(Failing { failure: String::new(), in_a_row: 0 });
        failing.failure = failure;
    }

    /// Returns what fails again and again.
    pub(super) fn hopeless(&self) -> Option<String> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (hook, failing) = failures.iter().find(|(_, failing)| failing.in_a_row >= IN_A_ROW)?;
        Some(format!("{hook} failed {} times in a row: {}", failing.in_a_row, failing.failure))
    }

    /// Returns what fails, what that means and what to do.
    pub(super) fn failing(&self, policy: &str, single_use: bool) -> Option<String> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (hook, Failing { failure, .. }) = failures.first_key_value()?;
        let meanwhile = match hook {
            Hook::Naming | Hook::Matching => "what was registered stays, and nothing new is offered",
            Hook::Parameters => "no build is started where it is bound",
            Hook::Offline if single_use => "its nodes go offline after each build",
            Hook::Offline => "the classic rules decide",
        };
        Some(format!("{hook} fails: {failure}; {meanwhile}: replace the file, or `layshaft policy rollback {policy}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_failure_of_a_hook_is_told_until_it_succeeds_again() {
        let health = Health::default();
        assert_eq!(health.failing("p", false), None);
        health.note(Hook::Offline, Some("it trapped".into()));
        health.note(Hook::Matching, None);
        assert_eq!(
            health.failing("p", false).unwrap(),
            "offline fails: it trapped; the classic rules decide: replace the file, or `layshaft policy rollback p`"
        );
        assert!(health.failing("p", true).unwrap().contains("go offline"));
        health.note(Hook::Offline, None);
        assert_eq!(health.failing("p", false), None);
    }

    #[test]
    fn what_a_client_causes_is_told_and_not_counted() {
        let health = Health::default();
        for _ in 0..9 {
            health.note_of_input(Hook::Parameters, "out of memory".into());
        }
        assert_eq!(health.hopeless(), None);
        assert!(health.failing("p", false).unwrap().contains("out of memory"));
        for _ in 0..3 {
            health.note(Hook::Parameters, Some("it trapped".into()));
        }
        assert!(health.hopeless().is_some());
    }

    #[test]
    fn failures_in_a_row_are_hopeless_and_a_success_in_between_is_not() {
        let health = Health::default();
        let fail = || health.note(Hook::Parameters, Some("out of fuel".into()));
        fail();
        fail();
        assert_eq!(health.hopeless(), None);
        health.note(Hook::Parameters, None);
        fail();
        fail();
        health.note(Hook::Matching, None);
        assert_eq!(health.hopeless(), None);
        fail();
        assert_eq!(health.hopeless().unwrap(), "parameters failed 3 times in a row: out of fuel");
    }
}
