//! What the host makes of a client's parameters before and after the policies are asked. Pure.

use crate::classic::offline::{self, PARAMETER as OFFLINE_NODE_WHEN_COMPLETE};
use crate::domain::{NodeName, Parameters, Project};
use crate::jenkins::Pin;
use crate::journal::Marker;

use super::super::config::Config;

/// The parameter that pins a build where its project declares none; the script console needs a name for it.
const UNDECLARED_PIN: &str = "LAYSHAFT_PINNED_TO";

/// How a build is started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Jenkins drops what the project does not declare.
    Rest,
    /// Everything arrives.
    Script,
}

/// A client's request, the host's own parameters taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What policies decide about.
    pub(crate) parameters: Parameters,
    pub(crate) offline_wanted: bool,
    /// Ties the build to its attempt; none if the project declares no marker, or the client sent another value.
    pub(crate) marker: Option<Marker>,
    pub(crate) pin: Option<(String, String)>,
    /// Where the project declares no parameter for it.
    pub(crate) undeclared_pin: Option<Pin>,
    pub(crate) way: Way,
    /// Sent by the client and owned by the host: passed on if declared.
    offline_parameter: Option<Option<String>>,
    foreign_marker: Option<(String, Option<String>)>,
}

impl Request {
    /// Takes apart what a client sent. `generated` serves as marker where the client gave no unique.
    #[expect(clippy::too_many_arguments, reason = "each is another fact, and all are of one job")]
    pub(crate) fn new(
        way: Way,
        config: &Config,
        project: &Project,
        node: &NodeName,
        self_label: &str,
        sent: &Parameters,
        unique: &str,
        generated: &str,
    ) -> Self {
        let offline_wanted = offline::is_wanted(sent);
        let offline_parameter =
            sent.contains(OFFLINE_NODE_WHEN_COMPLETE).then(|| sent.get(OFFLINE_NODE_WHEN_COMPLETE).map(str::to_owned));
        let declared_marker = project.marker(&config.markers).map(|marker| &marker.name);
        let (mut marker, mut foreign_marker) = (None, None);
        if let Some(name) = declared_marker {
            match sent.get(name) {
                Some(value) if value != unique || unique.is_empty() => {
                    foreign_marker = Some((name.clone(), Some(value.to_owned())));
                }
                _ => marker = Some(name),
            }
        }
        if way == Way::Script && marker.is_none() {
            let is_free = |name: &&String| project.parameter(name).is_none() && !sent.contains(name);
            let is_unique = |name: &&String| !unique.is_empty() && sent.get(name) == Some(unique);
            marker = config.markers.iter().find(|name| is_free(name) || is_unique(name));
        }
        let value = if unique.is_empty() { generated } else { unique };
        let marker = marker.map(|name| Marker { name: name.clone(), value: value.to_owned() });
        let place = match node {
            NodeName::BuiltIn => self_label,
            NodeName::Agent(name) => name,
        };
        let pin = project.pin(&config.pin_parameters).map(|parameter| (parameter.name.clone(), place.to_owned()));
        // Parts of a build choose their own nodes.
        let undeclared_pin = (way == Way::Script && pin.is_none() && !project.kind.runs_in_parts())
            .then(|| Pin { parameter: UNDECLARED_PIN.to_owned(), label: place.to_owned() });
        let mut parameters = Parameters::new();
        for (name, value) in sent.iter() {
            let is_marker = declared_marker.is_some_and(|marker| marker == name);
            let is_own = marker.as_ref().is_some_and(|marker| marker.name == name);
            let is_pin = pin.as_ref().is_some_and(|(pin, _)| pin == name)
                || undeclared_pin.as_ref().is_some_and(|pin| pin.parameter == name);
            if name != OFFLINE_NODE_WHEN_COMPLETE && !is_marker && !is_own && !is_pin {
                parameters.set(name, value.map(str::to_owned));
            }
        }
        Self { parameters, offline_wanted, marker, pin, undeclared_pin, way, offline_parameter, foreign_marker }
    }

    /// Returns what is sent to Jenkins: what the policies let through, and the host's own.
    pub(crate) fn finish(&self, project: &Project, mut filtered: Parameters) -> Parameters {
        if let Some(value) = &self.offline_parameter
            && (self.way == Way::Script || project.parameter(OFFLINE_NODE_WHEN_COMPLETE).is_some())
        {
            filtered.set(OFFLINE_NODE_WHEN_COMPLETE, value.clone());
        }
        if let Some((name, value)) = &self.foreign_marker {
            filtered.set(name, value.clone());
        }
        if let Some(Marker { name, value }) = &self.marker {
            filtered.set(name, Some(value.clone()));
        }
        if let Some((name, value)) = &self.pin
            && !filtered.contains(name)
        {
            filtered.set(name, Some(value.clone()));
        }
        filtered
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{DeclaredParameter, ProjectKind};

    fn project(declared: &[(&str, &str)]) -> Project {
        let parameter = |(name, kind): &(&str, &str)| DeclaredParameter { name: (*name).into(), kind: (*kind).into() };
        Project { parameters: Some(declared.iter().map(parameter).collect()), ..Project::sample("lint") }
    }

    fn request(way: Way, project: &Project, sent: &[(&str, &str)], unique: &str) -> Request {
        let sent = sent.iter().copied().collect();
        Request::new(way, &Config::default(), project, &NodeName::agent("a"), "built-in", &sent, unique, "generated")
    }

    fn marker(name: &str, value: &str) -> Option<Marker> {
        Some(Marker { name: name.to_owned(), value: value.to_owned() })
    }

    #[test]
    fn a_script_needs_no_declared_marker_and_never_overwrites_what_the_client_sent() {
        let bare = project(&[]);
        let declaring = project(&[("ZUUL_UUID", "StringParameterDefinition")]);
        for (project, sent, unique, rest, script) in [
            (&bare, &[][..], "u", None, marker("UUID", "u")),
            (&bare, &[], "", None, marker("UUID", "generated")),
            (&bare, &[("UUID", "u")], "u", None, marker("UUID", "u")),
            (&bare, &[("UUID", "mine")], "u", None, marker("uuid", "u")),
            (&bare, &[("UUID", "")], "", None, marker("uuid", "generated")),
            (&declaring, &[], "u", marker("ZUUL_UUID", "u"), marker("ZUUL_UUID", "u")),
            (&declaring, &[("ZUUL_UUID", "mine")], "u", None, marker("UUID", "u")),
        ] {
            assert_eq!(request(Way::Rest, project, sent, unique).marker, rest, "{sent:?}");
            let request = request(Way::Script, project, sent, unique);
            assert_eq!(request.marker, script, "{sent:?}");
            let finished = request.finish(project, request.parameters.clone());
            for (name, value) in sent {
                assert_eq!(finished.get(name), Some(*value), "{sent:?}");
            }
        }
    }

    #[test]
    fn only_a_script_pins_what_declares_no_parameter_for_it_and_never_what_runs_in_parts() {
        let bare = project(&[]);
        let pinned = project(&[("NODE", "NodeParameterDefinition")]);
        let pipeline = Project { kind: ProjectKind::Pipeline, ..project(&[]) };
        for (way, project, is_pinned, by_script) in [
            (Way::Rest, &bare, false, false),
            (Way::Script, &bare, false, true),
            (Way::Script, &pinned, true, false),
            (Way::Script, &pipeline, false, false),
        ] {
            let request = request(way, project, &[], "u");
            assert_eq!((request.pin.is_some(), request.undeclared_pin.is_some()), (is_pinned, by_script));
        }
    }
}
