use alloc::{format, string::String, vec};

use layshaft_policy_sdk::{Description, Matching, Needs, Policy, description, list, matching, quoted};

use crate::Settings;

layshaft_policy_sdk::export!(Settings: matching);

impl Policy for Settings {
    fn describe() -> Description {
        // Any label may imply another, and which ones do is known only once the settings are read.
        description!(Needs { labels: vec!["**".into()], ..Needs::default() })
    }

    fn configure(settings: &str) -> Result<Self, String> {
        Self::read(settings)
    }
}

impl Matching for Settings {
    fn matches(&self, question: &matching::Question) -> matching::Verdict {
        let served = crate::served(self, &question.atoms, &question.node.labels);
        if served.is_empty() {
            return matching::Verdict::abstain("no label of the node implies another atom");
        }
        let trace = served.iter().map(|served| format!("{} serves {}", quoted(&served.by), quoted(&served.atom)));
        let trace = trace.collect();
        let reason = format!("the node serves {}", list(served.iter().map(|served| served.atom.as_str())));
        let atoms = served.into_iter().map(|served| served.atom).collect();
        matching::Verdict { trace, ..matching::Verdict::satisfies(atoms, reason) }
    }
}
