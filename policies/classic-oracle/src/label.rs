//! Jenkins' label expressions, read by descent through the operators from the loosest to the tightest:
//! `<->`, `->`, `||`, `&&`, `!`. A text that is no expression is one atom, as Jenkins has it.
//!
//! Layshaft's tests take this file in by itself, and hold it against its own reader.

use alloc::{boxed::Box, string::String};

/// A label expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Label {
    Atom(String),
    Not(Box<Self>),
    Two(Operator, Box<(Self, Self)>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    Iff,
    Implies,
    Or,
    And,
}

/// From the loosest to the tightest.
const OPERATORS: [(Operator, &str); 4] =
    [(Operator::Iff, "<->"), (Operator::Implies, "->"), (Operator::Or, "||"), (Operator::And, "&&")];

/// Nobody nests deeper, and a guest's stack is small.
const DEEPEST: usize = 200;

impl Label {
    /// Reads an expression, or takes the text as one atom.
    pub fn read(text: &str) -> Self {
        Self::parse(text).unwrap_or_else(|| Self::Atom(text.into()))
    }

    /// Reads an expression; none if the text is not one.
    pub fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader { rest: text, depth: 0 };
        let label = reader.level(0)?;
        reader.rest.trim_start_matches(BLANK).is_empty().then_some(label)
    }

    /// Returns whether it holds where `carried` says which atoms do.
    pub fn holds(&self, carried: &dyn Fn(&str) -> bool) -> bool {
        match self {
            Self::Atom(atom) => carried(atom),
            Self::Not(inner) => !inner.holds(carried),
            Self::Two(operator, sides) => {
                let (left, right) = (sides.0.holds(carried), sides.1.holds(carried));
                match operator {
                    Operator::Iff => left == right,
                    Operator::Implies => !left || right,
                    Operator::Or => left || right,
                    Operator::And => left && right,
                }
            }
        }
    }

    /// Calls `see` with every atom, from left to right.
    pub fn each_atom(&self, see: &mut dyn FnMut(&str)) {
        match self {
            Self::Atom(atom) => see(atom),
            Self::Not(inner) => inner.each_atom(see),
            Self::Two(_, sides) => {
                sides.0.each_atom(see);
                sides.1.each_atom(see);
            }
        }
    }
}

const BLANK: [char; 2] = [' ', '\t'];

struct Reader<'a> {
    rest: &'a str,
    depth: usize,
}

impl Reader<'_> {
    /// Reads operands joined by the operator of a level, from left to right.
    fn level(&mut self, level: usize) -> Option<Label> {
        let Some((operator, sign)) = OPERATORS.get(level) else { return self.operand() };
        let mut left = self.level(level + 1)?;
        while self.take(sign) {
            let right = self.level(level + 1)?;
            left = Label::Two(*operator, Box::new((left, right)));
            // `a->b->c` could mean two things, and means none.
            if *operator == Operator::Implies {
                break;
            }
        }
        Some(left)
    }

    fn operand(&mut self) -> Option<Label> {
        if self.take("!") {
            return Some(Label::Not(Box::new(self.primary()?)));
        }
        self.primary()
    }

    fn primary(&mut self) -> Option<Label> {
        if self.take("(") {
            self.depth += 1;
            let inner = if self.depth > DEEPEST { None } else { self.level(0) }?;
            self.depth -= 1;
            return self.take(")").then_some(inner);
        }
        if self.take("\"") {
            return self.quoted();
        }
        let mut length = 0;
        for (at, c) in self.rest.char_indices() {
            let ends = "&|!<>()\"' \t".contains(c) || self.rest[at..].starts_with("->");
            if ends {
                break;
            }
            length = at + c.len_utf8();
        }
        let (atom, rest) = self.rest.split_at(length);
        self.rest = rest;
        (!atom.is_empty()).then(|| Label::Atom(atom.into()))
    }

    /// Reads what stands behind an opening quotation mark.
    fn quoted(&mut self) -> Option<Label> {
        let mut text = String::new();
        let mut letters = self.rest.char_indices();
        while let Some((at, c)) = letters.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Some(Label::Atom(text));
                }
                '\\' => text.push(match letters.next()?.1 {
                    'b' => '\u{8}',
                    't' => '\t',
                    'n' => '\n',
                    'f' => '\u{c}',
                    'r' => '\r',
                    escaped @ ('"' | '\'' | '\\') => escaped,
                    _ => return None,
                }),
                '\r' | '\n' => return None,
                _ => text.push(c),
            }
        }
        None
    }

    fn take(&mut self, sign: &str) -> bool {
        let rest = self.rest.trim_start_matches(BLANK);
        // Blanks before an atom count for nothing either.
        self.rest = rest;
        match rest.strip_prefix(sign) {
            Some(behind) => {
                self.rest = behind;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(label: &Label) -> String {
        match label {
            Label::Atom(atom) => alloc::format!("[{atom}]"),
            Label::Not(inner) => alloc::format!("!{}", shown(inner)),
            Label::Two(operator, sides) => {
                let sign = OPERATORS.iter().find(|(known, _)| known == operator).unwrap().1;
                alloc::format!("({}{sign}{})", shown(&sides.0), shown(&sides.1))
            }
        }
    }

    #[test]
    fn operators_bind_as_jenkins_binds_them() {
        for (text, expected) in [
            ("a", "[a]"),
            ("a-b.c", "[a-b.c]"),
            ("a&&b||c", "(([a]&&[b])||[c])"),
            ("a||b&&c", "([a]||([b]&&[c]))"),
            ("a->b->c", "[a->b->c]"),
            ("a->b<->c||d", "(([a]->[b])<->([c]||[d]))"),
            (" ! ( a || b ) ", "!([a]||[b])"),
            ("\"big iron\" && !x", "([big iron]&&![x])"),
            ("\"a\\\"b\"", "[a\"b]"),
            ("a b", "[a b]"),
            ("!!a", "[!!a]"),
            ("(a", "[(a]"),
            ("", "[]"),
        ] {
            assert_eq!(shown(&Label::read(text)), expected, "{text}");
        }
    }
}
