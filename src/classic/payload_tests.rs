use proptest::prelude::*;

use super::*;

/// Shows what a payload reads as: `name=value` pairs, a null value as `name=∅`.
fn shown(payload: &[u8]) -> Result<String, PayloadError> {
    let parameters = read(payload)?;
    Ok(parameters.iter().map(|(name, value)| format!("{name}={}", value.unwrap_or("∅"))).collect::<Vec<_>>().join("|"))
}

#[test]
fn what_the_plugin_takes_is_taken_as_there() {
    let table = [
        ("{}", ""),
        (" { } ", ""),
        (r#"{"b":"2","a":"1"}"#, "b=2|a=1"),
        ("{param1:red, param2:white}", "param1=red|param2=white"),
        ("{'a':'it\"s', \"b\":\"it's\"}", "a=it\"s|b=it's"),
        ("{a=1;b=>2, c => 3}", "a=1|b=2|c=3"),
        ("# first\n{a:1, // second\r /* third\n */ b:2} /* last */", "a=1|b=2"),
        ("\u{feff}{a:1}", "a=1"),
        (")]}'\n{a:1}", "a=1"),
        (" \n)]}'\n{a:1}", "a=1"),
        ("{a:1, b:1.0, c:1e3, d:-0}", "a=1|b=1.0|c=1e3|d=-0"),
        ("{a:12345678901234567890, b:012, c:NaN}", "a=12345678901234567890|b=012|c=NaN"),
        ("{a:true, b:false, c:TRUE, d:\"True\"}", "a=true|b=false|c=true|d=True"),
        ("{a:null, b:NULL, c:\"null\", d:nullable}", "a=∅|b=∅|c=null|d=nullable"),
        ("{null:1, true:2}", "null=1|true=2"),
        ("{a:null, b:1, a:2}", "a=2|b=1"),
        (r#"{"a":"x\n\t\/\\\"\'\u00e9\ud83d\ude00\ud83d!"}"#, "a=x\n\t/\\\"'é😀\u{fffd}!"),
        (r#"{"a":"\ud83d\u0041"}"#, "a=\u{fffd}A"),
        ("{\"a\":\"line\nbreak\\\nand\0\"}", "a=line\nbreak\nand\0"),
        ("{größe:日本, \"\":\"\"}", "größe=日本|="),
        ("{a:it's}", "a=it's"),
        ("[]", ""),
        (r#"[["k","v"]]"#, "k=v"),
        (r#"[["k";"v"],['x',1] , [y , ]]"#, "k=v|x=1|y=∅"),
    ];
    for (payload, expected) in table {
        assert_eq!(shown(payload.as_bytes()).as_deref(), Ok(expected), "{payload}");
    }
    assert_eq!(shown(b"{a:\"\xff\"}").as_deref(), Ok("a=\u{fffd}"));
}

#[test]
fn an_empty_payload_is_no_map_rather_than_an_empty_one() {
    for payload in ["", " \t\r\n", "null", " Null ", "null and more", "// nothing", ")]}'\n", "\u{feff}"] {
        assert_eq!(read(payload.as_bytes()), Err(PayloadError::Null), "{payload:?}");
    }
}

#[test]
fn what_the_plugin_refuses_is_refused_at_the_spot() {
    let table = [
        ("{a:{}}", (1, 4), "a value cannot be an object or an array"),
        ("{a:[1]}", (1, 4), "a value cannot be an object or an array"),
        ("{a:1,}", (1, 6), "expected a parameter's name"),
        ("{,}", (1, 2), "expected a parameter's name"),
        ("{a}", (1, 3), "expected : after a parameter's name"),
        ("{a:}", (1, 4), "expected a value"),
        ("{a:,b:1}", (1, 4), "expected a value"),
        ("{a:1} x", (1, 7), "there is more after the end of the object"),
        ("{a:1}{", (1, 6), "there is more after the end of the object"),
        ("{a:\n two words}", (2, 6), "expected , or } after a value; a value with blanks has to stand in quotes"),
        ("{a:http://x}", (1, 8), "expected , or } after a value; a value with blanks has to stand in quotes"),
        ("{a:1", (1, 5), "expected , or } after a value; a value with blanks has to stand in quotes"),
        ("{", (1, 2), "expected a parameter's name"),
        ("{\"a", (1, 2), "this quote is never closed"),
        ("{a:'x\\", (1, 7), "unknown escape sequence"),
        (r#"{a:"\x"}"#, (1, 6), "unknown escape sequence"),
        (r#"{a:"\u12"}"#, (1, 7), "\\u needs four hexadecimal digits"),
        (r#"{a:"\u+123"}"#, (1, 7), "\\u needs four hexadecimal digits"),
        ("{a:1 /* x}", (1, 6), "this comment is never closed"),
        ("\"text\"", (1, 7), "expected an object"),
        ("7", (1, 2), "expected an object"),
        ("true", (1, 5), "expected an object"),
        ("]", (1, 1), "expected a value"),
        ("[1]", (1, 2), "expected a pair of name and value in square brackets"),
        ("[[\"k\",\"v\"],]", (1, 12), "expected a pair of name and value in square brackets"),
        ("[[]]", (1, 3), "expected a value"),
        ("[[k]]", (1, 4), "expected , and a value"),
        ("[[null,v]]", (1, 7), "a parameter's name cannot be null"),
        ("[[k,v,w]]", (1, 6), "expected ] after the pair"),
        ("[[k,v]", (1, 7), "expected , or ] after a pair"),
        ("{a:\x0c1}", (1, 4), "expected a value"),
    ];
    for (payload, (line, column), reason) in table {
        assert_eq!(read(payload.as_bytes()), Err(PayloadError::Syntax { line, column, reason }), "{payload}");
    }
    for payload in ["{a:1,\"a\":2}", "{a:1,a:null}", "[[a,1],[a,2]]"] {
        assert_eq!(read(payload.as_bytes()), Err(PayloadError::Duplicate { name: "a".into() }), "{payload}");
    }
}

#[test]
fn payloads_out_of_all_proportion_are_refused_quickly() {
    assert_eq!(read(&vec![b' '; LONGEST + 1]), Err(PayloadError::TooLong { length: LONGEST + 1 }));
    let many = |count: usize| format!("{{{}}}", (0..count).map(|i| format!("p{i}:{i}")).collect::<Vec<_>>().join(","));
    assert_eq!(read(many(MOST_PARAMETERS).as_bytes()).unwrap().len(), MOST_PARAMETERS);
    assert_eq!(read(many(MOST_PARAMETERS + 1).as_bytes()), Err(PayloadError::TooMany));
    for opening in ["[", "{a:", "{\"a\":["] {
        assert!(read(opening.repeat(1_000_000).as_bytes()).is_err());
    }
}

#[test]
fn no_error_shows_a_value() {
    for payload in [r#"{"token":"hunter2" x}"#, r#"{"token":"hunter2","token":"hunter3"}"#, "{token:hunter2 x}"] {
        let message = read(payload.as_bytes()).unwrap_err().to_string();
        assert!(!message.contains("hunter"), "{message}");
    }
}

proptest! {
    #[test]
    fn strict_json_of_strings_reads_as_it_was_written(pairs in prop::collection::btree_map(any::<String>(), any::<Option<String>>(), 0..8)) {
        let json = serde_json::to_vec(&pairs).unwrap();
        let mut expected = Parameters::new();
        for (name, value) in pairs {
            expected.set(name, value);
        }
        prop_assert_eq!(read(&json), Ok(expected));
    }

    #[test]
    fn no_payload_panics(payload in "[{}\\[\\]:,;=>\"'\\\\/*#u0dnaé \n-]{0,60}") {
        let _ = read(payload.as_bytes()).map_err(|error| error.to_string());
    }

    #[test]
    fn no_bytes_panic(payload in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&payload).map_err(|error| error.to_string());
    }
}
