//! Quoting as Jenkins does it, for atoms and for whole texts.

use std::fmt::{self, Write};

/// Characters for which Jenkins quotes an atom when it prints it, and `"` and `'`, which it forgets to.
///
/// Jenkins prints `it's` bare and can't read that back; quoting it as well costs nothing and reads back.
const NEED_QUOTES: &str = "?*/\\%!@#$^&|<>[]:; ()\"'";

/// Returns whether an atom of that name has to be printed in quotes.
pub(super) fn needs_quotes(name: &str) -> bool {
    let would_be_cut = name.is_empty() || name.ends_with('.');
    // A hyphen before a `>` needs no look of its own, since the `>` is in the list.
    would_be_cut || name.chars().any(|c| c.is_control() || NEED_QUOTES.contains(c))
}

/// Writes `name` in double quotes, so that the lexer reads the same name.
pub(super) fn write_quoted(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in name.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\x0c' => f.write_str("\\f")?,
            '\x08' => f.write_str("\\b")?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

/// Returns what stands between the quotes of a text that starts and ends with the same one, escapes resolved.
pub(super) fn unquote(text: &str) -> Option<String> {
    ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote)).map(resolve_escapes)
}

fn resolve_escapes(text: &str) -> String {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            resolved.push(c);
            continue;
        }
        match rest.next() {
            Some('n') => resolved.push('\n'),
            Some('r') => resolved.push('\r'),
            Some('t') => resolved.push('\t'),
            Some('f') => resolved.push('\x0c'),
            Some('b') => resolved.push('\x08'),
            Some('u') => match code_point(rest.as_str()) {
                Some(c) => {
                    resolved.push(c);
                    rest = rest.as_str()[4..].chars();
                }
                None => resolved.push('u'),
            },
            Some(other) => resolved.push(other),
            // As in Jenkins: a lone backslash at the end escapes nothing and is gone.
            None => {}
        }
    }
    resolved
}

/// Reads the four hexadecimal digits of `\uXXXX`.
fn code_point(rest: &str) -> Option<char> {
    let digits = rest.get(..4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()))?;
    let number = u32::from_str_radix(digits, 16).ok()?;
    Some(char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_text_within_the_same_quotes_is_unquoted() {
        let table = [
            (r#""a b""#, Some("a b")),
            ("'a b'", Some("a b")),
            (r#""""#, Some("")),
            (r#""a\tb\\c\"d\qe""#, Some("a\tb\\c\"dqe")),
            (r#""\u00e9\u00e""#, Some("éu00e")),
            (r#""\ud83d""#, Some("\u{fffd}")),
            (r#""a\""#, Some("a")),
            (r#""a'"#, None),
            (r#"""#, None),
            ("a", None),
            ("", None),
        ];
        for (text, inner) in table {
            assert_eq!(unquote(text).as_deref(), inner, "{text}");
        }
    }
}
