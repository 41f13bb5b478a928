use alloc::{
    string::{String, ToString},
    vec::Vec,
};

use layshaft_policy_sdk::{Description, Matching, Naming, Needs, Policy, Settings, description, matching, naming};

use crate::{Match, Oracle, Pair};

layshaft_policy_sdk::export!(Oracle: matching, naming);

impl Policy for Oracle {
    fn describe() -> Description {
        description!(Needs::default())
    }

    fn configure(settings: &str) -> Result<Self, String> {
        Settings::read(settings)?.finish()?;
        Ok(Self)
    }
}

impl Matching for Oracle {
    fn matches(&self, question: &matching::Question) -> matching::Verdict {
        let node = &question.node;
        let pair = Pair {
            is_pipeline: matches!(question.kind, matching::ProjectKind::Pipeline),
            expression: question.expression.as_deref(),
            built_in: node.built_in,
            exclusive: node.exclusive,
            labels: &node.labels,
        };
        match crate::matches(&pair) {
            Match::Yes(atoms) => matching::Verdict::satisfies(atoms, "the classic rules match"),
            Match::No(reason) => matching::Verdict::veto(reason),
        }
    }
}

impl Naming for Oracle {
    fn names(&self, question: &naming::Question) -> naming::Verdict {
        let short_name = &question.project.short_name;
        let Some(suffixes) = crate::suffixes(short_name, &question.matched_labels) else {
            return naming::Verdict::abstain("a policy cannot give a name with white space");
        };
        let name =
            |label: Option<&str>| naming::Name { project: short_name.clone(), label: label.map(ToString::to_string) };
        let names: Vec<naming::Name> = suffixes.into_iter().map(name).collect();
        naming::Verdict::names(names, "the classic names")
    }
}
