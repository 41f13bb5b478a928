//! Random verdicts of several policies: whatever they say, the decision is about what was asked, goes no further than what
//! was granted, and does not depend on who was asked first.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::domain::DeclaredParameter;
use crate::policy::samples;

const SENT: [&str; 3] = ["A", "B", "SECRET"];
const DECLARED: [&str; 3] = ["A", "C", "D"];
/// What policies speak of: what was sent, what is declared, and what is neither.
const SPOKEN_OF: [&str; 6] = ["A", "B", "C", "D", "EVIL", "../x"];

fn voices() -> impl Strategy<Value = Vec<Voice>> {
    let grants = prop::sample::subsequence(vec![Grant::Widen, Grant::Rewrite, Grant::Veto], 0..=3);
    prop::collection::vec((grants, any::<bool>()), 3).prop_map(|rights| {
        let voice = |(index, (grants, single_use)): (usize, (Vec<Grant>, bool))| {
            let name: Arc<str> = format!("v{index}").into();
            Voice { policy: name.clone(), name, grants: grants.into_iter().collect(), single_use }
        };
        rights.into_iter().enumerate().map(voice).collect()
    })
}

fn said<A: Clone + std::fmt::Debug>(
    answer: impl Strategy<Value = A>,
) -> impl Strategy<Value = Vec<Result<A, CallError>>> {
    prop::collection::vec(prop_oneof![9 => answer.prop_map(Ok), 1 => Just(Err(CallError::Fuel))], 0..=3)
}

fn heard<'a, A: Clone>(voices: &'a [Voice], said: &[Result<A, CallError>]) -> Vec<Heard<'a, A>> {
    let heard = |(voice, said): (&'a Voice, &Result<A, CallError>)| {
        let answer = said.clone().map(|answer| Explained::new(answer, "because", vec![]));
        Heard { voice, answer: Arc::new(answer) }
    };
    voices.iter().zip(said).map(heard).collect()
}

fn backwards<'a, A>(heard: &[Heard<'a, A>]) -> Vec<Heard<'a, A>> {
    heard.iter().rev().map(|one| Heard { voice: one.voice, answer: Arc::clone(&one.answer) }).collect()
}

fn decision() -> impl Strategy<Value = Decision> {
    prop_oneof![
        Just(Decision::Allow),
        Just(Decision::Drop),
        prop::sample::select(vec!["x", "y"]).prop_map(|value| Decision::Set(value.to_owned())),
    ]
}

fn filtering() -> impl Strategy<Value = ParametersAnswer> {
    let rule = (prop::sample::select(SPOKEN_OF.to_vec()).prop_map(str::to_owned), decision());
    let rules = (prop::collection::vec(rule, 0..5), any::<bool>())
        .prop_map(|(named, closed)| ParametersAnswer::Rules { named, closed });
    prop_oneof![1 => Just(ParametersAnswer::Abstain), 1 => Just(ParametersAnswer::Reject), 8 => rules]
}

fn name() -> impl Strategy<Value = BuildFunction> {
    let part = || prop::sample::select(vec!["lint", "other", "stop:ci", "(built-in)", "a:b"]);
    (part(), prop::option::of(part())).prop_map(|(project, label)| BuildFunction::new(project, label))
}

fn naming_answer() -> impl Strategy<Value = NamingAnswer> {
    let names = || prop::collection::vec(name(), 0..3);
    (prop::option::of(names()), names()).prop_map(|(names, aliases)| NamingAnswer { names, aliases })
}

fn ending() -> impl Strategy<Value = EndAnswer> {
    prop_oneof![
        Just(EndAnswer::Abstain),
        Just(EndAnswer::Online),
        Just(EndAnswer::Offline("off".into())),
        Just(EndAnswer::Held("held".into())),
    ]
}

fn starting() -> impl Strategy<Value = StartAnswer> {
    prop::sample::select(vec![StartAnswer::Abstain, StartAnswer::Share, StartAnswer::Reserve])
}

/// What passes, by name; or how it ended, without who ended it.
fn outcome(filtered: &Filtered) -> Result<BTreeMap<String, Option<String>>, &'static str> {
    match filtered {
        Filtered::Pass { parameters, .. } => {
            Ok(parameters.iter().map(|(name, value)| (name.to_owned(), value.map(str::to_owned))).collect())
        }
        Filtered::Rejected { .. } => Err("rejected"),
        Filtered::Failed { .. } => Err("failed"),
    }
}

