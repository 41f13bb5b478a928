//! The contract with policies, for people and tools: JSON Schemas of what is asked and answered, and the page of it.
//!
//! Both are made from `wit/policy.wit`, so that there is one place where the contract is written.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use wit_parser::{Function, Interface, Resolve, Type, TypeDefKind, TypeId};

use super::written::Call;

/// The contract as it is written.
pub const WIT: &str = include_str!("../../wit/policy.wit");

/// Of a question, what `Question::read` fills in.
const FILLED_IN: [&str; 17] = [
    "controller",
    "short-name",
    "kind",
    "node",
    "built-in",
    "exclusive",
    "labels",
    "short-name-unique",
    "matched-labels",
    "atoms",
    "classic",
    "function",
    "declared",
    "requested",
    "client-asks-offline",
    "duration-ms",
    "outcome",
];

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Returns what schemas there are: the calls, then `cases`.
pub fn schemas() -> Vec<&'static str> {
    Call::ALL.iter().map(|call| call.as_str()).chain(["cases"]).collect()
}

/// Returns the JSON Schema of that name: of a call, the question under `question` and the answer under `verdict`.
pub fn schema(name: &str) -> Option<Value> {
    let contract = Contract::read();
    if name == "cases" {
        return Some(contract.cases());
    }
    let call = Call::named(name)?;
    let mut schema = json!({ "$schema": DIALECT, "title": format!("layshaft policy: {call}"), "type": "object" });
    schema["properties"] = Value::Object(contract.call(call));
    Some(schema)
}

/// Returns the page of the contract, in Markdown.
pub fn page() -> String {
    Contract::read().page()
}

struct Contract {
    resolve: Resolve,
}

/// In a question what follows from the rest may be missing; a verdict says everything.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Question,
    Verdict,
}

impl Contract {
    fn read() -> Self {
        let mut resolve = Resolve::default();
        resolve.push_str("policy.wit", WIT).expect("the host itself is built from this file");
        Self { resolve }
    }

    fn interfaces(&self) -> impl Iterator<Item = (&str, &Interface)> {
        self.resolve.interfaces.iter().filter_map(|(_, interface)| Some((interface.name.as_deref()?, interface)))
    }

    fn function(&self, call: Call) -> &Function {
        let (interface, function) = call.as_str().split_once('.').expect("a call is INTERFACE.FUNCTION");
        let found = self.interfaces().find(|(name, _)| *name == interface);
        found.and_then(|(_, interface)| interface.functions.get(function)).expect("each call is in the contract")
    }

    /// The properties `question`, perhaps `outcome`, and `verdict`.
    fn call(&self, call: Call) -> Map<String, Value> {
        let function = self.function(call);
        let mut properties = Map::new();
        for (parameter, name) in function.params.iter().zip(["question", "outcome"]) {
            properties.insert(name.to_owned(), self.schema(&parameter.ty, Role::Question));
        }
        if let Some(result) = &function.result {
            properties.insert("verdict".to_owned(), self.schema(result, Role::Verdict));
        }
        properties
    }

    fn schema(&self, ty: &Type, role: Role) -> Value {
        match ty {
            Type::Bool => json!({ "type": "boolean" }),
            Type::String => json!({ "type": "string" }),
            Type::U64 => json!({ "type": "integer", "minimum": 0 }),
            Type::Id(id) => self.defined(*id, role),
            other => unreachable!("the contract has no {other:?}"),
        }
    }

