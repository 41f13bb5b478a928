//! Who asks, and what they may do.
//!
//! Jenkins' habits: no challenge for anonymous requests but 403, 401 for wrong credentials, no crumb with an API token,
//! and 404 for what one may not read.

use std::collections::BTreeSet;
use std::fmt;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// Somebody who may log in to the simulated controller.
#[derive(Clone, Debug)]
pub struct User {
    pub name: String,
    pub token: SecretString,
    /// With a password instead of a token, each POST needs a crumb.
    pub password: Option<SecretString>,
    pub permissions: BTreeSet<Permission>,
    /// Items that this user may not read, with all that is in them.
    pub unreadable: BTreeSet<String>,
    /// Those of them of which this user may know that they are there.
    pub discoverable: BTreeSet<String>,
}

/// What Jenkins asks for; the text is what it calls the permission in `X-Required-Permission`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Permission {
    OverallRead,
    OverallAdminister,
    ItemBuild,
    ItemCancel,
    ItemConfigure,
    ItemCreate,
    ItemDelete,
    RunUpdate,
    RunDelete,
    AgentConnect,
    AgentDisconnect,
    AgentConfigure,
    AgentCreate,
    AgentDelete,
    AgentExtendedRead,
}

/// The user of one request, and how they proved it.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) user: User,
    pub(crate) by_token: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Anonymous,
    WrongCredentials,
}

impl User {
    /// Returns a user who may do everything.
    pub fn administrator(name: impl Into<String>, token: impl Into<SecretString>) -> Self {
        Self {
            name: name.into(),
            token: token.into(),
            password: None,
            permissions: Permission::ALL.into_iter().collect(),
            unreadable: BTreeSet::new(),
            discoverable: BTreeSet::new(),
        }
    }
}

impl Permission {
    /// Returns the permission with Jenkins' identifier.
    pub fn from_id(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|permission| permission.id() == id)
    }

    pub const ALL: [Self; 15] = [
        Self::OverallRead,
        Self::OverallAdminister,
        Self::ItemBuild,
        Self::ItemCancel,
        Self::ItemConfigure,
        Self::ItemCreate,
        Self::ItemDelete,
        Self::RunUpdate,
        Self::RunDelete,
        Self::AgentConnect,
        Self::AgentDisconnect,
        Self::AgentConfigure,
        Self::AgentCreate,
        Self::AgentDelete,
        Self::AgentExtendedRead,
    ];

    /// Returns Jenkins' identifier.
    pub fn id(self) -> &'static str {
        match self {
            Self::OverallRead => "hudson.model.Hudson.Read",
            Self::OverallAdminister => "hudson.model.Hudson.Administer",
            Self::ItemBuild => "hudson.model.Item.Build",
            Self::ItemCancel => "hudson.model.Item.Cancel",
            Self::ItemConfigure => "hudson.model.Item.Configure",
            Self::ItemCreate => "hudson.model.Item.Create",
            Self::ItemDelete => "hudson.model.Item.Delete",
            Self::RunUpdate => "hudson.model.Run.Update",
            Self::RunDelete => "hudson.model.Run.Delete",
            Self::AgentConnect => "hudson.model.Computer.Connect",
            Self::AgentDisconnect => "hudson.model.Computer.Disconnect",
            Self::AgentConfigure => "hudson.model.Computer.Configure",
            Self::AgentCreate => "hudson.model.Computer.Create",
            Self::AgentDelete => "hudson.model.Computer.Delete",
            Self::AgentExtendedRead => "hudson.model.Computer.ExtendedRead",
        }
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.id())
    }
}

impl Caller {
    pub(crate) fn may(&self, permission: Permission) -> bool {
        let permissions = &self.user.permissions;
        permissions.contains(&permission) || permissions.contains(&Permission::OverallAdminister)
    }

    pub(crate) fn may_read(&self, full_name: &str) -> bool {
        !covers(&self.user.unreadable, full_name)
    }

    /// Returns whether an item that may not be read is at least no secret.
    pub(crate) fn may_discover(&self, full_name: &str) -> bool {
        covers(&self.user.discoverable, full_name)
    }
}

fn covers(items: &BTreeSet<String>, full_name: &str) -> bool {
    let covers = |item: &String| {
        full_name.strip_prefix(item.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    items.iter().any(covers)
}

/// Reads an `Authorization` header.
pub(crate) fn authenticate(users: &[User], header: Option<&str>) -> Result<Caller, Refusal> {
    let encoded = header.and_then(|header| header.strip_prefix("Basic ")).ok_or(Refusal::Anonymous)?;
    let decoded = decode_base64(encoded.trim()).and_then(|bytes| String::from_utf8(bytes).ok());
    let credentials = decoded.ok_or(Refusal::WrongCredentials)?;
    let (name, secret) = credentials.split_once(':').ok_or(Refusal::WrongCredentials)?;
    let user = users.iter().find(|user| user.name == name).ok_or(Refusal::WrongCredentials)?;
    let by_token = user.token.expose_secret() == secret;
    let by_password = user.password.as_ref().is_some_and(|password| password.expose_secret() == secret);
    if by_token || by_password { Ok(Caller { user: user.clone(), by_token }) } else { Err(Refusal::WrongCredentials) }
}

/// Returns the crumb of a user, bound to an HTTP session where the release does that.
pub(crate) fn crumb(user: &str, session: Option<&str>, salt: &str) -> String {
    let digest = Sha256::digest(format!("{salt}\n{user}\n{}", session.unwrap_or_default()));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// As lenient about what stands at the end as Java's clients are.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_decoded() {
        for (encoded, decoded) in [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("YWJjZA", "abcd")] {
            assert_eq!(decode_base64(encoded).unwrap(), decoded.as_bytes(), "{encoded}");
        }
        assert_eq!(decode_base64("a*c="), None);
    }

    #[test]
    fn a_folder_that_may_not_be_read_hides_what_is_in_it_and_nothing_else() {
        let mut user = User::administrator("bob", "secret");
        user.unreadable.insert("team".to_owned());
        let caller = Caller { user, by_token: true };
        assert!(!caller.may_read("team") && !caller.may_read("team/app"));
        assert!(caller.may_read("teamwork"));
    }

    #[test]
    fn wrong_credentials_are_told_from_none() {
        let users = [User::administrator("bob", "secret")];
        assert_eq!(authenticate(&users, None).unwrap_err(), Refusal::Anonymous);
        assert_eq!(authenticate(&users, Some("Basic Ym9iOm5v")).unwrap_err(), Refusal::WrongCredentials);
        assert!(authenticate(&users, Some("Basic Ym9iOnNlY3JldA==")).unwrap().by_token);
    }
}