proptest! {
    #[test]
    fn only_parameters_that_were_sent_or_are_declared_reach_a_build(
        voices in voices(),
        said in said(filtering()),
        knows_declared: bool,
    ) {
        let mut project = samples::project("lint");
        let declare = |name: &&str| DeclaredParameter { name: (*name).into(), kind: "StringParameterDefinition".into() };
        project.parameters = knows_declared.then(|| DECLARED.iter().map(declare).collect());
        let requested: Parameters = SENT.map(|name| (name, "sent")).into_iter().collect();
        let heard = heard(&voices, &said);
        let found = parameters(&requested, &project, &heard);
        prop_assert_eq!(outcome(&found), outcome(&parameters(&requested, &project, &backwards(&heard))));
        if said.iter().any(|said| matches!(said, Ok(ParametersAnswer::Reject))) {
            prop_assert_eq!(outcome(&found), Err("rejected"));
        } else if said.iter().any(Result::is_err) {
            prop_assert_eq!(outcome(&found), Err("failed"));
        }
        let rules_of = |name: &str| -> Vec<(&Voice, Decision)> {
            let rules = heard.iter().filter_map(|one| match one.verdict()?.answer.clone() {
                ParametersAnswer::Rules { named, .. } => Some((one.voice, named)),
                ParametersAnswer::Abstain | ParametersAnswer::Reject => None,
            });
            rules.flat_map(|(voice, named)| named.into_iter().map(move |(of, rule)| (voice, of, rule)))
                .filter(|(_, of, _)| of == name)
                .map(|(voice, _, rule)| (voice, rule))
                .collect()
        };
        for (name, value) in outcome(&found).unwrap_or_default() {
            prop_assert!(SENT.contains(&name.as_str()) || knows_declared && DECLARED.contains(&name.as_str()), "{}", name);
            let rules = rules_of(&name);
            prop_assert!(!rules.iter().any(|(_, rule)| *rule == Decision::Drop), "{} was dropped", name);
            if value.as_deref() != Some("sent") {
                let set = |(voice, rule): &(&Voice, Decision)| {
                    voice.may(Grant::Rewrite) && *rule == Decision::Set(value.clone().unwrap_or_default())
                };
                prop_assert!(rules.iter().any(set), "nobody who may set {} set it to {:?}", name, value);
            }
        }
    }

    #[test]
    fn names_come_from_who_gave_them_and_only_the_owner_depends_on_the_order(
        voices in voices(),
        said in said(naming_answer()),
    ) {
        let heard = heard(&voices, &said);
        let (found, reversed) = (naming(&heard), naming(&backwards(&heard)));
        prop_assert_eq!(found.is_ok(), said.iter().all(Result::is_ok));
        prop_assert_eq!(reversed.is_ok(), found.is_ok());
        let (Ok(found), Ok(reversed)) = (found, reversed) else { return Ok(()) };
        let given: BTreeSet<&BuildFunction> = said.iter().flatten().flat_map(|answer| &answer.aliases).collect();
        prop_assert_eq!(found.aliases.iter().collect::<BTreeSet<_>>(), given);
        prop_assert_eq!(&reversed.aliases, &found.aliases);
        let owner = said.iter().flatten().find_map(|answer| answer.names.as_ref());
        prop_assert_eq!(found.names.is_some(), owner.is_some());
        let owned: BTreeSet<&BuildFunction> = owner.into_iter().flatten().collect();
        prop_assert_eq!(found.names.iter().flatten().collect::<BTreeSet<_>>(), owned);
        for name in found.names.iter().flatten().chain(&found.aliases) {
            prop_assert!(name.to_string().starts_with("build:"));
        }
    }

    #[test]
    fn what_becomes_of_a_node_does_not_depend_on_the_order(
        voices in voices(),
        start in said(starting()),
        end in said(ending()),
        client_asks_offline: bool,
    ) {
        let of_start = |heard: &[Heard<'_, StartAnswer>]| std::mem::discriminant(&build_started(client_asks_offline, heard));
        let of_end = |heard: &[Heard<'_, EndAnswer>]| std::mem::discriminant(&build_ended(client_asks_offline, heard));
        let (start, end) = (heard(&voices, &start), heard(&voices, &end));
        prop_assert_eq!(of_start(&start), of_start(&backwards(&start)));
        prop_assert_eq!(of_end(&end), of_end(&backwards(&end)));
        let may_veto = |answers: bool, voice: &Voice| answers && voice.may(Grant::Veto);
        if client_asks_offline && matches!(build_ended(true, &end), End::Online { .. }) {
            let says_online = |one: &Heard<'_, EndAnswer>| one.verdict().is_some_and(|told| told.answer == EndAnswer::Online);
            prop_assert!(end.iter().any(|one| may_veto(says_online(one), one.voice)));
        }
    }

    #[test]
    fn a_match_is_about_the_atoms_of_its_expression(
        voices in voices(),
        own in prop::sample::subsequence(vec!["a", "b", "c"], 0..=3),
        said in said(prop_oneof![
            Just(MatchingAnswer::Abstain),
            Just(MatchingAnswer::Veto),
            prop::sample::subsequence(vec!["a", "b", "c"], 0..=3)
                .prop_map(|atoms| MatchingAnswer::Satisfies(atoms.into_iter().map(str::to_owned).collect())),
        ]),
    ) {
        let expression = Expression::lookup("a && (b || !c)");
        let own: BTreeSet<String> = own.into_iter().map(str::to_owned).collect();
        let classic = expression.evaluate(|atom| own.contains(atom));
        let heard = heard(&voices, &said);
        let Ok(found) = matching(classic, Some(&expression), own.clone(), &heard) else { return Ok(()) };
        let asked: BTreeSet<String> = expression.atoms().into_iter().map(str::to_owned).collect();
        prop_assert!(found.atoms.is_superset(&own) && found.atoms.is_subset(&asked));
        prop_assert!(!found.matched || expression.evaluate(|atom| found.atoms.contains(atom)));
    }
}
