use percent_encoding::percent_decode_str;

use super::auth::{Caller, Permission};
use super::language::Language;
use super::tree::{Selection, Tree};

/// One request as the routes see it: paths and parameters decoded, the caller known.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) is_post: bool,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) form: Vec<(String, String)>,
    pub(crate) is_xml: bool,
    pub(crate) body: String,
    /// The root's address, its host as the client wrote it: what `Location` is made of.
    pub(crate) origin: String,
    pub(crate) referer: Option<String>,
    pub(crate) peer: String,
    pub(crate) caller: Caller,
    pub(crate) language: Language,
}

/// What a route answers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Empty,
    Json(serde_json::Value),
    Html(String),
    Text(String),
    Xml(String),
}

/// A route either answers or is left early with a refusal, which is an answer too.
pub(crate) type Routed = Result<Answer, Box<Answer>>;

impl Request {
    /// Returns the first value of a parameter, from the query or the form.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        self.parameters(name).next()
    }

    pub(crate) fn parameters<'r, 'n>(&'r self, name: &'n str) -> impl Iterator<Item = &'r str> + use<'r, 'n> {
        let all = self.query.iter().chain(&self.form);
        all.filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Goes on only if this is a POST.
    pub(crate) fn must_post(&self) -> Result<(), Box<Answer>> {
        if self.is_post { Ok(()) } else { Err(Box::new(Answer::page(405, "POST is required").with("Allow", "POST"))) }
    }

    /// Goes on only if the caller may do that.
    pub(crate) fn must_have(&self, permission: Permission) -> Result<(), Box<Answer>> {
        if self.caller.may(permission) {
            return Ok(());
        }
        let name = &self.caller.user.name;
        let answer = Answer::page(403, &format!("{name} is missing the {permission} permission"))
            .with("X-You-Are-Authenticated-As", name.as_str())
            .with("X-Required-Permission", permission.id())
            .with("X-Permission-Implied-By", Permission::OverallAdminister.id());
        Err(Box::new(answer))
    }

    /// Renders JSON by the request's `tree` or `depth`.
    pub(crate) fn json(&self, render: impl FnOnce(Selection<'_>) -> serde_json::Value) -> Routed {
        if let Some(text) = self.parameter("tree") {
            let tree = Tree::parse(text).map_err(|error| Box::new(Answer::oops(&error.to_string())))?;
            return Ok(Answer::json(render(Selection::Named(&tree))));
        }
        let depth = match self.parameter("depth") {
            None => 0,
            Some(text) => text.parse::<i32>().map_err(|_| Box::new(Answer::oops("depth is not a number")))?,
        };
        // Deeper answers grow without bound, on a real controller too.
        Ok(Answer::json(render(Selection::at_depth(depth.clamp(-10, 4)))))
    }

    /// A redirect back to where the client came from.
    pub(crate) fn back(&self) -> Answer {
        Answer::redirect(self.referer.as_deref().unwrap_or("."))
    }
}

impl Answer {
    pub(crate) fn new(status: u16, body: Body) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub(crate) fn empty(status: u16) -> Self {
        Self::new(status, Body::Empty)
    }

    pub(crate) fn json(value: serde_json::Value) -> Self {
        Self::new(200, Body::Json(value))
    }

    pub(crate) fn page(status: u16, text: &str) -> Self {
        let text = super::render::escape(text);
        Self::new(status, Body::Html(format!("<html><head><title>Jenkins</title></head><body>{text}</body></html>")))
    }

    pub(crate) fn not_found() -> Self {
        Self::page(404, "Not Found")
    }

    /// What an exception inside of Jenkins looks like.
    pub(crate) fn oops(text: &str) -> Self {
        Self::page(500, &format!("Oops! A problem occurred while processing the request. {text}"))
    }

    /// What Jenkins calls a failure that is the user's.
    pub(crate) fn bad_request(text: &str) -> Self {
        let ascii: String = text.chars().map(|c| if c.is_ascii() && !c.is_ascii_control() { c } else { '?' }).collect();
        Self::page(400, text).with("X-Error", ascii)
    }

    pub(crate) fn redirect(to: &str) -> Self {
        Self::empty(302).with("Location", to)
    }

    pub(crate) fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// Splits a path into decoded segments; a segment may hold an encoded slash or percent sign.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.split('/').filter(|segment| !segment.is_empty()).map(decode).collect()
}

/// Reads a query string or a form.
pub(crate) fn pairs(encoded: &str) -> Vec<(String, String)> {
    let pairs = encoded.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decode(&name.replace('+', " ")), decode(&value.replace('+', " ")))
    });
    pairs.collect()
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_split_before_they_are_decoded() {
        assert_eq!(segments("/job/proj/job/feature%252Fx/"), ["job", "proj", "job", "feature%2Fx"]);
        assert_eq!(segments("/"), [""; 0]);
    }

    #[test]
    fn forms_are_decoded() {
        let expected = [("a b", "1&2"), ("c", ""), ("d", "é")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(pairs("a+b=1%262&c&&d=%C3%A9"), expected);
    }
}
