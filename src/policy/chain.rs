//! How the verdicts of several policies become one decision. Pure, and free of order but for the owner of names.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::answers::{End, Filtered, Matched, Names, Reason, Start, Undecided};
use super::call::CallError;
use super::config::Grant;
use super::verdict::{Decision, EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer, StartAnswer};
use crate::domain::{BuildFunction, Parameters, Project};
use crate::label::Expression;

/// Who speaks, and with what right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Voice {
    pub(super) name: Arc<str>,
    pub(super) policy: Arc<str>,
    pub(super) grants: BTreeSet<Grant>,
    pub(super) single_use: bool,
}

/// What one policy answered, or how it failed.
#[derive(Clone, Debug)]
pub(super) struct Heard<'a, A> {
    pub(super) voice: &'a Voice,
    pub(super) answer: Arc<Result<Explained<A>, CallError>>,
}

impl Voice {
    fn may(&self, grant: Grant) -> bool {
        self.grants.contains(&grant)
    }

    fn how_to_grant(&self, grant: Grant) -> String {
        format!("add grants = [\"{}\"] to policies.slots.{}", grant.as_str(), self.policy)
    }
}

impl<A> Heard<'_, A> {
    fn verdict(&self) -> Option<&Explained<A>> {
        self.answer.as_ref().as_ref().ok()
    }

    fn undecided(&self) -> Option<Undecided> {
        let error = self.answer.as_ref().as_ref().err()?;
        Some(Undecided { slot: self.voice.name.clone(), error: error.to_string() })
    }

    fn reason(&self, verdict: &'static str) -> Reason {
        let (reason, trace) = match self.verdict() {
            Some(explained) => (explained.reason.clone(), explained.trace.clone()),
            None => ("".into(), [].into()),
        };
        Reason { slot: self.voice.name.clone(), verdict, reason, trace }
    }

    fn text(&self) -> String {
        self.verdict().map(|explained| explained.reason.to_string()).unwrap_or_default()
    }
}

