//! The rule compiled into the program: what the others are held against.

use anyhow::Result;

use super::{Decide, Engine};
use crate::question::{Answer, Question};

pub(super) struct Native;

pub(crate) fn decide(question: &Question) -> Answer {
    let requested = question.requested.iter().map(|parameter| parameter.name.as_str());
    let rule::Verdict { rejected, allowed, reason } = rule::decide(&question.project.full_name, requested);
    Answer { rejected, allowed, reason }
}

impl Engine for Native {
    fn name(&self) -> &'static str {
        "native Rust"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| Ok(decide(question))))
    }
}
