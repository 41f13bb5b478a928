//! What the host makes of a client's parameters before and after the policies are asked. Pure.

use crate::classic::offline::{self, PARAMETER as OFFLINE_NODE_WHEN_COMPLETE};
use crate::domain::{NodeName, Parameters, Project};

use crate::journal::Marker;

use super::super::config::Config;

/// A client's request, the host's own parameters taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// What policies decide about.
    pub(crate) parameters: Parameters,
    pub(crate) offline_wanted: bool,
    /// Ties the build to its attempt; none if the project declares no marker, or the client sent another value.
    pub(crate) marker: Option<Marker>,
    pub(crate) pin: Option<(String, String)>,
    /// Sent by the client and owned by the host: passed on if declared.
    offline_parameter: Option<Option<String>>,
    foreign_marker: Option<(String, Option<String>)>,
}

impl Request {
    /// Takes apart what a client sent. `generated` serves as marker where the client gave no unique.
    pub(crate) fn new(
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
                _ => {
                    let value = if unique.is_empty() { generated } else { unique };
                    marker = Some(Marker { name: name.clone(), value: value.to_owned() });
                }
            }
        }
        let pin = project.pin(&config.pin_parameters).map(|parameter| {
            let place = match node {
                NodeName::BuiltIn => self_label,
                NodeName::Agent(name) => name,
            };
            (parameter.name.clone(), place.to_owned())
        });
        let mut parameters = Parameters::new();
        for (name, value) in sent.iter() {
            let is_marker = declared_marker.is_some_and(|marker| marker == name);
            let is_pin = pin.as_ref().is_some_and(|(pin, _)| pin == name);
            if name != OFFLINE_NODE_WHEN_COMPLETE && !is_marker && !is_pin {
                parameters.set(name, value.map(str::to_owned));
            }
        }
        Self { parameters, offline_wanted, marker, pin, offline_parameter, foreign_marker }
    }

    /// Returns what is sent to Jenkins: what the policies let through, and the host's own.
    pub(crate) fn finish(&self, project: &Project, mut filtered: Parameters) -> Parameters {
        if let Some(value) = &self.offline_parameter
            && project.parameter(OFFLINE_NODE_WHEN_COMPLETE).is_some()
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
