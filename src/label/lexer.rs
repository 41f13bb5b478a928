//! Cuts the text of an expression into tokens, always taking the longest one.
//!
//! Blanks are space and tab alone: a line break is part of an atom, as in Jenkins.

use super::parser::ParseError;
use super::quoting::unquote;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    And,
    Or,
    Not,
    Implies,
    Iff,
    Open,
    Close,
    /// A bare word, or what stood in double quotes.
    Atom(String),
}

/// Returns the tokens of `text`, each with the byte position where it starts.
pub(super) fn tokens(text: &str) -> Result<Vec<(usize, Token)>, ParseError> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        if matches!(first, ' ' | '\t') {
            at += 1;
            continue;
        }
        let (length, token) = token(&text[at..]).map_err(|reason| ParseError::new(text, at, reason))?;
        tokens.push((at, token));
        at += length;
    }
    Ok(tokens)
}

/// Reads the token at the start of `rest`, which starts with neither blank nor end.
fn token(rest: &str) -> Result<(usize, Token), &'static str> {
    let fixed = [
        ("<->", Token::Iff),
        ("->", Token::Implies),
        ("&&", Token::And),
        ("||", Token::Or),
        ("!", Token::Not),
        ("(", Token::Open),
        (")", Token::Close),
    ];
    if let Some((word, token)) = fixed.into_iter().find(|(word, _)| rest.starts_with(word)) {
        return Ok((word.len(), token));
    }
    if rest.starts_with('"') {
        let length = quoted_length(rest)?;
        let name = unquote(&rest[..length]).ok_or("this quote is never closed")?;
        return Ok((length, Token::Atom(name)));
    }
    match atom_length(rest) {
        0 => Err(match rest.as_bytes()[0] {
            b'&' => "a single & means nothing, && is and",
            b'|' => "a single | means nothing, || is or",
            b'\'' => "a label with a single quote has to stand in double quotes",
            _ => "this belongs to no operator, -> and <-> are the arrows",
        }),
        length => Ok((length, Token::Atom(rest[..length].to_owned()))),
    }
}

/// Returns the length of the bare word at the start of `rest`; a hyphen before `>` is the start of an arrow.
fn atom_length(rest: &str) -> usize {
    let mut characters = rest.char_indices().peekable();
    while let Some((at, c)) = characters.next() {
        let ends = match c {
            '-' => matches!(characters.peek(), Some((_, '>'))),
            c => "&|!<>() \t\"'".contains(c),
        };
        if ends {
            return at;
        }
    }
    rest.len()
}

/// Returns the length of the quoted string at the start of `rest`, its quotes included.
fn quoted_length(rest: &str) -> Result<usize, &'static str> {
    let mut characters = rest.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return Ok(at + 1),
            '\\' => match characters.next() {
                Some((_, 'b' | 't' | 'n' | 'f' | 'r' | '"' | '\'' | '\\')) => {}
                Some(_) => return Err("this quoted label has an escape other than \\b \\t \\n \\f \\r \\\" \\' \\\\"),
                None => break,
            },
            '\r' | '\n' => return Err("this quoted label has a line break, which has to be written as \\n"),
            _ => {}
        }
    }
    Err("this quote is never closed")
}