    fn defined(&self, id: TypeId, role: Role) -> Value {
        let ty = &self.resolve.types[id];
        let mut schema = match &ty.kind {
            TypeDefKind::Record(record) => {
                let mut properties = Map::new();
                let mut required = Vec::new();
                for field in &record.fields {
                    let optional = self.option(&field.ty);
                    let mut schema = self.schema(optional.unwrap_or(&field.ty), role);
                    if role == Role::Verdict && optional.is_some() && field.name == "names" {
                        schema = json!({ "anyOf": [{ "const": "none" }, schema] });
                    }
                    describe(&mut schema, field.docs.contents.as_deref());
                    properties.insert(field.name.clone(), schema);
                    let filled_in = role == Role::Question && FILLED_IN.contains(&field.name.as_str());
                    // A matching question is about a project only if the policy asked for it.
                    if (optional.is_none() || field.name == "names") && !filled_in {
                        required.push(field.name.clone());
                    }
                }
                json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
            }
            TypeDefKind::Enum(list) => {
                let names: Vec<&str> = list.cases.iter().map(|case| case.name.as_str()).collect();
                json!({ "enum": names })
            }
            TypeDefKind::Variant(variant) => {
                let case = |case: &wit_parser::Case| {
                    let mut schema = match &case.ty {
                        None => json!({ "const": case.name }),
                        Some(ty) => {
                            let properties = Map::from_iter([(case.name.clone(), self.schema(ty, role))]);
                            json!({ "type": "object", "properties": properties, "required": [case.name], "additionalProperties": false })
                        }
                    };
                    describe(&mut schema, case.docs.contents.as_deref());
                    schema
                };
                json!({ "anyOf": variant.cases.iter().map(case).collect::<Vec<_>>() })
            }
            TypeDefKind::List(item) => json!({ "type": "array", "items": self.schema(item, role) }),
            TypeDefKind::Option(inner) | TypeDefKind::Type(inner) => self.schema(inner, role),
            other => unreachable!("the contract has no {}", other.as_str()),
        };
        describe(&mut schema, ty.docs.contents.as_deref());
        schema
    }

    fn option(&self, ty: &Type) -> Option<&Type> {
        let Type::Id(id) = ty else { return None };
        match &self.resolve.types[*id].kind {
            TypeDefKind::Option(inner) => Some(inner),
            _ => None,
        }
    }

    fn cases(&self) -> Value {
        let table = json!({ "type": "object" });
        let grants = json!({ "type": "array", "items": { "enum": ["widen", "rewrite", "veto", "values", "labels"] } });
        let case = |hook: &str, inputs: Map<String, Value>, required: &[&str], expect: Map<String, Value>| {
            let mut properties = Map::from_iter([
                ("name".to_owned(), json!({ "type": "string", "description": "What the case shows." })),
                ("hook".to_owned(), json!({ "const": hook })),
                ("settings".to_owned(), table.clone()),
            ]);
            properties.extend(inputs);
            properties.insert("expect".to_owned(), expected(expect));
            json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
        };
        let mut hooks = vec![
            case("meta.configure", Map::new(), &["name", "hook"], Map::new()),
            case("meta.describe", Map::new(), &["name", "hook", "expect"], self.description()),
        ];
        for call in Call::ALL {
            let mut inputs = self.call(call);
            let verdict = inputs.remove("verdict").unwrap_or_default();
            let expect = verdict["properties"].as_object().cloned().unwrap_or_default();
            let mut required = vec!["name", "hook", "question", "expect"];
            if call == Call::BuildEnded {
                required.push("outcome");
            }
            inputs.insert("grants".to_owned(), grants.clone());
            hooks.push(case(call.as_str(), inputs, &required, expect));
        }
        json!({
            "$schema": DIALECT,
            "title": "layshaft policy: cases",
            "type": "object",
            "properties": { "settings": table, "case": { "type": "array", "items": { "anyOf": hooks } } },
            "required": ["case"],
            "additionalProperties": false,
        })
    }

    fn description(&self) -> Map<String, Value> {
        let meta = self.interfaces().find(|(name, _)| *name == "meta");
        let describe = meta.and_then(|(_, meta)| meta.functions.get("describe")?.result.as_ref());
        let schema = describe.map(|ty| self.schema(ty, Role::Verdict)).unwrap_or_default();
        schema["properties"].as_object().cloned().unwrap_or_default()
    }

    fn page(&self) -> String {
        let mut page = String::from(HEAD);
        for (name, interface) in self.interfaces() {
            let _ = writeln!(page, "\n## `{name}`\n\n{}", paragraph(interface.docs.contents.as_deref()));
            for function in interface.functions.values() {
                let parameters: Vec<String> = function
                    .params
                    .iter()
                    .map(|parameter| format!("{}: {}", parameter.name, self.name(&parameter.ty)))
                    .collect();
                let result = function.result.as_ref().map(|ty| format!(" -> {}", self.name(ty))).unwrap_or_default();
                let docs = paragraph(function.docs.contents.as_deref());
                let _ = writeln!(page, "\n### `{}: func({}){result}`\n\n{docs}", function.name, parameters.join(", "));
            }
            for (type_name, id) in &interface.types {
                self.tell_type(&mut page, type_name, *id);
            }
        }
        page
    }

