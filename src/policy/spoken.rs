//! Verdicts of all hooks under one type, before anybody writes them down as JSON.

use super::verdict::{EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer, StartAnswer};

/// What a policy answered to a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoken(pub(super) Answered);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answered {
    Names(Explained<NamingAnswer>),
    Matches(Explained<MatchingAnswer>),
    Filter(Explained<ParametersAnswer>),
    BuildStarted(Explained<StartAnswer>),
    BuildEnded(Explained<EndAnswer>),
}

impl Spoken {
    /// Returns why, in one line for people.
    pub fn reason(&self) -> &str {
        match &self.0 {
            Answered::Names(told) => &told.reason,
            Answered::Matches(told) => &told.reason,
            Answered::Filter(told) => &told.reason,
            Answered::BuildStarted(told) => &told.reason,
            Answered::BuildEnded(told) => &told.reason,
        }
    }

    /// Returns the answer if it is one to `parameters.filter`.
    pub fn into_parameters(self) -> Option<ParametersAnswer> {
        match self.0 {
            Answered::Filter(told) => Some(told.answer),
            _ => None,
        }
    }
}
