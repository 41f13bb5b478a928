//! Builds an expression from tokens, by Jenkins' grammar:
//!
//! ```text
//! expr := iff end
//! iff  := impl ( '<->' impl )*
//! impl := or ( '->' or )?             not chainable
//! or   := and ( '||' and )*
//! and  := not ( '&&' not )*
//! not  := prim | '!' prim             '!!a' is an error
//! prim := '(' iff ')' | atom
//! ```
//!
//! Chains are kept flat, so only parentheses nest, and these are counted.

use std::fmt;

use super::expression::Term;
use super::lexer::{Token, tokens};

/// More nesting than any person writes, and far less than a stack holds.
const DEEPEST_NESTING: usize = 200;

/// Why a text is no label expression; prints the text with the spot underlined.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Where in the text, in bytes.
    pub position: usize,
    /// What is wrong there.
    pub reason: &'static str,
    /// What surrounds the spot, on one line.
    before: String,
    after: String,
}

impl ParseError {
    pub(super) fn new(text: &str, position: usize, reason: &'static str) -> Self {
        // A window, so that the message for a hostile text stays short.
        const WIDEST: usize = 60;
        let printable = |c: char| if c.is_control() { '\u{fffd}' } else { c };
        let (before, after) = text.split_at(position);
        let skipped = before.chars().count().saturating_sub(WIDEST);
        Self {
            position,
            reason,
            before: before.chars().skip(skipped).map(printable).collect(),
            after: after.chars().take(WIDEST).map(printable).collect(),
        }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { position, reason, before, after } = self;
        writeln!(f, "cannot read label expression at byte {position}: {reason}")?;
        writeln!(f, "  {before}{after}")?;
        write!(f, "  {:width$}^", "", width = before.chars().count())
    }
}

impl std::error::Error for ParseError {}

pub(super) fn parse(text: &str) -> Result<Term, ParseError> {
    let mut parser = Parser { text, tokens: tokens(text)?.into_iter().peekable(), nesting: 0 };
    let term = parser.iff()?;
    match parser.tokens.peek() {
        None => Ok(term),
        Some((_, Token::Implies)) => Err(parser.error("-> cannot be chained, use parentheses")),
        Some((_, Token::Close)) => Err(parser.error("nothing is open that this could close")),
        Some(_) => {
            Err(parser.error("expected an operator or the end; a label with blanks has to stand in double quotes"))
        }
    }
}

struct Parser<'a> {
    text: &'a str,
    tokens: std::iter::Peekable<std::vec::IntoIter<(usize, Token)>>,
    nesting: usize,
}

impl Parser<'_> {
    fn iff(&mut self) -> Result<Term, ParseError> {
        self.chain(&Token::Iff, Self::implies, Term::Iff)
    }

    fn implies(&mut self) -> Result<Term, ParseError> {
        let left = self.or()?;
        if !self.take(&Token::Implies) {
            return Ok(left);
        }
        Ok(Term::Implies(Box::new(left), Box::new(self.or()?)))
    }

    fn or(&mut self) -> Result<Term, ParseError> {
        self.chain(&Token::Or, Self::and, Term::Or)
    }

    fn and(&mut self) -> Result<Term, ParseError> {
        self.chain(&Token::And, Self::not, Term::And)
    }

    fn not(&mut self) -> Result<Term, ParseError> {
        if self.take(&Token::Not) {
            return Ok(Term::Not(Box::new(self.primary()?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Result<Term, ParseError> {
        match self.tokens.peek() {
            Some((_, Token::Atom(_))) => match self.tokens.next() {
                Some((_, Token::Atom(name))) => Ok(Term::Atom(name)),
                _ => Err(self.error("expected a label")),
            },
            Some((_, Token::Open)) => self.parentheses(),
            Some((_, Token::Not)) => Err(self.error("! cannot be chained, use parentheses")),
            Some(_) => Err(self.error("expected a label, ! or (")),
            None => Err(self.error("expected a label, ! or ( instead of the end")),
        }
    }

    fn parentheses(&mut self) -> Result<Term, ParseError> {
        if self.nesting == DEEPEST_NESTING {
            return Err(self.error("too many parentheses within each other"));
        }
        self.nesting += 1;
        self.tokens.next();
        let inner = self.iff()?;
        if !self.take(&Token::Close) {
            return Err(self.error("expected an operator or )"));
        }
        self.nesting -= 1;
        Ok(Term::Parentheses(Box::new(inner)))
    }

    /// Reads `link`s joined by an operator; a single one stands for itself.
    fn chain(
        &mut self,
        operator: &Token,
        link: fn(&mut Self) -> Result<Term, ParseError>,
        join: fn(Vec<Term>) -> Term,
    ) -> Result<Term, ParseError> {
        let first = link(self)?;
        if self.tokens.peek().is_none_or(|(_, next)| next != operator) {
            return Ok(first);
        }
        let mut links = vec![first];
        while self.take(operator) {
            links.push(link(self)?);
        }
        Ok(join(links))
    }

    fn take(&mut self, wanted: &Token) -> bool {
        self.tokens.next_if(|(_, token)| token == wanted).is_some()
    }

    /// Returns an error at the next token, or at the end.
    fn error(&mut self, reason: &'static str) -> ParseError {
        let position = self.tokens.peek().map_or(self.text.len(), |(at, _)| *at);
        ParseError::new(self.text, position, reason)
    }
}
