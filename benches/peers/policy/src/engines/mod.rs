//! Each engine in a file of its own. What can be made once is made once; what a new question costs is paid each time.

mod cedar;
mod cel;
mod extism;
mod layshaft;
mod mlua;
mod native;
mod regorus;
mod rhai;

use anyhow::Result;

use crate::question::{Answer, Question};

pub(crate) use native::decide as native;

/// Converts the question as the engine wants it, asks, and converts the answer.
pub(crate) type Decide<'a> = Box<dyn FnMut() -> Result<Answer> + 'a>;

pub(crate) trait Engine {
    fn name(&self) -> &'static str;

    /// Gets ready to decide one question again and again.
    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>>;
}

pub(crate) fn all() -> Result<Vec<Box<dyn Engine>>> {
    Ok(vec![
        Box::new(native::Native),
        Box::new(layshaft::Layshaft::kept("layshaft, kept", layshaft::Guest::Rule)?),
        Box::new(layshaft::Layshaft::fresh("layshaft, fresh", layshaft::Guest::Rule)?),
        Box::new(layshaft::Layshaft::kept("layshaft, kept, parameter-allowlist", layshaft::Guest::Allowlist)?),
        Box::new(layshaft::Layshaft::fresh("layshaft, fresh, parameter-allowlist", layshaft::Guest::Allowlist)?),
        Box::new(mlua::Lua::new()?),
        Box::new(cel::Cel::new()?),
        Box::new(regorus::Bytecode::new()?),
        Box::new(regorus::Interpreter::new()?),
        Box::new(rhai::Rhai::new()?),
        Box::new(cedar::Cedar::new()?),
        Box::new(extism::Extism::kept()?),
        Box::new(extism::Extism::fresh()?),
    ])
}
