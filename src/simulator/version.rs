use std::fmt;
use std::str::FromStr;

/// The release of Jenkins that is simulated. Each question below names one change that clients can notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    major: u32,
    minor: u32,
    patch: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a Jenkins version such as 2.516.1")]
pub struct InvalidVersion(String);

impl Version {
    pub const fn new(major: u32, minor: u32) -> Self {
        Self { major, minor, patch: 0 }
    }

    fn since(self, major: u32, minor: u32) -> bool {
        self >= Self::new(major, minor)
    }

    pub(crate) fn answers_trigger_with_queue_item(self) -> bool {
        self.since(1, 519)
    }

    pub(crate) fn exports_queue_id(self) -> bool {
        self.since(1, 601)
    }

    pub(crate) fn exports_class(self) -> bool {
        self.since(2, 0)
    }

    pub(crate) fn refuses_disabled_with_409(self) -> bool {
        self.since(2, 14)
    }

    pub(crate) fn exports_labels(self) -> bool {
        self.since(2, 94)
    }

    pub(crate) fn token_needs_no_crumb(self) -> bool {
        self.since(2, 96)
    }

    pub(crate) fn crumb_is_bound_to_session(self) -> bool {
        self.since(2, 186)
    }

    pub(crate) fn cancel_tells_outcome(self) -> bool {
        self.since(2, 211)
    }

    pub(crate) fn exports_disabled(self) -> bool {
        self.since(2, 218)
    }

    pub(crate) fn calls_own_node_built_in(self) -> bool {
        self.since(2, 307)
    }

    pub(crate) fn tells_merged_with_303(self) -> bool {
        self.since(2, 308)
    }

    pub(crate) fn exports_in_progress(self) -> bool {
        self.since(2, 369)
    }

    pub(crate) fn has_queue_item_page(self) -> bool {
        self.since(2, 469)
    }

    pub(crate) fn keeps_offline_marks(self) -> bool {
        self.since(2, 482)
    }

    pub(crate) fn refuses_undeclared_with_400(self) -> bool {
        self.since(2, 524)
    }
}

impl Default for Version {
    /// A release line that has every change which clients notice.
    fn default() -> Self {
        Self::new(2, 541)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidVersion(text.to_owned());
        let mut numbers = text.split('.').map(|part| part.parse::<u32>().map_err(|_| invalid()));
        let mut next = || numbers.next().transpose();
        let (major, minor) = (next()?.ok_or_else(invalid)?, next()?.ok_or_else(invalid)?);
        Ok(Self { major, minor, patch: next()?.unwrap_or(0) })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)?;
        if self.patch > 0 { write!(f, ".{}", self.patch) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_by_number_and_not_by_text() {
        let read = |text: &str| text.parse::<Version>().unwrap();
        assert!(read("2.9") < read("2.14"));
        assert!(read("1.651.3") < read("2.0"));
        assert_eq!(read("2.516.1").to_string(), "2.516.1");
        assert!("2".parse::<Version>().is_err());
        assert!("2.x".parse::<Version>().is_err());
    }
}
