//! The `tree` parameter of Jenkins' API: which fields of an answer a client wants.
//!
//! `a,b[c,d]{0,5}`: names, what is wanted inside of them, and a range after the bracket. Unknown names are no error;
//! bad syntax is, and Jenkins then answers 500. Without `tree`, fields are chosen by how deep they are.

use std::collections::BTreeMap;

/// Brackets within brackets; deeper ones are an attack on the parser's stack.
const DEEPEST: usize = 64;

/// Stars within stars multiply: objects that refer to each other are rendered again and again.
const MOST_STARS: usize = 4;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    children: BTreeMap<String, Self>,
    range: Range,
}

/// Which elements of a list are wanted: from (inclusive) and until (exclusive).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: usize,
    pub(crate) until: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed tree parameter at offset {offset}: expected {expected}")]
pub(crate) struct MalformedTree {
    offset: usize,
    expected: &'static str,
}

/// What is wanted of one object.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selection<'t> {
    /// Everything whose visibility is at least this.
    Visible(i32),
    /// What the client named.
    Named(&'t Tree),
}

impl Tree {
    pub(crate) fn parse(text: &str) -> Result<Self, MalformedTree> {
        let mut parser = Parser { text, offset: 0 };
        let mut tree = Self::default();
        parser.list(&mut tree, 0, 0)?;
        if parser.offset < text.len() {
            return Err(parser.expected("the end"));
        }
        Ok(tree)
    }
}

impl<'t> Selection<'t> {
    /// Returns the selection for `depth=N` at the top of an answer.
    pub(crate) fn at_depth(depth: i32) -> Self {
        Self::Visible(1_i32.saturating_sub(depth))
    }

    /// Returns what is wanted of a field's value, or none if the field is not wanted.
    pub(crate) fn enter(self, name: &str, visibility: i32, inline: bool) -> Option<(Self, Range)> {
        match self {
            Self::Visible(least) if visibility < least => None,
            Self::Visible(least) if inline => Some((Self::Visible(least), Range::default())),
            Self::Visible(least) => Some((Self::Visible(least.saturating_add(1)), Range::default())),
            Self::Named(tree) => {
                let child = tree.children.get(name).or_else(|| tree.children.get("*"))?;
                Some((Self::Named(child), child.range))
            }
        }
    }
}

impl Default for Range {
    fn default() -> Self {
        Self { from: 0, until: usize::MAX }
    }
}

struct Parser<'a> {
    text: &'a str,
    offset: usize,
}

impl Parser<'_> {
    fn list(&mut self, tree: &mut Tree, depth: usize, stars: usize) -> Result<(), MalformedTree> {
        if depth > DEEPEST {
            return Err(self.expected("fewer brackets within brackets"));
        }
        loop {
            let name = self.name()?;
            let stars = stars + usize::from(name == "*");
            if stars > MOST_STARS {
                return Err(self.expected("fewer * within *"));
            }
            let mut child = Tree::default();
            if self.take('[') {
                self.list(&mut child, depth + 1, stars)?;
                if !self.take(']') {
                    return Err(self.expected("]"));
                }
            }
            if self.take('{') {
                child.range = self.range()?;
            }
            tree.children.insert(name, child);
            if !self.take(',') {
                return Ok(());
            }
        }
    }

    fn name(&mut self) -> Result<String, MalformedTree> {
        let rest = &self.text[self.offset..];
        let length = rest.find([',', '[', ']', '{', '}']).unwrap_or(rest.len());
        if length == 0 {
            return Err(self.expected("a name"));
        }
        self.offset += length;
        Ok(rest[..length].to_owned())
    }

    fn range(&mut self) -> Result<Range, MalformedTree> {
        let first = self.number()?;
        if self.take('}') {
            let from = first.ok_or_else(|| self.expected("a number"))?;
            return Ok(Range { from, until: from.saturating_add(1) });
        }
        if !self.take(',') {
            return Err(self.expected(","));
        }
        let until = self.number()?;
        if !self.take('}') {
            return Err(self.expected("}"));
        }
        Ok(Range { from: first.unwrap_or(0), until: until.unwrap_or(usize::MAX) })
    }

    fn number(&mut self) -> Result<Option<usize>, MalformedTree> {
        let rest = &self.text[self.offset..];
        let length = rest.find([',', '}']).unwrap_or(rest.len());
        if length == 0 {
            return Ok(None);
        }
        let number = rest[..length].parse().map_err(|_| self.expected("a number"))?;
        self.offset += length;
        Ok(Some(number))
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.text[self.offset..].starts_with(wanted);
        if found {
            self.offset += wanted.len_utf8();
        }
        found
    }

    fn expected(&self, expected: &'static str) -> MalformedTree {
        MalformedTree { offset: self.offset, expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(tree: &Tree) -> String {
        let children = tree.children.iter().map(|(name, child)| {
            let inside = if child.children.is_empty() { String::new() } else { format!("[{}]", shape(child)) };
            let range = if child.range == Range::default() {
                String::new()
            } else {
                format!("{{{},{}}}", child.range.from, child.range.until)
            };
            format!("{name}{inside}{range}")
        });
        children.collect::<Vec<_>>().join(",")
    }

    #[test]
    fn trees_are_read_with_ranges_after_the_bracket() {
        for (text, expected) in [
            ("a", "a"),
            ("a,b[c,d[e]]", "a,b[c,d[e]]"),
            ("b[number,url]{0,5}", "b[number,url]{0,5}"),
            ("b{3}", "b{3,4}"),
            ("b{,7}", "b{0,7}"),
            ("b{2,9}", "b{2,9}"),
            ("*[name]", "*[name]"),
            // A space becomes part of the name, which then matches nothing.
            ("a, b", " b,a"),
        ] {
            assert_eq!(shape(&Tree::parse(text).unwrap()), expected, "{text}");
        }
    }

    #[test]
    fn malformed_trees_are_refused() {
        let deep = "a[".repeat(100_000);
        for text in
            ["", ",", "a,", "a[", "a[b", "a]", "a[]", "b{", "b{}", "b{x}", "b{1,2", "b{0,1}[c]", "*[*[*[*[*]]]]", &deep]
        {
            assert!(Tree::parse(text).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn without_a_tree_a_field_shows_if_it_is_visible_enough() {
        let top = Selection::at_depth(0);
        assert!(top.enter("executors", 1, false).is_some());
        assert!(top.enter("allBuilds", -2, false).is_none());
        let (inside, _) = top.enter("jobs", 1, false).unwrap();
        assert!(inside.enter("description", 1, false).is_none());
        assert!(inside.enter("color", 2, false).is_some());
        let (inlined, _) = top.enter("computer", 1, true).unwrap();
        assert!(inlined.enter("displayName", 1, false).is_some());
    }
}
