//! The reader of label expressions against one that was written apart from it, that of `policies/classic-oracle`.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::Expression;
use oracle::Label;

#[path = "../../policies/classic-oracle/src/label.rs"]
#[allow(dead_code, unreachable_pub, reason = "it is the public room of another crate")]
mod oracle;

/// An expression as people write it: parentheses only where they are needed, and now and then where they are not.
fn written() -> impl Strategy<Value = String> {
    let atom = prop_oneof![
        4 => prop::sample::select(vec!["a", "b-", "é.x", "x_1"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["\"c d\"", "\"a&&b\"", "\"q\\\"q\""]).prop_map(str::to_owned),
    ];
    // The number says how loosely it binds.
    let leaf = atom.prop_map(|text| (0_u8, text));
    let tree = leaf.prop_recursive(4, 24, 2, |inner| {
        (0_u8..6, inner.clone(), inner, any::<bool>()).prop_map(|(kind, left, right, spaced)| {
            let within = |(looseness, text): &(u8, String), most: u8| {
                if *looseness > most { format!("({text})") } else { text.clone() }
            };
            let blank = if spaced { " " } else { "" };
            let two = |sign: &str, level: u8, left_most: u8| {
                let (left, right) = (within(&left, left_most), within(&right, level - 1));
                (level, format!("{left} {sign}{blank}{right}"))
            };
            match kind {
                0 => (1, format!("!{blank}{}", within(&left, 0))),
                1 => two("&&", 2, 2),
                2 => two("||", 3, 3),
                3 => two("->", 4, 3),
                4 => two("<->", 5, 5),
                _ => (0, format!("({blank}{})", left.1)),
            }
        })
    });
    tree.prop_map(|(_, text)| text)
}

/// Anything made of what expressions are made of.
fn soup() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "a", "b-", "-", "->", "<->", "<", ">", "||", "|", "&&", "&", "!", "(", ")", "\"", "\"c d\"", "'", "\\", " ",
        "\t", "\n", "é", "*",
    ]);
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let (ours, theirs) = (Expression::parse(text), Label::parse(text));
    prop_assert_eq!(ours.is_ok(), theirs.is_some(), "{:?}: {:?}", text, &ours);
    let (Ok(ours), Some(theirs)) = (ours, theirs) else { return Ok(()) };
    let mut atoms = BTreeSet::new();
    theirs.each_atom(&mut |atom| {
        atoms.insert(atom.to_owned());
    });
    prop_assert_eq!(ours.atoms(), atoms.iter().map(String::as_str).collect());
    let atoms: Vec<String> = atoms.into_iter().take(8).collect();
    for carried in 0_u32..1 << atoms.len() {
        let carries =
            |atom: &str| atoms.iter().position(|known| known == atom).is_some_and(|at| carried >> at & 1 == 1);
        prop_assert_eq!(ours.evaluate(carries), theirs.holds(&carries), "{:?}", text);
    }
    // What policies are told is read as it was meant.
    prop_assert_eq!(Expression::parse(&ours.to_string()).ok(), Some(ours));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn what_people_write_is_read_as_another_reader_reads_it(text in written()) {
        prop_assert!(Expression::parse(&text).is_ok(), "{:?}", text);
        check(&text)?;
    }

    #[test]
    fn whatever_is_written_is_read_or_refused_as_by_another_reader(text in soup()) {
        check(&text)?;
    }
}
