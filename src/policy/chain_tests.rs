use super::*;
use crate::domain::DeclaredParameter;
use crate::policy::samples;

fn voice(name: &str, grants: &[Grant]) -> Voice {
    Voice { name: name.into(), policy: name.into(), grants: grants.iter().copied().collect(), single_use: false }
}

fn says<A>(voice: &Voice, answer: A) -> Heard<'_, A> {
    Heard { voice, answer: Arc::new(Ok(Explained::new(answer, "because", vec![]))) }
}

fn fails<A>(voice: &Voice) -> Heard<'_, A> {
    Heard { voice, answer: Arc::new(Err(CallError::Fuel)) }
}

fn names(names: &[&str]) -> Vec<BuildFunction> {
    names.iter().map(|&name| BuildFunction::new(name, None)).collect()
}

fn set(atoms: &[&str]) -> BTreeSet<String> {
    atoms.iter().map(|&atom| atom.to_owned()).collect()
}

/// Every order of up to three.
fn orders<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    let mut orders = vec![vec![]];
    for item in items {
        orders = orders
            .into_iter()
            .flat_map(|order| {
                (0..=order.len()).map(move |at| {
                    let mut order: Vec<T> = order.clone();
                    order.insert(at, item.clone());
                    order
                })
            })
            .collect();
    }
    orders
}

#[test]
fn the_first_answer_owns_the_names_and_aliases_of_all_are_united() {
    let (a, b, c) = (voice("a", &[]), voice("b", &[]), voice("c", &[]));
    let answer =
        |own: Option<&[&str]>, aliases: &[&str]| NamingAnswer { names: own.map(names), aliases: names(aliases) };
    let heard = [
        says(&a, answer(None, &["z"])),
        says(&b, answer(Some(&["y", "x"]), &["z"])),
        says(&c, answer(Some(&["w"]), &["v"])),
    ];
    let found = naming(&heard).unwrap();
    assert_eq!(found.names, Some(names(&["x", "y"])));
    assert_eq!(found.owner.as_deref(), Some("b"));
    assert_eq!(found.aliases, names(&["v", "z"]));
    assert_eq!(naming(&[]).unwrap(), Names::default());
    assert_eq!(naming(&[says(&a, answer(Some(&[]), &[]))]).unwrap().names, Some(vec![]));
}

#[test]
fn a_failing_name_giver_leaves_the_names_undecided_wherever_it_stands() {
    let (a, b) = (voice("a", &[]), voice("b", &[]));
    let answer = NamingAnswer { names: Some(names(&["x"])), aliases: vec![] };
    for heard in orders(&[says(&a, answer), fails(&b)]) {
        assert_eq!(&*naming(&heard).unwrap_err().slot, "b");
    }
}

#[test]
fn matching_is_composed_as_the_table_says() {
    use MatchingAnswer::{Abstain, Satisfies, Veto};
    let both = Expression::lookup("gpu && linux");
    let either = Expression::lookup("gpu || linux");
    let neither = Expression::lookup("linux && !gpu");
    let widening = voice("wide", &[Grant::Widen]);
    let plain = voice("plain", &[]);
    let gpu = || Satisfies(set(&["gpu"]));
    // expression, classic, answers -> matched, widened, clamped
    type Case<'a> = (&'a Expression, bool, Vec<Heard<'a, MatchingAnswer>>, (bool, bool, bool));
    let cases: Vec<Case<'_>> = vec![
        (&both, false, vec![], (false, false, false)),
        (&both, false, vec![says(&plain, Abstain)], (false, false, false)),
        (&both, true, vec![says(&plain, Abstain)], (true, false, false)),
        (&both, true, vec![says(&plain, Veto)], (false, false, false)),
        (&both, false, vec![says(&widening, gpu())], (true, true, false)),
        (&both, false, vec![says(&plain, gpu())], (false, false, true)),
        (&both, false, vec![says(&plain, gpu()), says(&widening, gpu())], (true, true, false)),
        (&both, false, vec![says(&widening, gpu()), says(&plain, Veto)], (false, false, false)),
        (&both, false, vec![says(&widening, Satisfies(set(&[])))], (false, false, false)),
        (&either, true, vec![says(&plain, gpu())], (true, false, false)),
        (&either, false, vec![says(&widening, gpu())], (false, false, false)),
        (&neither, true, vec![says(&plain, gpu())], (false, false, false)),
        (&both, true, vec![fails(&plain), says(&widening, Veto)], (false, false, false)),
    ];
    for (expression, classic, heard, expected) in cases {
        for heard in orders(&heard) {
            let found = matching(classic, Some(expression), set(&["linux"]), &heard).unwrap();
            assert_eq!((found.matched, found.widened, found.clamped.is_some()), expected, "{expression} {heard:?}");
        }
    }
}

