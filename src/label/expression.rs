use std::collections::BTreeSet;
use std::fmt;

use super::parser::{ParseError, parse};
use super::quoting::{needs_quotes, unquote, write_quoted};

/// A label expression: which sets of labels a project accepts.
///
/// It prints as Jenkins prints it: without blanks, with the parentheses that were typed, with quotes where an atom needs
/// them. What was parsed reads back as the same expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression(Term);

/// Chains are flat, whatever their length, so that the depth is that of the parentheses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    Atom(String),
    Parentheses(Box<Self>),
    Not(Box<Self>),
    And(Vec<Self>),
    Or(Vec<Self>),
    Implies(Box<Self>, Box<Self>),
    /// From the left: `a<->b<->c` is `(a<->b)<->c`.
    Iff(Vec<Self>),
}

impl Expression {
    /// Reads an expression by the grammar alone.
    ///
    /// # Errors
    ///
    /// Says where the text leaves the grammar. Use [`Expression::lookup`] for what a project is tied to.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse(text).map(Self)
    }

    /// Reads the text that a project is tied to, as Jenkins does: never fails.
    ///
    /// A text within quotes is one atom, and so is a text that doesn't parse: `host (Solaris 10)` was a label before
    /// there was a grammar.
    pub fn lookup(text: &str) -> Self {
        if let Some(name) = unquote(text) {
            return Self::atom(name);
        }
        Self::parse(text).unwrap_or_else(|_| Self::atom(text))
    }

    /// Returns the expression that asks for one label.
    pub fn atom(name: impl Into<String>) -> Self {
        Self(Term::Atom(name.into()))
    }

    /// Returns whether the expression holds where exactly the atoms hold that are `satisfied`.
    pub fn evaluate(&self, satisfied: impl Fn(&str) -> bool) -> bool {
        self.0.evaluate(&satisfied)
    }

    /// Returns the atoms that the expression names, negated ones included.
    pub fn atoms(&self) -> BTreeSet<&str> {
        let mut atoms = BTreeSet::new();
        self.0.gather_atoms(&mut atoms);
        atoms
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Term {
    fn evaluate(&self, satisfied: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Atom(name) => satisfied(name),
            Self::Parentheses(inner) => inner.evaluate(satisfied),
            Self::Not(inner) => !inner.evaluate(satisfied),
            Self::And(links) => links.iter().all(|link| link.evaluate(satisfied)),
            Self::Or(links) => links.iter().any(|link| link.evaluate(satisfied)),
            Self::Implies(left, right) => !left.evaluate(satisfied) || right.evaluate(satisfied),
            Self::Iff(links) => links.iter().fold(true, |so_far, link| so_far == link.evaluate(satisfied)),
        }
    }

    fn gather_atoms<'a>(&'a self, atoms: &mut BTreeSet<&'a str>) {
        match self {
            Self::Atom(name) => {
                atoms.insert(name);
            }
            Self::Parentheses(inner) | Self::Not(inner) => inner.gather_atoms(atoms),
            Self::And(links) | Self::Or(links) | Self::Iff(links) => {
                links.iter().for_each(|link| link.gather_atoms(atoms));
            }
            Self::Implies(left, right) => {
                left.gather_atoms(atoms);
                right.gather_atoms(atoms);
            }
        }
    }

    /// Returns how loosely the outermost operator binds.
    fn looseness(&self) -> u8 {
        match self {
            Self::Atom(_) | Self::Parentheses(_) => 0,
            Self::Not(_) => 1,
            Self::And(_) => 2,
            Self::Or(_) => 3,
            Self::Implies(..) => 4,
            Self::Iff(_) => 5,
        }
    }

    fn fmt_chain(&self, f: &mut fmt::Formatter<'_>, links: &[Self], operator: &str) -> fmt::Result {
        for (i, link) in links.iter().enumerate() {
            if i > 0 {
                f.write_str(operator)?;
            }
            self.fmt_operand(f, link)?;
        }
        Ok(())
    }

    /// Writes an operand, in parentheses if it binds more loosely than this term.
    ///
    /// Jenkins compares no further, so that its `!!x` and `a->b->c` can't be read back. No parsed expression is either.
    fn fmt_operand(&self, f: &mut fmt::Formatter<'_>, operand: &Self) -> fmt::Result {
        if operand.looseness() > self.looseness() { write!(f, "({operand})") } else { write!(f, "{operand}") }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Atom(name) if needs_quotes(name) => write_quoted(f, name),
            Self::Atom(name) => f.write_str(name),
            Self::Parentheses(inner) => write!(f, "({inner})"),
            Self::Not(inner) => {
                f.write_str("!")?;
                self.fmt_operand(f, inner)
            }
            Self::And(links) => self.fmt_chain(f, links, "&&"),
            Self::Or(links) => self.fmt_chain(f, links, "||"),
            Self::Implies(left, right) => {
                self.fmt_operand(f, left)?;
                f.write_str("->")?;
                self.fmt_operand(f, right)
            }
            Self::Iff(links) => self.fmt_chain(f, links, "<->"),
        }
    }
}

#[cfg(test)]
#[path = "expression_tests.rs"]
mod tests;
