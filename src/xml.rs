//! Just enough XML to read the `config.xml` of a project or a node: elements and their text. Pure.
//!
//! No namespaces, no document types, and no entities but the five that every document has: what a hostile document
//! could grow with is not here.

/// Elements within elements; deeper ones are an attack.
const DEEPEST: usize = 100;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    pub(crate) name: String,
    pub(crate) text: String,
    pub(crate) children: Vec<Self>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed XML at offset {offset}: {reason}")]
pub(crate) struct MalformedXml {
    offset: usize,
    reason: &'static str,
}

impl Element {
    pub(crate) fn parse(document: &str) -> Result<Self, MalformedXml> {
        let mut reader = Reader { document, offset: 0 };
        let mut open: Vec<Self> = Vec::new();
        loop {
            let text = reader.until('<')?;
            if let Some(element) = open.last_mut() {
                element.text.push_str(&unescape(text));
            }
            if reader.skip_past("<!--", "-->")? || reader.skip_past("<?", "?>")? {
                continue;
            }
            if let Some(literal) = reader.take_between("<![CDATA[", "]]>")? {
                match open.last_mut() {
                    Some(element) => element.text.push_str(literal),
                    None => return Err(reader.malformed("text outside of the root")),
                }
                continue;
            }
            if reader.rest().starts_with("<!") {
                return Err(reader.malformed("document types are not read"));
            }
            let tag = reader.tag()?;
            let closed = if let Some(name) = tag.strip_prefix('/') {
                match open.pop() {
                    Some(element) if element.name == name.trim() => element,
                    _ => return Err(reader.malformed("an end without its start")),
                }
            } else {
                let (inside, is_empty) = tag.strip_suffix('/').map_or((tag, false), |inside| (inside, true));
                let name = inside.split_whitespace().next().unwrap_or_default();
                if name.is_empty() {
                    return Err(reader.malformed("an element without a name"));
                }
                let element = Self { name: name.to_owned(), ..Self::default() };
                if !is_empty {
                    open.push(element);
                    if open.len() > DEEPEST {
                        return Err(reader.malformed("too many elements within elements"));
                    }
                    continue;
                }
                element
            };
            match open.last_mut() {
                Some(parent) => parent.children.push(closed),
                None => return Ok(closed),
            }
        }
    }

    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Returns the trimmed text of a child.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name).map(|child| child.text.trim())
    }

    /// Returns all elements below this one, itself included.
    pub(crate) fn descendants(&self) -> Vec<&Self> {
        let mut found = vec![self];
        let mut next = 0;
        while let Some(element) = found.get(next).copied() {
            found.extend(&element.children);
            next += 1;
        }
        found
    }
}

struct Reader<'a> {
    document: &'a str,
    offset: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.document[self.offset..]
    }

    fn until(&mut self, stop: char) -> Result<&'a str, MalformedXml> {
        let rest = self.rest();
        let length = rest.find(stop).ok_or_else(|| self.malformed("it ends too early"))?;
        self.offset += length;
        Ok(&rest[..length])
    }

    fn skip_past(&mut self, start: &str, end: &str) -> Result<bool, MalformedXml> {
        Ok(self.take_between(start, end)?.is_some())
    }

    fn take_between(&mut self, start: &str, end: &str) -> Result<Option<&'a str>, MalformedXml> {
        let Some(inside) = self.rest().strip_prefix(start) else { return Ok(None) };
        let length = inside.find(end).ok_or_else(|| self.malformed("it ends too early"))?;
        self.offset += start.len() + length + end.len();
        Ok(Some(&inside[..length]))
    }

    /// Takes what stands between `<` and `>`; a `>` in a quoted attribute does not end it.
    fn tag(&mut self) -> Result<&'a str, MalformedXml> {
        let rest = &self.rest()[1..];
        let mut quote = None;
        for (position, character) in rest.char_indices() {
            match (quote, character) {
                (None, '"' | '\'') => quote = Some(character),
                (Some(open), _) if open == character => quote = None,
                (None, '>') => {
                    self.offset += position + 2;
                    return Ok(&rest[..position]);
                }
                _ => {}
            }
        }
        Err(self.malformed("it ends too early"))
    }

    fn malformed(&self, reason: &'static str) -> MalformedXml {
        MalformedXml { offset: self.offset, reason }
    }
}

pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescape(text: &str) -> String {
    let entities = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&")];
    entities.iter().fold(text.to_owned(), |text, (entity, character)| text.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_read_with_their_text() {
        let document = "<?xml version='1.1'?><!-- x --><project plugin=\"a>b\"><name> a &amp;&amp; b </name>\
                        <empty/><script><![CDATA[node('x') { a < b }]]></script></project>";
        let root = Element::parse(document).unwrap();
        assert_eq!(root.name, "project");
        assert_eq!(root.text_of("name"), Some("a && b"));
        assert_eq!(root.text_of("empty"), Some(""));
        assert_eq!(root.text_of("script"), Some("node('x') { a < b }"));
        assert_eq!(root.descendants().len(), 4);
    }

    #[test]
    fn malformed_documents_are_refused() {
        let deep = "<a>".repeat(1_000_000);
        for document in ["", "text", "<a>", "<a></b>", "</a>", "<a", "<>", "<!DOCTYPE a><a/>", "<![CDATA[x]]>", &deep] {
            assert!(Element::parse(document).is_err(), "{document:.20}");
        }
    }
}
