//! cel 0.15: one expression, compiled once; the lists are a variable that is bound once.

use std::collections::HashMap;
use std::sync::Arc;

use ::cel::objects::Key;
use ::cel::{Context, Program, Value};
use anyhow::{Context as _, Result, bail};
use serde_json::json;

use super::{Decide, Engine};
use crate::question::{Answer, Question};

pub(super) struct Cel {
    program: Program,
    context: Context<'static, 'static>,
    keys: Keys,
}

/// Names of fields, allocated once.
struct Keys {
    name: Key,
    kind: Key,
    value: Key,
}

impl Cel {
    pub(super) fn new() -> Result<Self> {
        let program = Program::compile(include_str!("rule.cel")).map_err(|error| anyhow::anyhow!("{error}"))?;
        let rule = |name: &str, names: [&str; 3]| json!({ "name": name, "prefix": format!("{name}/"), "names": names });
        let rules = json!([
            rule("team-a", ["BRANCH", "VERSION", "TARGET"]),
            rule("team-b", ["GERRIT_REFSPEC", "GERRIT_BRANCH", "BUILD_TYPE"]),
            rule("team-c", ["RELEASE_BRANCH", "VERSION", "DEPLOY_TARGET"]),
            rule("team-d", ["SUITE", "SEED", "RETRIES"]),
        ]);
        let mut context = Context::default();
        context.add_variable("rules", rules)?;
        context.add_variable("others", json!({ "name": "others", "names": [] }))?;
        Ok(Self { program, context, keys: Keys { name: "name".into(), kind: "kind".into(), value: "value".into() } })
    }

    fn decide(&self, question: &Question) -> Result<Answer> {
        let mut context = self.context.new_inner_scope();
        context.add_variable_from_value("controller", question.controller.as_str());
        let project = [
            ("full_name", text(&question.project.full_name)),
            ("short_name", text(&question.project.short_name)),
            ("kind", text(&question.project.kind)),
        ];
        context.add_variable_from_value("project", HashMap::from(project));
        context.add_variable_from_value("function", question.function.as_str());
        context.add_variable_from_value("label", question.label.as_str());
        let labels: Vec<Value> = question.node.labels.iter().map(|label| text(label)).collect();
        let node = [
            ("built_in", Value::Bool(question.node.built_in)),
            ("exclusive", Value::Bool(question.node.exclusive)),
            ("labels", labels.into()),
        ];
        context.add_variable_from_value("node", HashMap::from(node));
        let Keys { name, kind, value } = &self.keys;
        let declared = question.declared.iter();
        let declared: Vec<Value> =
            declared.map(|parameter| pair((name, &parameter.name), (kind, &parameter.kind))).collect();
        context.add_variable_from_value("declared", declared);
        let requested = question.requested.iter();
        let requested: Vec<Value> =
            requested.map(|parameter| pair((name, &parameter.name), (value, &parameter.value))).collect();
        context.add_variable_from_value("requested", requested);
        answer(&self.program.execute(&context).map_err(|error| anyhow::anyhow!("{error}"))?)
    }
}

fn text(text: &str) -> Value {
    Value::String(Arc::new(text.to_owned()))
}

fn pair(first: (&Key, &str), second: (&Key, &str)) -> Value {
    HashMap::from([(first.0.clone(), text(first.1)), (second.0.clone(), text(second.1))]).into()
}

fn answer(value: &Value) -> Result<Answer> {
    let Value::Map(fields) = value else { bail!("the answer is {value:?}") };
    let field = |name: &str| fields.map.get(&Key::from(name)).with_context(|| format!("no {name} in the answer"));
    let string = |value: &Value| match value {
        Value::String(text) => Ok(text.as_str().to_owned()),
        other => bail!("{other:?} is no text"),
    };
    let Value::Bool(rejected) = *field("rejected")? else { bail!("the answer is {value:?}") };
    let Value::List(allowed) = field("allowed")? else { bail!("the answer is {value:?}") };
    Ok(Answer {
        rejected,
        allowed: allowed.iter().map(string).collect::<Result<_>>()?,
        reason: string(field("reason")?)?,
    })
}

impl Engine for Cel {
    fn name(&self) -> &'static str {
        "cel 0.15"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| self.decide(question)))
    }
}
