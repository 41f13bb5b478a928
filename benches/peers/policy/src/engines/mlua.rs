//! mlua 0.12: Lua 5.4, compiled once, one state for all questions.

use anyhow::Result;
use mlua::{Function, LuaString, Table};

use super::{Decide, Engine};
use crate::question::{Answer, Question};

pub(super) struct Lua {
    lua: mlua::Lua,
    decide: Function,
    keys: Keys,
}

/// Names of fields, which need not be interned again for each question.
struct Keys {
    name: LuaString,
    kind: LuaString,
    value: LuaString,
}

impl Lua {
    pub(super) fn new() -> Result<Self> {
        let lua = mlua::Lua::new();
        let decide = lua.load(include_str!("rule.lua")).set_name("rule").eval().map_err(told)?;
        let key = |name: &str| lua.create_string(name).map_err(told);
        let keys = Keys { name: key("name")?, kind: key("kind")?, value: key("value")? };
        Ok(Self { lua, decide, keys })
    }

    fn table(&self, question: &Question) -> mlua::Result<Table> {
        let project = self.lua.create_table_with_capacity(0, 3)?;
        project.raw_set("full_name", &*question.project.full_name)?;
        project.raw_set("short_name", &*question.project.short_name)?;
        project.raw_set("kind", &*question.project.kind)?;
        let node = self.lua.create_table_with_capacity(0, 3)?;
        node.raw_set("built_in", question.node.built_in)?;
        node.raw_set("exclusive", question.node.exclusive)?;
        node.raw_set("labels", self.lua.create_sequence_from(question.node.labels.iter().map(String::as_str))?)?;
        let declared = self.lua.create_table_with_capacity(question.declared.len(), 0)?;
        for (at, parameter) in question.declared.iter().enumerate() {
            declared
                .raw_seti(at + 1, self.pair((&self.keys.name, &parameter.name), (&self.keys.kind, &parameter.kind))?)?;
        }
        let requested = self.lua.create_table_with_capacity(question.requested.len(), 0)?;
        for (at, parameter) in question.requested.iter().enumerate() {
            requested.raw_seti(
                at + 1,
                self.pair((&self.keys.name, &parameter.name), (&self.keys.value, &parameter.value))?,
            )?;
        }
        let table = self.lua.create_table_with_capacity(0, 7)?;
        table.raw_set("controller", &*question.controller)?;
        table.raw_set("project", project)?;
        table.raw_set("function", &*question.function)?;
        table.raw_set("label", &*question.label)?;
        table.raw_set("node", node)?;
        table.raw_set("declared", declared)?;
        table.raw_set("requested", requested)?;
        Ok(table)
    }

    fn pair(&self, first: (&LuaString, &str), second: (&LuaString, &str)) -> mlua::Result<Table> {
        let pair = self.lua.create_table_with_capacity(0, 2)?;
        pair.raw_set(first.0, first.1)?;
        pair.raw_set(second.0, second.1)?;
        Ok(pair)
    }

    fn decide(&self, question: &Question) -> mlua::Result<Answer> {
        let answer: Table = self.decide.call(self.table(question)?)?;
        let allowed: Table = answer.raw_get("allowed")?;
        Ok(Answer {
            rejected: answer.raw_get("rejected")?,
            allowed: allowed.sequence_values().collect::<mlua::Result<_>>()?,
            reason: answer.raw_get("reason")?,
        })
    }
}

/// Its errors stay on their thread.
fn told(error: mlua::Error) -> anyhow::Error {
    anyhow::anyhow!("{error}")
}

impl Engine for Lua {
    fn name(&self) -> &'static str {
        "mlua 0.12 (Lua 5.4)"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| self.decide(question).map_err(told)))
    }
}
