//! extism 1.30 on wasmtime 43: a plugin that reads and writes JSON; no limit on fuel or memory, its deadline's timer on as
//! always.

use std::path::Path;

use ::extism::{CompiledPlugin, Manifest, Plugin, PluginBuilder, Wasm};
use anyhow::Result;

use super::{Decide, Engine};
use crate::question::{Answer, Question};

pub(super) struct Extism {
    compiled: CompiledPlugin,
    is_kept: bool,
}

impl Extism {
    pub(super) fn kept() -> Result<Self> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/rule-extism.wasm");
        let builder = PluginBuilder::new(Manifest::new([Wasm::data(std::fs::read(file)?)])).with_cache_disabled();
        Ok(Self { compiled: builder.compile()?, is_kept: true })
    }

    pub(super) fn fresh() -> Result<Self> {
        Ok(Self { is_kept: false, ..Self::kept()? })
    }
}

fn decide(plugin: &mut Plugin, question: &Question) -> Result<Answer> {
    let answer: Vec<u8> = plugin.call("decide", serde_json::to_vec(question)?)?;
    Ok(serde_json::from_slice(&answer)?)
}

impl Engine for Extism {
    fn name(&self) -> &'static str {
        if self.is_kept { "extism 1.30, kept" } else { "extism 1.30, fresh" }
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        if !self.is_kept {
            return Ok(Box::new(|| decide(&mut Plugin::new_from_compiled(&self.compiled)?, question)));
        }
        let mut plugin = Plugin::new_from_compiled(&self.compiled)?;
        Ok(Box::new(move || decide(&mut plugin, question)))
    }
}
