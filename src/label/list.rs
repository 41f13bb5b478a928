//! The text in which a node's labels are configured: words between white space, quoted where they contain some.

/// Splits a node's label list into labels, in their order and with repetitions.
///
/// Both kinds of quotes group; a backslash escapes a quote, a space or a backslash within a label and stands for itself
/// before anything else. A quote that is never closed reaches to the end.
pub fn split_list(list: &str) -> Vec<String> {
    let mut labels = Vec::new();
    let mut rest = list.chars().peekable();
    loop {
        while rest.next_if(|c| is_blank(*c)).is_some() {}
        if rest.peek().is_none() {
            return labels;
        }
        labels.extend(take_label(&mut rest));
    }
}

/// Takes one label; none if all that is left is a single quote character.
fn take_label(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> Option<String> {
    let mut label = String::new();
    let mut quote = None;
    let mut escaped = false;
    let mut at_start = true;
    let mut anything = false;
    while let Some(c) = rest.next_if(|c| quote.is_some() || escaped || !is_blank(*c)) {
        // Jenkins opens a quote before it has noticed a label, and takes a backslash in front as it stands.
        let starts_quote = !escaped && quote.is_none() && matches!(c, '"' | '\'');
        anything |= !(at_start && starts_quote);
        if escaped {
            if !matches!(c, '\\' | '"' | '\'' | ' ') {
                label.push('\\');
            }
            label.push(c);
            escaped = false;
        } else if starts_quote {
            quote = Some(c);
        } else if quote == Some(c) {
            quote = None;
        } else if c == '\\' && !at_start {
            escaped = true;
        } else {
            label.push(c);
        }
        at_start = false;
    }
    anything.then_some(label)
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_split_at_white_space_outside_quotes() {
        let table: [(&str, &[&str]); 12] = [
            ("", &[]),
            (" \t\n", &[]),
            ("one two three", &["one", "two", "three"]),
            ("  one\ttwo\r\nthree ", &["one", "two", "three"]),
            (r#"one "two words" three"#, &["one", "two words", "three"]),
            ("one 'two \"words\"' three", &["one", "two \"words\"", "three"]),
            (r#"a"b c"d"#, &["ab cd"]),
            (r#""" x"#, &["", "x"]),
            (r"a\ b a\w \\srv", &["a b", r"a\w", r"\\srv"]),
            (r#""never closed"#, &["never closed"]),
            ("x '", &["x"]),
            ("a||b one", &["a||b", "one"]),
        ];
        for (list, labels) in table {
            assert_eq!(split_list(list), labels, "{list:?}");
        }
    }
}
