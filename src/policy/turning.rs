//! Which one change of a job's parameters would have had it decided otherwise, by the policies that were in force then.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::asked::{Asked, JobAsked, Sent, SentValue};
use super::generation::Generation;
use super::record::{Composed, Record};
use super::reload::{Inner, Policies};

/// More parameters than these are not tried one by one: each takes as long as its policies do.
const MOST_TRIED: usize = 200;

/// A decision, and what would have turned it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turning {
    /// How the question is decided as it was asked; none if it could not be asked.
    pub verdict: Option<Composed>,
    pub why: String,
    /// The smallest changes first: left out, then empty, then one more parameter.
    pub changes: Vec<Turn>,
    pub tried: usize,
    /// There was more to try.
    pub is_cut: bool,
    /// Parameters that some policy was shown then and that are not known now: it was another question.
    pub missing: BTreeSet<String>,
    /// Why it could not be asked.
    pub trouble: Option<String>,
}

/// A change that turns a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub parameter: String,
    pub edit: ParameterEdit,
    pub verdict: Composed,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParameterEdit {
    LeaveOut,
    /// Sent with an empty value.
    Empty,
    /// Declared by the project and not sent: sent with an empty value.
    Send,
}

impl Policies {
    /// Looks for what would have turned a decision about a job. `values` are those that the record does not have, where
    /// somebody knows them.
    pub async fn turning(&self, record: Record, values: BTreeMap<String, String>) -> Turning {
        let _alone = self.one_at_a_time().await;
        self.off_the_runtime(move |inner| inner.turning(record, &values)).await
    }
}

impl Inner {
    fn turning(&self, mut record: Record, values: &BTreeMap<String, String>) -> Turning {
        record.asked.learn(values);
        let asked = if record.cut {
            Err("the question was too large to be kept".to_owned())
        } else if record.asked.job().is_none() {
            Err("it is about the function table: name the function, as in --why-not build:lint".to_owned())
        } else {
            self.generation_of(&record)
        };
        match asked {
            Ok(generation) => turning(&generation, &record.asked),
            Err(trouble) => Turning {
                verdict: None,
                why: String::new(),
                changes: Vec::new(),
                tried: 0,
                is_cut: false,
                missing: BTreeSet::new(),
                trouble: Some(trouble),
            },
        }
    }
}

fn turning(generation: &Generation, asked: &Asked) -> Turning {
    let as_it_was = generation.ask_again(asked);
    let edits = asked.job().map(edits).unwrap_or_default();
    let is_cut = edits.len() > MOST_TRIED;
    let tried = edits.len().min(MOST_TRIED);
    let turn = |(edit, parameter): (ParameterEdit, String)| {
        let mut other = asked.clone();
        if let Asked::Filter(job) | Asked::BuildStarted(job) | Asked::BuildEnded(job, _) = &mut other {
            apply(edit, &parameter, &mut job.sent);
        }
        let again = generation.ask_again(&other);
        // That a parameter is gone is no other decision about the job.
        let is_turned = again.verdict.word() != as_it_was.verdict.word();
        is_turned.then_some(Turn { parameter, edit, verdict: again.verdict, why: again.why })
    };
    Turning {
        changes: edits.into_iter().take(MOST_TRIED).filter_map(turn).collect(),
        verdict: Some(as_it_was.verdict),
        why: as_it_was.why,
        tried,
        is_cut,
        missing: asked.missing(generation),
        trouble: None,
    }
}

fn edits(job: &JobAsked) -> Vec<(ParameterEdit, String)> {
    let sent = |edit: ParameterEdit| job.sent.iter().map(move |sent| (edit, sent.name.clone()));
    let has_text = |name: &String| {
        let is_empty = |sent: &Sent| matches!(&sent.value, SentValue::Shown(text) if text.is_empty());
        !job.sent.iter().any(|sent| sent.name == *name && is_empty(sent))
    };
    let declared = job.project.parameters.iter().flatten().map(|parameter| parameter.name.clone());
    let is_new = |name: &String| !job.sent.iter().any(|sent| sent.name == *name);
    let mut edits: Vec<_> = sent(ParameterEdit::LeaveOut).collect();
    edits.extend(sent(ParameterEdit::Empty).filter(|(_, name)| has_text(name)));
    edits.extend(declared.filter(is_new).map(|name| (ParameterEdit::Send, name)));
    edits
}

fn apply(edit: ParameterEdit, parameter: &str, sent: &mut Vec<Sent>) {
    let empty = || SentValue::Shown(String::new());
    match edit {
        ParameterEdit::LeaveOut => sent.retain(|sent| sent.name != parameter),
        ParameterEdit::Empty => {
            sent.iter_mut().filter(|sent| sent.name == parameter).for_each(|sent| sent.value = empty());
        }
        ParameterEdit::Send => sent.push(Sent { name: parameter.to_owned(), value: empty() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::config::{Grant, SlotGuard};
    use crate::policy::decision::tests::with_request;
    use crate::policy::reload::tests::Site;

    /// The example that rejects LD_PRELOAD, where it is told to reject.
    fn site() -> Site {
        let mut site = Site::new();
        site.config.log.values = vec!["*".to_owned()];
        let guard = SlotGuard { grants: [Grant::Values].into(), ..SlotGuard::default() };
        site.config.slots.insert("parameter-allowlist".to_owned(), guard);
        site
    }

    #[tokio::test]
    async fn the_parameter_for_which_a_job_was_rejected_is_found() {
        let site = site();
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/parameter-allowlist");
        site.put("10-parameter-allowlist.wasm", std::fs::read(folder.join("parameter-allowlist.wasm")).unwrap());
        site.put("10-parameter-allowlist.toml", std::fs::read(folder.join("parameter-allowlist.toml")).unwrap());
        let policies = site.open();
        let mut decisions = policies.decisions().unwrap();
        let sent = [("ZUUL_UUID", "u"), ("LD_PRELOAD", "evil.so"), ("ZUUL_BRANCH", "main")];
        with_request(&sent, |request| policies.live().filter(request));
        let record = decisions.take(10).await.records.remove(0);
        assert_eq!(record.verdict, Composed::Rejected);
        let turning = policies.turning(record, BTreeMap::new()).await;
        assert_eq!((turning.verdict, turning.trouble, turning.is_cut), (Some(Composed::Rejected), None, false));
        let turns: Vec<_> =
            turning.changes.iter().map(|turn| (turn.edit, turn.parameter.as_str(), turn.verdict.word())).collect();
        assert_eq!(turns, [(ParameterEdit::LeaveOut, "LD_PRELOAD", "passed")]);
        assert!(turning.tried >= 6, "{}", turning.tried);
    }
}
