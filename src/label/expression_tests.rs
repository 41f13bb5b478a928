use std::path::PathBuf;

use proptest::prelude::*;

use super::*;

/// Text, and how it prints once read.
const READABLE: &[(&str, &str)] = &[
    ("foo", "foo"),
    ("32bit.dot", "32bit.dot"),
    ("foo || bar", "foo||bar"),
    ("foo||bar&&zot", "foo||bar&&zot"),
    ("foo||(bar&&zot)", "foo||(bar&&zot)"),
    ("  ( foo || bar )  && zot", "(foo||bar)&&zot"),
    ("   foo \t\t ->   bar \t ", "foo->bar"),
    ("!foo <-> bar", "!foo<->bar"),
    ("aaa&&bbb&&ccc", "aaa&&bbb&&ccc"),
    ("!(!a)", "!(!a)"),
    ("(a->b)->c", "(a->b)->c"),
    ("a<->b<->c", "a<->b<->c"),
    ("\"a b\"&&c", "\"a b\"&&c"),
    ("a&&!b||c", "a&&!b||c"),
    ("a-->b", "a-->b"),
    ("a->-b", "a->-b"),
    ("((a))", "((a))"),
    // A line break is no blank; Jenkins quotes it once it prints it.
    ("a\nb", "\"a\\nb\""),
    (r#""a\\b\"c""#, r#""a\\b\"c""#),
    ("a*b", "\"a*b\""),
    ("\"plain\"", "plain"),
    ("\"\"", "\"\""),
    ("é||日本", "é||日本"),
];

const ATOMS: &[&str] = &["a", "abc123def", "a-b", "--a----b-c-", "--", "-", "-1", "-abc-", "solaris-x86", "32bit.dot"];

/// Text, and the byte where it stops making sense.
const UNREADABLE: &[(&str, usize)] = &[
    ("", 0),
    ("   ", 3),
    ("foo bar", 4),
    ("foo (bar)", 4),
    ("foo(bar)", 3),
    ("a <- b", 2),
    ("a -< b", 3),
    ("a - b", 2),
    ("->", 0),
    ("-<", 1),
    ("-!", 1),
    ("!!a", 1),
    ("a->b->c", 4),
    ("a&b", 1),
    ("a|b", 1),
    ("a>b", 1),
    ("it's", 2),
    ("a &&", 4),
    ("(a", 2),
    ("()", 1),
    ("a)", 1),
    ("\"abc", 0),
    ("\"a\\x\"", 0),
    ("\"a\nb\"", 0),
    ("x\"a b\"", 1),
    ("é é", 3),
];

#[test]
fn what_jenkins_reads_is_read_and_printed_as_there() {
    for (text, printed) in READABLE {
        let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(&expression.to_string(), printed, "{text:?}");
        assert_eq!(Expression::parse(printed), Ok(expression), "{text:?}");
    }
}

#[test]
fn a_hyphen_belongs_to_an_atom_unless_it_starts_an_arrow() {
    for name in ATOMS {
        assert_eq!(Expression::parse(name), Ok(Expression::atom(*name)));
    }
    for (text, left, right) in [("a-->b", "a-", "b"), ("a->-b", "a", "-b"), ("a->b", "a", "b")] {
        let implies = Term::Implies(Box::new(Term::Atom(left.into())), Box::new(Term::Atom(right.into())));
        assert_eq!(Expression::parse(text), Ok(Expression(implies)));
    }
}

#[test]
fn what_jenkins_cannot_read_is_refused_at_the_spot() {
    for (text, position) in UNREADABLE {
        let error = Expression::parse(text).expect_err(text);
        assert_eq!(error.position, *position, "{text:?}: {error}");
    }
}

#[test]
fn a_refusal_underlines_the_spot() {
    let error = Expression::parse("größe && foo bar").unwrap_err();
    expect_test::expect![[r#"
        cannot read label expression at byte 15: expected an operator or the end; a label with blanks has to stand in double quotes
          größe && foo bar
                       ^"#]]
    .assert_eq(&error.to_string());
}

#[test]
fn a_refusal_of_a_huge_or_hostile_text_stays_short_and_on_three_lines() {
    let text = format!("{}\n\x1b&{}", "x".repeat(1_000_000), "y".repeat(1_000_000));
    let shown = Expression::parse(&text).unwrap_err().to_string();
    assert!(shown.len() < 400, "{}", shown.len());
    assert_eq!(shown.lines().count(), 3);
    assert!(!shown.contains('\x1b'));
}

#[test]
fn a_lookup_never_fails() {
    let table = [
        ("linux&&gpu", "linux&&gpu"),
        ("lucene.zones.apache.org (Solaris 10)", "\"lucene.zones.apache.org (Solaris 10)\""),
        ("\"lucene.zones.apache.org (Solaris 10)\"", "\"lucene.zones.apache.org (Solaris 10)\""),
        ("abc def", "\"abc def\""),
        ("'abc def'", "\"abc def\""),
        ("\"abc\\\\\\\"def\"", "\"abc\\\\\\\"def\""),
        ("\"label1||label2\"", "\"label1||label2\""),
        // Jenkins looks at the first and the last character alone, so this matches no node there either.
        ("\"a b\"||\"c d\"", "\"a b\\\"||\\\"c d\""),
        ("\"a b\"||c", "\"a b\"||c"),
        ("", "\"\""),
        ("it's", "\"it's\""),
    ];
    for (text, printed) in table {
        assert_eq!(Expression::lookup(text).to_string(), printed, "{text:?}");
    }
    assert_eq!(Expression::lookup("\"!linux\""), Expression::atom("!linux"));
}

#[test]
fn operators_bind_and_decide_as_in_jenkins() {
    let table = [
        ("a||b&&c", "a", true),
        ("(a||b)&&c", "a", false),
        ("!a&&b", "b", true),
        ("!(a&&b)", "b", true),
        ("a->b", "", true),
        ("a->b", "a", false),
        ("a->b", "a b", true),
        ("a||b->c", "b", false),
        ("a<->b", "", true),
        ("a<->b", "b", false),
        ("a<->b<->c", "a", true),
        ("a<->b<->c", "", false),
        ("a->b<->c", "", false),
        ("\"a b\"", "a b", false),
    ];
    for (text, labels, holds) in table {
        let labels: Vec<_> = labels.split(' ').collect();
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.evaluate(|atom| labels.contains(&atom)), holds, "{text} on {labels:?}");
    }
}

#[test]
fn atoms_are_listed_whatever_operator_they_stand_under() {
    let expression = Expression::parse("b&&!a||(\"x y\"->b)<->c").unwrap();
    assert_eq!(expression.atoms().into_iter().collect::<Vec<_>>(), ["a", "b", "c", "x y"]);
}

#[test]
fn deep_nesting_is_refused_and_long_chains_are_not() {
    let nested = |depth: usize| format!("{}a{}", "!(".repeat(depth), ")".repeat(depth));
    assert!(Expression::parse(&nested(200)).is_ok());
    assert_eq!(Expression::parse(&nested(100_000)).unwrap_err().reason, "too many parentheses within each other");
    assert_eq!(Expression::lookup(&nested(201)), Expression::atom(nested(201)));

    for operator in ["&&", "||", "<->"] {
        let chain = Expression::parse(&vec!["a"; 100_000].join(operator)).unwrap();
        assert!(chain.evaluate(|_| true));
        assert_eq!(Expression::parse(&chain.to_string()), Ok(chain));
    }
}

#[test]
fn built_expressions_print_with_the_parentheses_of_jenkins() {
    let x = || Term::Atom("x".to_owned());
    let not_not = Term::Not(Box::new(Term::Not(Box::new(x()))));
    assert_eq!(not_not.to_string(), "!!x");
    assert_eq!(Term::And(vec![Term::Or(vec![x(), x()]), x()]).to_string(), "(x||x)&&x");
    assert_eq!(Term::Or(vec![Term::And(vec![x(), x()]), x()]).to_string(), "x&&x||x");
}

/// The vectors of Jenkins' own tests; skipped unless `LAYSHAFT_FIXTURES` names the folder of fixtures.
#[test]
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn the_vectors_of_jenkins_hold() {
    let Some(fixtures) = std::env::var_os("LAYSHAFT_FIXTURES") else {
        println!("skipped: LAYSHAFT_FIXTURES is not set");
        return;
    };
    let path = PathBuf::from(fixtures).join("jenkins/label-expressions/label-expression-vectors.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let rows = |name: &str| vectors[name].as_array().unwrap_or_else(|| panic!("no {name}")).clone();

    for row in rows("parse_ok") {
        assert_eq!(Expression::parse(row[1].as_str().unwrap()).unwrap().to_string(), row[0].as_str().unwrap());
    }
    for row in rows("derived_parse_ok") {
        assert!(Expression::parse(row.as_str().unwrap()).is_ok(), "{row}");
    }
    for row in rows("atoms") {
        let name = row.as_str().unwrap();
        assert_eq!(Expression::parse(name), Ok(Expression::atom(name)));
    }
    for row in rows("implies") {
        let [text, left, right] = [0, 1, 2].map(|i| row[i].as_str().unwrap().to_owned());
        let implies = Term::Implies(Box::new(Term::Atom(left)), Box::new(Term::Atom(right)));
        assert_eq!(Expression::parse(&text), Ok(Expression(implies)));
    }
    for row in rows("parse_fail").iter().chain(&rows("derived_parse_fail")) {
        assert!(Expression::parse(row.as_str().unwrap()).is_err(), "{row}");
    }
    for row in rows("lax_lookup") {
        let expression = Expression::lookup(row["getLabel"].as_str().unwrap());
        assert_eq!(expression, Expression::atom(row["name"].as_str().unwrap()), "{row}");
        if let Some(printed) = row["expression"].as_str() {
            assert_eq!(expression.to_string(), printed);
        }
    }
    for row in rows("label_string_split") {
        assert_eq!(serde_json::json!(crate::label::split_list(row[0].as_str().unwrap())), row[1]);
    }
}

proptest! {
    #[test]
    fn what_is_printed_reads_back_as_the_same_expression(term in any_iff()) {
        let expression = Expression(term);
        prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
    }

    #[test]
    fn any_atom_reads_back(name in any::<String>()) {
        let expression = Expression::atom(name);
        prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
    }

    #[test]
    fn no_text_panics(text in "[ab\"'\\\\&|!<>() \t\n-]{0,40}") {
        let _ = Expression::parse(&text).map_err(|error| error.to_string());
        let expression = Expression::lookup(&text);
        prop_assert_eq!(Expression::parse(&expression.to_string()), Ok(expression));
        crate::label::split_list(&text);
    }

    #[test]
    fn evaluation_agrees_with_a_truth_table(term in any_iff()) {
        let expression = Expression(term);
        for labels in 0_u8..8 {
            let carries = |atom: &str| ["a", "b", "c"].iter().position(|known| *known == atom).is_some_and(|bit| labels & (1 << bit) != 0);
            prop_assert_eq!(expression.evaluate(carries), naive(&expression.0, labels), "{} on {:03b}", expression, labels);
        }
    }
}

/// Evaluates pair by pair and without short cuts, on the set of `a`, `b`, `c` whose bits are set.
fn naive(term: &Term, labels: u8) -> bool {
    let pairwise = |links: &[Term], decide: fn(bool, bool) -> bool| {
        links.iter().map(|link| naive(link, labels)).reduce(decide).unwrap()
    };
    match term {
        Term::Atom(name) => match name.as_str() {
            "a" => labels & 1 == 1,
            "b" => labels & 2 == 2,
            "c" => labels & 4 == 4,
            _ => false,
        },
        Term::Parentheses(inner) => naive(inner, labels),
        Term::Not(inner) => !naive(inner, labels),
        Term::And(links) => pairwise(links, |left, right| left & right),
        Term::Or(links) => pairwise(links, |left, right| left | right),
        Term::Iff(links) => pairwise(links, |left, right| !(left ^ right)),
        Term::Implies(left, right) => !naive(left, labels) | naive(right, labels),
    }
}

/// Any expression of the grammar, over three plain atoms and some that need quotes.
fn any_iff() -> impl Strategy<Value = Term> {
    let atom = prop_oneof![
        6 => prop::sample::select(vec!["a", "b", "c"]).prop_map(str::to_owned),
        1 => prop::sample::select(vec!["x y", "it's", "a\"b", "a\\", "-", "a->b", "", "été"]).prop_map(str::to_owned),
    ];
    atom.prop_map(Term::Atom).prop_recursive(4, 48, 6, |inner| {
        let primary = prop_oneof![
            2 => inner.clone().prop_map(|term| match term {
                atom @ Term::Atom(_) => atom,
                other => Term::Parentheses(Box::new(other)),
            }),
            1 => inner.prop_map(|term| Term::Parentheses(Box::new(term))),
        ];
        let not = prop_oneof![
            3 => primary.clone(),
            1 => primary.prop_map(|term| Term::Not(Box::new(term))),
        ];
        let and = chain_of(not, Term::And);
        let or = chain_of(and, Term::Or).boxed();
        let implies = prop_oneof![
            3 => or.clone(),
            1 => (or.clone(), or).prop_map(|(left, right)| Term::Implies(Box::new(left), Box::new(right))),
        ];
        chain_of(implies, Term::Iff)
    })
}

fn chain_of(link: impl Strategy<Value = Term> + 'static, join: fn(Vec<Term>) -> Term) -> BoxedStrategy<Term> {
    let link = link.boxed();
    prop_oneof![
        2 => link.clone(),
        1 => prop::collection::vec(link, 2..4).prop_map(join),
    ]
    .boxed()
}
