use std::collections::BTreeSet;

use super::*;

#[track_caller]
fn check(changes: &[Change], expected: &[&str]) {
    let told: Vec<String> = changes.iter().map(|change| format!("{}: {change}", change.would.as_str())).collect();
    assert_eq!(told, expected);
}

fn undecided() -> Undecided {
    Undecided { slot: "p".into(), error: "it trapped".into() }
}

fn list(names: &[&str]) -> Vec<BuildFunction> {
    names.iter().map(|&name| BuildFunction::new(name, None)).collect()
}

#[test]
fn names_and_aliases() {
    let names = |names: Option<&[&str]>, aliases: &[&str]| {
        Ok(Names { names: names.map(list), aliases: list(aliases), ..Names::default() })
    };
    let labelled = Ok(Names { aliases: vec![BuildFunction::new("x", Some("gpu"))], ..Names::default() });
    for (without, with, expected) in [
        (names(None, &[]), names(None, &[]), &[][..]),
        (names(None, &[]), names(Some(&["a", "b"]), &[]), &["name: named it a, b"]),
        (names(Some(&["a"]), &[]), names(Some(&["b"]), &["c"]), &["name: named it b", "alias: offered it also as c"]),
        (names(None, &[]), names(Some(&[]), &[]), &["name: named it nothing"]),
        (names(None, &["a"]), labelled, &["alias: offered it also as x:gpu"]),
        (names(Some(&["a"]), &[]), Err(undecided()), &["fail: failed it"]),
        (Err(undecided()), Err(undecided()), &[]),
    ] {
        check(&naming(&without, &with), expected);
    }
}

#[test]
fn matches_and_vetoes() {
    let matched = |matched: bool, atoms: &[&str]| {
        let atoms: BTreeSet<String> = atoms.iter().map(|&atom| atom.to_owned()).collect();
        Ok(Matched { matched, atoms, ..Matched::default() })
    };
    for (without, with, expected) in [
        (matched(true, &["a"]), matched(true, &["a"]), &[][..]),
        (matched(true, &["a"]), matched(false, &["a"]), &["veto: vetoed it"]),
        (matched(false, &[]), matched(true, &["a"]), &["match: made it a match"]),
        (matched(true, &["a"]), matched(true, &["a", "b", "c"]), &["satisfy: let it satisfy b, c"]),
        (matched(false, &[]), matched(false, &["a"]), &[]),
        (matched(false, &[]), Err(undecided()), &["fail: failed it"]),
        (Err(undecided()), matched(false, &[]), &["veto: vetoed it"]),
        (Err(undecided()), Err(undecided()), &[]),
    ] {
        check(&matching(&without, &with), expected);
    }
}

#[test]
fn parameters_are_told_by_name_and_never_by_value() {
    let pass = |parameters: &[(&str, &str)], set: &[&str]| Filtered::Pass {
        parameters: parameters.iter().copied().collect(),
        dropped: vec![],
        set: set.iter().map(|&name| (name.to_owned(), "p".into())).collect(),
        reasons: vec![],
    };
    let rejected = || Filtered::Rejected { slot: "p".into(), reason: "hunter2".into() };
    let failed = || Filtered::Failed { slot: "p".into(), reason: "it trapped".into() };
    let sent = pass(&[("A", "hunter2"), ("B", "2")], &[]);
    for (without, with, expected) in [
        (sent.clone(), sent.clone(), &[][..]),
        (sent.clone(), pass(&[("B", "2")], &[]), &["drop: dropped A"]),
        (sent.clone(), pass(&[("A", "other"), ("B", "2"), ("C", "3")], &["A", "C"]), &["set: set A, C"]),
        (pass(&[], &[]), pass(&[("A", "hunter2")], &[]), &["pass: let through A"]),
        (sent.clone(), pass(&[("A", "x")], &["A"]), &["drop: dropped B", "set: set A"]),
        (sent.clone(), rejected(), &["reject: rejected it"]),
        (failed(), rejected(), &["reject: rejected it"]),
        (sent.clone(), failed(), &["fail: failed it"]),
        (rejected(), rejected(), &[]),
        (rejected(), failed(), &[]),
        (failed(), failed(), &[]),
        (failed(), sent, &[]),
    ] {
        check(&parameters(&without, &with), expected);
    }
    let many: Vec<String> = (0..9).map(|number| format!("P{number}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "")).collect();
    check(&parameters(&pass(&many, &[]), &pass(&[], &[])), &["drop: dropped P0, P1, P2, P3, P4 and 4 more"]);
}

#[test]
fn what_becomes_of_the_node() {
    let (slot, reason): (Arc<str>, _) = ("p".into(), String::new());
    let share = Start::Share { slot: slot.clone(), reason: reason.clone() };
    let reserve = |slot: &str| Start::Reserve { slot: slot.into(), reason: String::new(), single_use: false };
    check(&build_started(&Start::Classic, &share), &["share: shared the node"]);
    check(&build_started(&share, &reserve("p")), &["reserve: reserved the node"]);
    // Another policy does it already.
    check(&build_started(&reserve("q"), &reserve("p")), &[]);
    check(&build_started(&Start::Classic, &Start::Classic), &[]);
    let message = "out of order".to_owned();
    let offline =
        End::Offline { slot: slot.clone(), message: message.clone(), reason: reason.clone(), single_use: false };
    let held = End::Held { slot: slot.clone(), message, reason: reason.clone(), single_use: false };
    check(&build_ended(&End::Classic, &offline), &["offline: taken the node offline"]);
    check(&build_ended(&offline, &held), &["hold: held the node"]);
    check(&build_ended(&End::Classic, &End::Online { slot, reason }), &["online: kept the node online"]);
    check(&build_ended(&held, &held), &[]);
}

#[test]
fn every_change_has_a_word_of_its_own_at_its_hook() {
    let all: Vec<&str> = Hook::ALL.into_iter().flat_map(Would::of).map(|would| would.as_str()).collect();
    for hook in Hook::ALL {
        let words: BTreeSet<&str> = Would::of(hook).iter().map(|would| would.as_str()).collect();
        assert_eq!(words.len(), Would::of(hook).len(), "{hook}");
    }
    // `fail` is at three hooks.
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len() - 2);
}
