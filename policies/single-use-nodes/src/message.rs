use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

/// A message for Jenkins' pages, with gaps for what is only known at the end of a build.
#[derive(Debug)]
pub(crate) struct Message(Vec<Part>);

#[derive(Debug)]
enum Part {
    Text(String),
    Controller,
    Project,
    Result,
}

impl Message {
    /// Takes the setting `message`.
    pub(crate) fn take(settings: &mut layshaft_policy_sdk::Settings, default: &str) -> Result<Self, String> {
        let text = settings.text("message")?.unwrap_or_else(|| default.to_string());
        if text.is_empty() {
            return Err(format!("{}.message is empty", settings.path()));
        }
        Self::read(&text).map_err(|error| format!("{}.message: {error}", settings.path()))
    }

    fn read(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, gap)) = rest.split_once('{') {
            let (name, after) = gap.split_once('}').ok_or("a `{` is not closed")?;
            parts.push(Part::Text(before.to_string()));
            parts.push(match name {
                "controller" => Part::Controller,
                "project" => Part::Project,
                "result" => Part::Result,
                _ => return Err(format!("`{{{name}}}` is unknown; it takes {{controller}}, {{project}}, {{result}}")),
            });
            rest = after;
        }
        parts.push(Part::Text(rest.to_string()));
        Ok(Self(parts))
    }

    pub(crate) fn fill(&self, controller: &str, project: &str, result: &str) -> String {
        let filled = self.0.iter().map(|part| match part {
            Part::Text(text) => text,
            Part::Controller => controller,
            Part::Project => project,
            Part::Result => result,
        });
        filled.collect()
    }
}