#[test]
fn a_match_names_the_atoms_that_hold_and_a_clamp_says_how_to_grant() {
    let both = Expression::lookup("gpu && linux");
    let (widening, plain) = (voice("wide", &[Grant::Widen]), voice("plain", &[]));
    let gpu = || MatchingAnswer::Satisfies(set(&["gpu"]));
    let found = matching(false, Some(&both), set(&["linux"]), &[says(&widening, gpu())]).unwrap();
    assert_eq!(found.atoms, set(&["gpu", "linux"]));
    let found = matching(false, Some(&both), set(&["linux"]), &[says(&plain, gpu())]).unwrap();
    assert_eq!(found.atoms, set(&["linux"]));
    assert!(found.clamped.unwrap().reason.contains(r#"add grants = ["widen"] to policies.slots.plain"#));
    let found = matching(true, None, set(&[]), &[says(&plain, MatchingAnswer::Veto)]).unwrap();
    assert_eq!(found.veto.unwrap().slot.as_ref(), "plain");
}

#[test]
fn a_failing_matcher_leaves_the_match_undecided() {
    let (a, b) = (voice("a", &[Grant::Widen]), voice("b", &[]));
    for heard in orders(&[says(&a, MatchingAnswer::Satisfies(set(&["x"]))), fails(&b)]) {
        assert_eq!(&*matching(true, Some(&Expression::lookup("x")), set(&[]), &heard).unwrap_err().slot, "b");
    }
}

fn rules(named: &[(&str, Decision)], closed: bool) -> ParametersAnswer {
    let named = named.iter().map(|(name, decision)| ((*name).to_owned(), decision.clone())).collect();
    ParametersAnswer::Rules { named, closed }
}

/// What passes, as text; or how it ended.
fn filtered(heard: &[Heard<'_, ParametersAnswer>]) -> String {
    let mut project = samples::project("lint");
    let declare = |name: &str| DeclaredParameter { name: name.into(), kind: "StringParameterDefinition".into() };
    project.parameters = Some(vec![declare("A"), declare("B"), declare("NEW")]);
    let requested: Parameters = [("A", "1"), ("B", "2"), ("C", "3")].into_iter().collect();
    match parameters(&requested, &project, heard) {
        Filtered::Pass { parameters, .. } => {
            let shown = parameters.iter().map(|(name, value)| format!("{name}={}", value.unwrap_or("-")));
            shown.collect::<Vec<_>>().join(" ")
        }
        Filtered::Rejected { .. } => "rejected".into(),
        Filtered::Failed { .. } => "failed".into(),
    }
}

#[test]
fn parameters_are_composed_as_the_table_says() {
    use Decision::{Allow, Drop, Set};
    let (a, b) = (voice("a", &[Grant::Rewrite]), voice("b", &[Grant::Rewrite]));
    let plain = voice("plain", &[]);
    let one = |name, decision| rules(&[(name, decision)], false);
    let cases: Vec<(Vec<Heard<'_, ParametersAnswer>>, &str)> = vec![
        (vec![], "A=1 B=2 C=3"),
        (vec![says(&a, ParametersAnswer::Abstain)], "A=1 B=2 C=3"),
        (vec![says(&a, one("A", Drop))], "B=2 C=3"),
        (vec![says(&a, one("A", Drop)), says(&b, one("A", Allow))], "B=2 C=3"),
        (vec![says(&a, one("A", Drop)), says(&b, one("A", Set("x".into())))], "B=2 C=3"),
        (vec![says(&a, one("A", Allow)), says(&b, one("A", Set("x".into())))], "A=x B=2 C=3"),
        (vec![says(&a, one("A", Set("x".into()))), says(&b, one("A", Set("x".into())))], "A=x B=2 C=3"),
        (vec![says(&a, one("A", Set("x".into()))), says(&b, one("A", Set("y".into())))], "rejected"),
        (vec![says(&a, rules(&[("A", Allow)], true))], "A=1"),
        (vec![says(&a, rules(&[("A", Allow)], true)), says(&plain, one("C", Allow))], "A=1 C=3"),
        (vec![says(&a, rules(&[("A", Allow)], true)), says(&b, one("B", Set("x".into())))], "A=1 B=x"),
        (vec![says(&a, rules(&[], true)), says(&b, rules(&[("A", Allow)], true))], "A=1"),
        (vec![says(&a, one("NEW", Set("x".into())))], "A=1 B=2 C=3 NEW=x"),
        (vec![says(&a, one("NEW", Set("x".into()))), says(&b, one("NEW", Drop))], "A=1 B=2 C=3"),
        (vec![says(&a, one("NEW", Allow))], "A=1 B=2 C=3"),
        (vec![says(&a, one("UNDECLARED", Set("x".into())))], "failed"),
        (vec![says(&plain, one("A", Set("x".into())))], "failed"),
        (vec![fails(&plain), says(&a, one("A", Allow))], "failed"),
        (vec![fails(&plain), says(&a, ParametersAnswer::Reject)], "rejected"),
        (vec![says(&a, one("A", Drop)), says(&b, ParametersAnswer::Reject)], "rejected"),
    ];
    for (heard, expected) in cases {
        for heard in orders(&heard) {
            assert_eq!(filtered(&heard), expected, "{heard:?}");
        }
    }
}

#[test]
fn a_conflict_over_a_value_names_both_policies_and_neither_value() {
    let (a, b) = (voice("a", &[Grant::Rewrite]), voice("b", &[Grant::Rewrite]));
    let set = |value: &str| rules(&[("A", Decision::Set(value.into()))], false);
    let mut project = samples::project("lint");
    project.parameters = None;
    let requested = [("A", "1")].into_iter().collect();
    let found = parameters(&requested, &project, &[says(&a, set("topsecret")), says(&b, set("other"))]);
    let Filtered::Rejected { reason, .. } = found else { panic!("{found:?}") };
    assert_eq!(reason, "a and b set A to different values");
}

#[test]
fn the_start_of_a_build_is_composed_as_the_table_says() {
    use StartAnswer::{Abstain, Reserve, Share};
    let (a, vetoing) = (voice("a", &[]), voice("v", &[Grant::Veto]));
    let single = Voice { single_use: true, ..voice("s", &[]) };
    let cases: Vec<(bool, Vec<Heard<'_, StartAnswer>>, &str)> = vec![
        (false, vec![], "classic"),
        (false, vec![says(&a, Abstain)], "classic"),
        (false, vec![says(&a, Share)], "share"),
        (true, vec![says(&a, Share)], "classic"),
        (true, vec![says(&vetoing, Share)], "share"),
        (false, vec![says(&a, Share), says(&vetoing, Reserve)], "reserve"),
        (false, vec![fails(&a)], "classic"),
        (false, vec![fails(&single), says(&a, Share)], "reserve for a single use"),
        (false, vec![fails(&single), says(&a, Reserve)], "reserve for a single use"),
        (false, vec![says(&single, Reserve), says(&a, Reserve)], "reserve for a single use"),
    ];
    for (client, heard, expected) in cases {
        for heard in orders(&heard) {
            let found = match build_started(client, &heard) {
                Start::Classic => "classic",
                Start::Share { .. } => "share",
                Start::Reserve { single_use: false, .. } => "reserve",
                Start::Reserve { single_use: true, .. } => "reserve for a single use",
            };
            assert_eq!(found, expected, "{client} {heard:?}");
        }
    }
}

#[test]
fn the_end_of_a_build_is_composed_as_the_table_says() {
    use EndAnswer::{Abstain, Held, Offline, Online};
    let (a, vetoing) = (voice("a", &[]), voice("v", &[Grant::Veto]));
    let single = Voice { single_use: true, ..voice("s", &[]) };
    let cases: Vec<(bool, Vec<Heard<'_, EndAnswer>>, &str)> = vec![
        (true, vec![], "classic"),
        (true, vec![says(&a, Abstain)], "classic"),
        (false, vec![says(&a, Online)], "online"),
        (true, vec![says(&a, Online)], "classic"),
        (true, vec![says(&vetoing, Online)], "online"),
        (false, vec![says(&a, Offline("x".into())), says(&vetoing, Online)], "offline x"),
        (false, vec![says(&a, Offline("x".into())), says(&vetoing, Held("y".into()))], "held y"),
        (false, vec![fails(&a)], "classic"),
        (false, vec![fails(&a), says(&vetoing, Online)], "online"),
        (
            false,
            vec![fails(&single), says(&vetoing, Online)],
            "offline policy s failed, and the node is for a single use, exempt",
        ),
        (false, vec![fails(&single), says(&a, Held("y".into()))], "held y, exempt"),
        (false, vec![says(&single, Offline("x".into())), says(&a, Held("y".into()))], "held y, exempt"),
        (false, vec![says(&single, Offline("x".into())), says(&a, Offline("x".into()))], "offline x, exempt"),
        (false, vec![says(&single, Online), says(&a, Offline("x".into()))], "offline x"),
    ];
    let exempt = |single_use| if single_use { ", exempt" } else { "" };
    for (client, heard, expected) in cases {
        for heard in orders(&heard) {
            let found = match build_ended(client, &heard) {
                End::Classic => "classic".to_owned(),
                End::Online { .. } => "online".to_owned(),
                End::Offline { message, single_use, .. } => format!("offline {message}{}", exempt(single_use)),
                End::Held { message, single_use, .. } => format!("held {message}{}", exempt(single_use)),
            };
            assert_eq!(found, expected, "{client} {heard:?}");
        }
    }
}

proptest::proptest! {
    #[test]
    fn nothing_is_ever_wider_than_granted(
        classic: bool,
        own in 0_u8..8,
        answers in proptest::collection::vec((0_u8..4, 0_u8..8, proptest::bool::ANY), 0..4),
        expression in "[abc]( (&&|\\|\\|) !?[abc]){0,3}",
    ) {
        let atoms = |bits: u8| -> BTreeSet<String> {
            ["a", "b", "c"].into_iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, a)| a.to_owned()).collect()
        };
        let voices: Vec<Voice> =
            answers.iter().map(|(_, _, widen)| voice("v", if *widen { &[Grant::Widen] } else { &[] })).collect();
        let heard: Vec<_> = voices.iter().zip(&answers).map(|(voice, (kind, bits, _))| match kind {
            0 => says(voice, MatchingAnswer::Abstain),
            1 => says(voice, MatchingAnswer::Veto),
            2 => fails(voice),
            _ => says(voice, MatchingAnswer::Satisfies(atoms(*bits))),
        }).collect();
        let expression = Expression::lookup(&expression);
        let forwards = matching(classic, Some(&expression), atoms(own), &heard);
        if let Ok(found) = &forwards {
            let vetoed = answers.iter().any(|(kind, _, _)| *kind == 1);
            let may_widen = answers.iter().any(|(kind, _, widen)| *kind == 3 && *widen);
            proptest::prop_assert!(!(vetoed && found.matched));
            proptest::prop_assert!(classic || may_widen || !found.matched);
            proptest::prop_assert_eq!(found.widened, found.matched && !classic);
        }
        let backwards = matching(classic, Some(&expression), atoms(own), &heard.into_iter().rev().collect::<Vec<_>>());
        let decision = |found: Result<Matched, Undecided>| found.map(|found| (found.matched, found.atoms)).ok();
        proptest::prop_assert_eq!(decision(forwards), decision(backwards));
    }
}
