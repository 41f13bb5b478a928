//! How a slot in force has fared lately, for people: a policy that fails is contained, and must not go unnoticed.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::component::Hook;

/// By hook: the last failure, if the last time was one.
#[derive(Debug, Default)]
pub(super) struct Health(Mutex<BTreeMap<Hook, String>>);

impl Health {
    /// Notes how a hook fared this time.
    pub(super) fn note(&self, hook: Hook, failure: Option<String>) {
        let mut failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match failure {
            Some(failure) => failures.insert(hook, failure),
            None => failures.remove(&hook),
        };
    }

    /// Returns what fails, what that means and what to do.
    pub(super) fn failing(&self, policy: &str, single_use: bool) -> Option<String> {
        let failures = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (hook, failure) = failures.first_key_value()?;
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
}
