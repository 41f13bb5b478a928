//! regorus 0.14: Rego, compiled once; its interpreter, and its virtual machine for bytecode.

use std::collections::BTreeMap;

use ::regorus::languages::rego::compiler::Compiler;
use ::regorus::rvm::vm::RegoVM;
use ::regorus::{Engine as Rego, Value};
use anyhow::Result;

use super::{Decide, Engine};
use crate::question::{Answer, Question};

const VERDICT: &str = "data.params.verdict";

pub(super) struct Interpreter {
    rego: Rego,
    fields: Fields,
}

pub(super) struct Bytecode {
    machine: RegoVM,
    fields: Fields,
}

/// Names of fields, allocated once.
struct Fields {
    name: Value,
    kind: Value,
    value: Value,
}

impl Interpreter {
    pub(super) fn new() -> Result<Self> {
        Ok(Self { rego: loaded()?, fields: Fields::new() })
    }

    fn decide(&mut self, question: &Question) -> Result<Answer> {
        self.rego.set_input(self.fields.input(question));
        answer(&self.rego.eval_rule(VERDICT.to_owned())?)
    }
}

impl Bytecode {
    pub(super) fn new() -> Result<Self> {
        let policy = loaded()?.compile_with_entrypoint(&VERDICT.into())?;
        let program = Compiler::compile_from_policy(&policy, &[VERDICT]).map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut machine = RegoVM::new();
        machine.load_program(program);
        Ok(Self { machine, fields: Fields::new() })
    }

    fn decide(&mut self, question: &Question) -> Result<Answer> {
        self.machine.set_input(self.fields.input(question));
        answer(&self.machine.execute().map_err(|error| anyhow::anyhow!("{error}"))?)
    }
}

fn loaded() -> Result<Rego> {
    let mut rego = Rego::new();
    rego.add_policy("rule.rego".to_owned(), include_str!("rule.rego").to_owned())?;
    Ok(rego)
}

impl Fields {
    fn new() -> Self {
        Self { name: "name".into(), kind: "kind".into(), value: "value".into() }
    }

    fn input(&self, question: &Question) -> Value {
        let project = record([
            ("full_name", text(&question.project.full_name)),
            ("short_name", text(&question.project.short_name)),
            ("kind", text(&question.project.kind)),
        ]);
        let node = record([
            ("built_in", question.node.built_in.into()),
            ("exclusive", question.node.exclusive.into()),
            ("labels", question.node.labels.iter().map(|label| text(label)).collect::<Vec<_>>().into()),
        ]);
        let declared = question.declared.iter();
        let declared = declared.map(|parameter| pair((&self.name, &parameter.name), (&self.kind, &parameter.kind)));
        let requested = question.requested.iter();
        let requested = requested.map(|parameter| pair((&self.name, &parameter.name), (&self.value, &parameter.value)));
        record([
            ("controller", text(&question.controller)),
            ("project", project),
            ("function", text(&question.function)),
            ("label", text(&question.label)),
            ("node", node),
            ("declared", declared.collect::<Vec<_>>().into()),
            ("requested", requested.collect::<Vec<_>>().into()),
        ])
    }
}

fn text(text: &str) -> Value {
    Value::String(text.into())
}

fn record<const N: usize>(fields: [(&str, Value); N]) -> Value {
    BTreeMap::from(fields.map(|(name, value)| (text(name), value))).into()
}

fn pair(first: (&Value, &str), second: (&Value, &str)) -> Value {
    BTreeMap::from([(first.0.clone(), text(first.1)), (second.0.clone(), text(second.1))]).into()
}

fn answer(value: &Value) -> Result<Answer> {
    let string = |value: &Value| anyhow::Ok(value.as_string()?.as_ref().to_owned());
    Ok(Answer {
        rejected: *value["rejected"].as_bool()?,
        allowed: value["allowed"].as_array()?.iter().map(string).collect::<Result<_>>()?,
        reason: string(&value["reason"])?,
    })
}

impl Engine for Interpreter {
    fn name(&self) -> &'static str {
        "regorus 0.14, interpreter"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| self.decide(question)))
    }
}

impl Engine for Bytecode {
    fn name(&self) -> &'static str {
        "regorus 0.14, bytecode"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| self.decide(question)))
    }
}
