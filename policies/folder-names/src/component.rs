use alloc::{string::String, vec::Vec};

use layshaft_policy_sdk::{Description, Naming, Needs, Policy, description, naming};

use crate::Settings;

layshaft_policy_sdk::export!(Settings: naming);

impl Policy for Settings {
    fn describe() -> Description {
        description!(Needs::default())
    }

    fn configure(settings: &str) -> Result<Self, String> {
        Self::read(settings)
    }
}

impl Naming for Settings {
    fn names(&self, question: &naming::Question) -> naming::Verdict {
        let naming::Question { project, short_name_unique, matched_labels, .. } = question;
        let crate::Verdict { names, aliases, reason, trace } =
            crate::names(self, &project.full_name, &project.short_name, *short_name_unique, matched_labels);
        naming::Verdict { names: names.map(named), aliases: named(aliases), reason, trace }
    }
}

fn named(names: Vec<crate::Name>) -> Vec<naming::Name> {
    names.into_iter().map(|name| naming::Name { project: name.project, label: name.label }).collect()
}
