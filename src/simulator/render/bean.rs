use serde_json::{Map, Value};

use crate::simulator::tree::Selection;

/// The visibility of what shows at any depth, such as names.
pub(crate) const ALWAYS: i32 = 999;

/// An object on its way to JSON, which takes in only what was asked for.
#[derive(Debug)]
pub(crate) struct Bean<'t> {
    selection: Selection<'t>,
    fields: Map<String, Value>,
}

impl<'t> Bean<'t> {
    pub(super) fn new(class: Option<&str>, selection: Selection<'t>) -> Self {
        let mut fields = Map::new();
        if let Some(class) = class {
            fields.insert("_class".to_owned(), class.into());
        }
        Self { selection, fields }
    }

    /// A field with the usual visibility.
    pub(crate) fn field(self, name: &str, value: impl Into<Value>) -> Self {
        self.shown(name, 1, value)
    }

    pub(crate) fn shown(mut self, name: &str, visibility: i32, value: impl Into<Value>) -> Self {
        if self.selection.enter(name, visibility, false).is_some() {
            self.fields.insert(name.to_owned(), value.into());
        }
        self
    }

    /// A field that only some releases or kinds have.
    pub(crate) fn field_if(self, exists: bool, name: &str, value: impl Into<Value>) -> Self {
        if exists { self.field(name, value) } else { self }
    }

    /// A field that costs something, or an object.
    pub(crate) fn lazy(mut self, name: &str, visibility: i32, value: impl FnOnce(Selection<'t>) -> Value) -> Self {
        if let Some((inside, _)) = self.selection.enter(name, visibility, false) {
            self.fields.insert(name.to_owned(), value(inside));
        }
        self
    }

    pub(crate) fn list<T>(
        self,
        name: &str,
        visibility: i32,
        elements: impl IntoIterator<Item = T>,
        each: impl FnMut(T, Selection<'t>) -> Value,
    ) -> Self {
        self.elements(name, visibility, false, elements, each)
    }

    /// A list whose elements are as deep as this object.
    pub(crate) fn inline_list<T>(
        self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        each: impl FnMut(T, Selection<'t>) -> Value,
    ) -> Self {
        self.elements(name, 1, true, elements, each)
    }

    pub(crate) fn done(self) -> Value {
        Value::Object(self.fields)
    }

    fn elements<T>(
        mut self,
        name: &str,
        visibility: i32,
        inline: bool,
        elements: impl IntoIterator<Item = T>,
        mut each: impl FnMut(T, Selection<'t>) -> Value,
    ) -> Self {
        if let Some((inside, range)) = self.selection.enter(name, visibility, inline) {
            let wanted = elements.into_iter().skip(range.from).take(range.until.saturating_sub(range.from));
            self.fields.insert(name.to_owned(), wanted.map(|element| each(element, inside)).collect());
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::simulator::tree::Tree;

    #[track_caller]
    fn check(tree: &str, expected: &Value) {
        let tree = Tree::parse(tree).unwrap();
        let object = Bean::new(Some("a.Build"), Selection::Named(&tree))
            .field("number", 7)
            .shown("url", 2, "http://x/")
            .shown("hidden", -2, true)
            .list("builds", 1, 1..=9, |number, inside| Bean::new(None, inside).field("number", number).done())
            .lazy("task", 1, |inside| Bean::new(Some("a.Task"), inside).field("name", "lint").done())
            .done();
        assert_eq!(object, *expected);
    }

    #[test]
    fn only_what_the_tree_names_shows_and_the_class_always() {
        check("number", &json!({"_class": "a.Build", "number": 7}));
        check("nothing,url", &json!({"_class": "a.Build", "url": "http://x/"}));
        check("task", &json!({"_class": "a.Build", "task": {"_class": "a.Task"}}));
        check("task[*]", &json!({"_class": "a.Build", "task": {"_class": "a.Task", "name": "lint"}}));
    }

    #[test]
    fn a_tree_reaches_what_is_hidden_otherwise() {
        check("hidden", &json!({"_class": "a.Build", "hidden": true}));
    }

    #[test]
    fn ranges_cut_lists() {
        check("builds[number]{2,4}", &json!({"_class": "a.Build", "builds": [{"number": 3}, {"number": 4}]}));
        check("builds[number]{8,}", &json!({"_class": "a.Build", "builds": [{"number": 9}]}));
        check("builds{,1}", &json!({"_class": "a.Build", "builds": [{}]}));
        check("builds{20}", &json!({"_class": "a.Build", "builds": []}));
        check("builds{5,2}", &json!({"_class": "a.Build", "builds": []}));
    }
}