fn first_failure<A>(heard: &[Heard<'_, A>]) -> Option<Undecided> {
    heard.iter().find_map(Heard::undecided)
}

/// The first answer in file order owns the names; aliases of all are united; any failure leaves it undecided, since a
/// later policy or the classic name in the place of the failed one would let other clients' jobs in.
pub(super) fn naming(heard: &[Heard<'_, NamingAnswer>]) -> Result<Names, Undecided> {
    if let Some(failure) = first_failure(heard) {
        return Err(failure);
    }
    let mut names = Names::default();
    for voice in heard {
        let Some(explained) = voice.verdict() else { continue };
        let answer = &explained.answer;
        if answer.names.is_some() || !answer.aliases.is_empty() {
            names.reasons.push(voice.reason(if answer.names.is_some() { "names" } else { "aliases" }));
        }
        if names.names.is_none() && answer.names.is_some() {
            names.names = answer.names.as_ref().map(|list| without_repeats(list));
            names.owner = Some(voice.voice.name.clone());
        }
        names.aliases.extend(answer.aliases.iter().cloned());
    }
    names.aliases = without_repeats(&names.aliases);
    Ok(names)
}

fn without_repeats(names: &[BuildFunction]) -> Vec<BuildFunction> {
    names.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// Any veto wins, a failure elsewhere or not; then any failure leaves it undecided; then the atoms of all are united
/// and the expression is evaluated over them and `own`, the atoms that the node satisfies by its labels. Only atoms of
/// policies with the grant `widen` can turn no match into a match.
pub(super) fn matching(
    classic: bool,
    expression: Option<&Expression>,
    own: BTreeSet<String>,
    heard: &[Heard<'_, MatchingAnswer>],
) -> Result<Matched, Undecided> {
    if heard.is_empty() {
        return Ok(Matched { matched: classic, atoms: own, ..Matched::default() });
    }
    let mut all = own.clone();
    let mut granted = own.clone();
    let mut ungranted = None;
    let mut matched = Matched { matched: classic, ..Matched::default() };
    for voice in heard {
        match voice.verdict().map(|explained| &explained.answer) {
            Some(MatchingAnswer::Veto) => {
                let reason = voice.reason("veto");
                matched.reasons.push(reason.clone());
                matched.veto.get_or_insert(reason);
            }
            Some(MatchingAnswer::Satisfies(atoms)) if !atoms.is_subset(&own) => {
                matched.reasons.push(voice.reason("satisfies"));
                all.extend(atoms.iter().cloned());
                if voice.voice.may(Grant::Widen) {
                    granted.extend(atoms.iter().cloned());
                } else {
                    ungranted.get_or_insert(voice);
                }
            }
            _ => {}
        }
    }
    if matched.veto.is_some() {
        return Ok(Matched { matched: false, atoms: own, ..matched });
    }
    if let Some(failure) = first_failure(heard) {
        return Err(failure);
    }
    let Some(expression) = expression.filter(|_| all.len() > own.len()) else {
        return Ok(Matched { atoms: own, ..matched });
    };
    let holds_over = |atoms: &BTreeSet<String>| expression.evaluate(|atom| atoms.contains(atom));
    // Where the node's labels are not why Jenkins says no, no atom makes it a yes.
    if !classic && holds_over(&own) {
        return Ok(Matched { atoms: own, ..matched });
    }
    let holds = holds_over(&all);
    if classic || !holds {
        return Ok(Matched { matched: holds, atoms: all, ..matched });
    }
    if holds_over(&granted) {
        return Ok(Matched { matched: true, widened: true, atoms: all, ..matched });
    }
    let clamped = ungranted.map(|voice| Reason {
        verdict: "clamped",
        reason: format!("{}; to let it widen, {}", voice.text(), voice.voice.how_to_grant(Grant::Widen)).into(),
        ..voice.reason("clamped")
    });
    Ok(Matched { matched: false, atoms: own, clamped, ..matched })
}

/// Reject before failure before drop before set before allow. Two different values of one name are a rejection, since
/// neither policy can be right. Names that no rule mentions pass unless some answer is closed.
pub(super) fn parameters(requested: &Parameters, project: &Project, heard: &[Heard<'_, ParametersAnswer>]) -> Filtered {
    let rejects = |voice: &&Heard<'_, ParametersAnswer>| matches!(voice.verdict(), Some(explained) if explained.answer == ParametersAnswer::Reject);
    if let Some(voice) = heard.iter().find(rejects) {
        return Filtered::Rejected { slot: voice.voice.name.clone(), reason: voice.text() };
    }
    if let Some(Undecided { slot, error }) = first_failure(heard) {
        return Filtered::Failed { slot, reason: format!("the policy failed: {error}") };
    }
    let mut rules: BTreeMap<&str, Rule<'_>> = BTreeMap::new();
    let mut closed = None;
    let mut reasons = Vec::new();
    for voice in heard {
        let Some(Explained { answer: ParametersAnswer::Rules { named, closed: is_closed }, .. }) = voice.verdict()
        else {
            continue;
        };
        reasons.push(voice.reason(if *is_closed { "closed" } else { "open" }));
        if *is_closed {
            closed.get_or_insert(voice);
        }
        for (name, decision) in named {
            let rule = rules.entry(name).or_default();
            match decision {
                Decision::Allow => rule.allowed = true,
                Decision::Drop => rule.dropped = rule.dropped.or(Some(voice)),
                Decision::Set(value) => rule.set.push((voice, value)),
            }
        }
    }
    if let Some(refusal) = rules.iter().find_map(|(name, rule)| rule.refusal(name, project, requested)) {
        return refusal;
    }
    apply(requested, &rules, closed, reasons)
}

#[derive(Default)]
struct Rule<'a> {
    allowed: bool,
    dropped: Option<&'a Heard<'a, ParametersAnswer>>,
    set: Vec<(&'a Heard<'a, ParametersAnswer>, &'a str)>,
}

impl Rule<'_> {
    /// Returns why a rule ends the job: a value that may not be set, or two values.
    fn refusal(&self, name: &str, project: &Project, requested: &Parameters) -> Option<Filtered> {
        if self.dropped.is_some() {
            return None;
        }
        let (first, value) = self.set.first()?;
        let slot = first.voice.name.clone();
        if let Some((voice, _)) = self.set.iter().find(|(voice, _)| !voice.voice.may(Grant::Rewrite)) {
            let how = voice.voice.how_to_grant(Grant::Rewrite);
            let slot = voice.voice.name.clone();
            return Some(Filtered::Failed { slot, reason: format!("it sets {name} and may not: {how}") });
        }
        // While it is not known what the project declares, only what the client sent is known to exist.
        let known = project.parameter(name).is_some() || project.parameters.is_none() && requested.contains(name);
        if !known {
            return Some(Filtered::Failed {
                slot,
                reason: format!("it sets {name}, which the project does not declare"),
            });
        }
        let (other, _) = self.set.iter().find(|(_, other)| other != value)?;
        let reason = format!("{} and {} set {name} to different values", first.voice.name, other.voice.name);
        Some(Filtered::Rejected { slot, reason })
    }
}

fn apply(
    requested: &Parameters,
    rules: &BTreeMap<&str, Rule<'_>>,
    closed: Option<&Heard<'_, ParametersAnswer>>,
    reasons: Vec<Reason>,
) -> Filtered {
    let mut parameters = Parameters::new();
    let mut dropped = Vec::new();
    let mut set = Vec::new();
    for (name, value) in requested.iter() {
        let rule = rules.get(name);
        if let Some(voice) = rule.and_then(|rule| rule.dropped) {
            dropped.push((name.to_owned(), format!("{}: {}", voice.voice.name, voice.text())));
        } else if let Some((voice, value)) = rule.and_then(|rule| rule.set.first()) {
            parameters.set(name, Some((*value).to_owned()));
            set.push((name.to_owned(), voice.voice.name.clone()));
        } else if let Some(voice) = closed.filter(|_| !rule.is_some_and(|rule| rule.allowed)) {
            dropped.push((name.to_owned(), format!("{}: not allowed; {}", voice.voice.name, voice.text())));
        } else {
            parameters.set(name, value.map(str::to_owned));
        }
    }
    for (name, rule) in rules.iter().filter(|(name, rule)| !requested.contains(name) && rule.dropped.is_none()) {
        if let Some((voice, value)) = rule.set.first() {
            parameters.set(*name, Some((*value).to_owned()));
            set.push(((*name).to_owned(), voice.voice.name.clone()));
        }
    }
    Filtered::Pass { parameters, dropped, set, reasons }
}

/// Any reserve wins, and a single-use policy that fails reserves. Sharing against the client's wish needs `veto`. It is
/// for a single use as soon as one of those that reserve is bound so.
pub(super) fn build_started(client_asks_offline: bool, heard: &[Heard<'_, StartAnswer>]) -> Start {
    let mut start = Start::Classic;
    let mut reserve = None;
    for voice in heard {
        let slot = voice.voice.name.clone();
        let single_use = voice.voice.single_use;
        match voice.verdict().map(|explained| explained.answer) {
            Some(StartAnswer::Reserve) => prefer_single_use(&mut reserve, single_use, (slot, voice.text())),
            Some(StartAnswer::Share)
                if start == Start::Classic && (!client_asks_offline || voice.voice.may(Grant::Veto)) =>
            {
                start = Start::Share { slot, reason: voice.text() };
            }
            _ => {}
        }
    }
    if let Some(failure) = single_use_failure(heard) {
        prefer_single_use(&mut reserve, true, failure);
    }
    match reserve {
        Some((single_use, (slot, reason))) => Start::Reserve { slot, reason, single_use },
        None => start,
    }
}

/// Held before offline before online; a single-use policy that fails takes the node offline. Staying online against
/// the client's wish needs `veto`. It is for a single use as soon as one of those that take the node is bound so.
pub(super) fn build_ended(client_asks_offline: bool, heard: &[Heard<'_, EndAnswer>]) -> End {
    let (mut held, mut offline, mut online) = (None, None, None);
    for voice in heard {
        let slot = voice.voice.name.clone();
        let single_use = voice.voice.single_use;
        let reason = voice.text();
        match voice.verdict().map(|explained| &explained.answer) {
            Some(EndAnswer::Held(message)) => {
                prefer_single_use(&mut held, single_use, (slot, message.clone(), reason));
            }
            Some(EndAnswer::Offline(message)) => {
                prefer_single_use(&mut offline, single_use, (slot, message.clone(), reason));
            }
            Some(EndAnswer::Online) if !client_asks_offline || voice.voice.may(Grant::Veto) => {
                online.get_or_insert(End::Online { slot, reason });
            }
            _ => {}
        }
    }
    if let Some((slot, reason)) = single_use_failure(heard) {
        prefer_single_use(&mut offline, true, (slot, reason.clone(), reason));
    }
    let is_exempt = |taken: &Option<(bool, _)>| taken.as_ref().is_some_and(|(single_use, _)| *single_use);
    let single_use = is_exempt(&held) || is_exempt(&offline);
    match (held, offline) {
        (Some((_, (slot, message, reason))), _) => End::Held { slot, message, reason, single_use },
        (None, Some((_, (slot, message, reason)))) => End::Offline { slot, message, reason, single_use },
        (None, None) => online.unwrap_or(End::Classic),
    }
}

/// Takes the first that is bound as single-use, else the first.
fn prefer_single_use<T>(taken: &mut Option<(bool, T)>, single_use: bool, by: T) {
    if taken.as_ref().is_none_or(|(known, _)| single_use && !known) {
        *taken = Some((single_use, by));
    }
}

fn single_use_failure<A>(heard: &[Heard<'_, A>]) -> Option<(Arc<str>, String)> {
    let failed = heard.iter().filter(|voice| voice.voice.single_use).find_map(Heard::undecided)?;
    let reason = format!("policy {} failed, and the node is for a single use", failed.slot);
    Some((failed.slot, reason))
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