    fn tell_type(&self, page: &mut String, name: &str, id: TypeId) {
        let ty = &self.resolve.types[id];
        let rows: Vec<(String, String, Option<&str>)> = match &ty.kind {
            TypeDefKind::Record(record) => record
                .fields
                .iter()
                .map(|field| {
                    (field.name.clone(), self.name(&field.ty), field.docs.contents.as_deref().or(self.docs(&field.ty)))
                })
                .collect(),
            TypeDefKind::Variant(variant) => variant
                .cases
                .iter()
                .map(|case| {
                    let payload = case.ty.as_ref().map(|ty| self.name(ty)).unwrap_or_default();
                    (case.name.clone(), payload, case.docs.contents.as_deref())
                })
                .collect(),
            TypeDefKind::Enum(list) => list
                .cases
                .iter()
                .map(|case| (case.name.clone(), String::new(), case.docs.contents.as_deref()))
                .collect(),
            _ => return,
        };
        let docs = paragraph(ty.docs.contents.as_deref());
        let _ = writeln!(page, "\n### {} `{name}`\n\n{docs}\n\n| | | |\n|---|---|---|", ty.kind.as_str());
        for (name, ty, docs) in rows {
            let ty = if ty.is_empty() { ty } else { format!("`{ty}`") };
            let _ = writeln!(page, "| `{name}` | {ty} | {} |", paragraph(docs));
        }
    }

    /// What a field of a defined type is, if the field itself does not say.
    fn docs(&self, ty: &Type) -> Option<&str> {
        let Type::Id(id) = ty else { return None };
        self.resolve.types[*id].docs.contents.as_deref()
    }

    fn name(&self, ty: &Type) -> String {
        match ty {
            Type::Bool => "bool".to_owned(),
            Type::String => "string".to_owned(),
            Type::U64 => "u64".to_owned(),
            Type::Id(id) => {
                let ty = &self.resolve.types[*id];
                match (&ty.name, &ty.kind) {
                    (Some(name), _) => name.clone(),
                    (None, TypeDefKind::Option(inner)) => format!("option<{}>", self.name(inner)),
                    (None, TypeDefKind::List(inner)) => format!("list<{}>", self.name(inner)),
                    (None, TypeDefKind::Result(result)) => {
                        let name = |ty: &Option<Type>| ty.as_ref().map_or("_".to_owned(), |ty| self.name(ty));
                        format!("result<{}, {}>", name(&result.ok), name(&result.err))
                    }
                    (None, kind) => kind.as_str().to_owned(),
                }
            }
            other => format!("{other:?}"),
        }
    }
}

/// Fields of a verdict, none of them required, and each text as a pattern too.
fn expected(mut fields: Map<String, Value>) -> Value {
    fields.insert("error".to_owned(), json!({ "type": "string", "description": "How the call has to fail." }));
    let texts: Vec<String> =
        fields.iter().filter(|(_, schema)| schema["type"] == "string").map(|(name, _)| name.clone()).collect();
    for name in texts {
        fields
            .insert(format!("{name}-like"), json!({ "type": "string", "description": "A glob that has to match it." }));
    }
    json!({ "type": "object", "properties": fields, "additionalProperties": false })
}

fn describe(schema: &mut Value, docs: Option<&str>) {
    if let (Some(docs), Some(schema)) = (docs, schema.as_object_mut()) {
        schema.insert("description".to_owned(), paragraph(Some(docs)).into());
    }
}

/// On one line, as tables and schemas want it; what is a paragraph of its own stays one.
fn paragraph(docs: Option<&str>) -> String {
    let paragraphs = docs.unwrap_or_default().split("\n\n");
    paragraphs.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>().join(" ")
}

const HEAD: &str = include_str!("contract_head.md");

#[cfg(test)]
#[path = "contract_tests.rs"]
mod tests;
