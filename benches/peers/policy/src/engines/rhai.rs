//! rhai 1.27: compiled once, with its optimizer's default, not `sync`.

use ::rhai::{AST, Array, Dynamic, Engine as Rhai_, ImmutableString, Map, Scope};
use anyhow::{Context, Result};

use super::{Decide, Engine};
use crate::question::{Answer, Question};

pub(super) struct Rhai {
    engine: Rhai_,
    script: AST,
}

impl Rhai {
    pub(super) fn new() -> Result<Self> {
        let engine = Rhai_::new();
        let script = engine.compile(include_str!("rule.rhai"))?;
        Ok(Self { engine, script })
    }

    fn decide(&self, question: &Question) -> Result<Answer> {
        let answer = self.engine.call_fn(&mut Scope::new(), &self.script, "decide", (map(question),));
        let mut answer: Map = answer.map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut field = |name: &str| answer.remove(name).with_context(|| format!("no {name} in the answer"));
        let string = |value: Dynamic| value.into_string().map_err(|kind| anyhow::anyhow!("{kind} is no text"));
        let allowed: Array = field("allowed")?.into_array().map_err(|kind| anyhow::anyhow!("{kind} is no array"))?;
        Ok(Answer {
            rejected: field("rejected")?.as_bool().map_err(|kind| anyhow::anyhow!("{kind} is no bool"))?,
            allowed: allowed.into_iter().map(string).collect::<Result<_>>()?,
            reason: string(field("reason")?)?,
        })
    }
}

fn map(question: &Question) -> Map {
    let project = record([
        ("full_name", text(&question.project.full_name)),
        ("short_name", text(&question.project.short_name)),
        ("kind", text(&question.project.kind)),
    ]);
    let node = record([
        ("built_in", question.node.built_in.into()),
        ("exclusive", question.node.exclusive.into()),
        ("labels", question.node.labels.iter().map(|label| text(label)).collect::<Array>().into()),
    ]);
    let declared = question.declared.iter();
    let declared =
        declared.map(|parameter| record([("name", text(&parameter.name)), ("kind", text(&parameter.kind))]).into());
    let requested = question.requested.iter();
    let requested =
        requested.map(|parameter| record([("name", text(&parameter.name)), ("value", text(&parameter.value))]).into());
    record([
        ("controller", text(&question.controller)),
        ("project", project.into()),
        ("function", text(&question.function)),
        ("label", text(&question.label)),
        ("node", node.into()),
        ("declared", declared.collect::<Array>().into()),
        ("requested", requested.collect::<Array>().into()),
    ])
}

fn text(text: &str) -> Dynamic {
    ImmutableString::from(text).into()
}

fn record<const N: usize>(fields: [(&str, Dynamic); N]) -> Map {
    fields.into_iter().map(|(name, value)| (name.into(), value)).collect()
}

impl Engine for Rhai {
    fn name(&self) -> &'static str {
        "rhai 1.27"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| self.decide(question)))
    }
}
