//! Who may do what. Pure.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;

use secrecy::{ExposeSecret, SecretString};

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Caller {
    /// On this machine, as the kernel says.
    Local {
        uid: u32,
    },
    Remote {
        address: SocketAddr,
    },
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// What a load balancer may know.
    Health,
    Metrics,
    Read,
    Change,
}

#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) own_uid: u32,
    pub(super) users: BTreeSet<u32>,
    pub(super) token: Option<SecretString>,
    /// Whoever can reach it over TCP may see metrics, without a token.
    pub(super) metrics_are_open: bool,
    /// Where the token is configured.
    pub(super) section: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Denied {
    #[error("send the token of `{0}.token_file` as `Authorization: Bearer TOKEN`")]
    Token(&'static str),
    #[error(
        "user {0} may read but not change; act as root or as the daemon's user, or list the user in `control.users`"
    )]
    User(u32),
}

impl Access {
    /// Decides about a request; `bearer` is the token that it carries.
    pub(super) fn check(&self, caller: Caller, bearer: Option<&str>, need: Need) -> Result<(), Denied> {
        match (caller, need) {
            (_, Need::Health) | (Caller::Local { .. }, Need::Metrics | Need::Read) => Ok(()),
            (Caller::Remote { .. }, Need::Metrics) if self.metrics_are_open => Ok(()),
            (Caller::Local { uid }, Need::Change) => {
                let may = uid == 0 || uid == self.own_uid || self.users.contains(&uid);
                if may { Ok(()) } else { Err(Denied::User(uid)) }
            }
            (Caller::Remote { .. }, Need::Metrics | Need::Read | Need::Change) => {
                let knows = self
                    .token
                    .as_ref()
                    .zip(bearer)
                    .is_some_and(|(token, bearer)| is_same(token.expose_secret().as_bytes(), bearer.as_bytes()));
                if knows { Ok(()) } else { Err(Denied::Token(self.section)) }
            }
        }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local { uid } => write!(f, "uid {uid}"),
            Self::Remote { address } => write!(f, "{address}"),
        }
    }
}

/// Compares without telling by its duration how much was right. An empty secret is never right.
fn is_same(secret: &[u8], given: &[u8]) -> bool {
    let differences = secret.iter().zip(given).fold(0, |differences, (one, other)| differences | (one ^ other));
    !secret.is_empty() && secret.len() == given.len() && std::hint::black_box(differences) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn access(token: Option<SecretString>) -> Access {
        Access { own_uid: 990, users: [1001].into(), token, metrics_are_open: false, section: "control" }
    }

    #[test]
    fn changes_are_for_root_the_daemon_and_listed_users_and_remote_ones_need_the_token() {
        let access = access(Some(SecretString::from("opensesame")));
        let local = |uid| Caller::Local { uid };
        let remote = Caller::Remote { address: "192.0.2.7:40000".parse().unwrap() };
        for (caller, bearer, need, expected) in [
            (local(0), None, Need::Change, Ok(())),
            (local(990), None, Need::Change, Ok(())),
            (local(1001), None, Need::Change, Ok(())),
            (local(1002), None, Need::Change, Err(Denied::User(1002))),
            // The token is for TCP; on the socket the kernel's word counts.
            (local(1002), Some("opensesame"), Need::Change, Err(Denied::User(1002))),
            (local(1002), None, Need::Read, Ok(())),
            (local(1002), None, Need::Health, Ok(())),
            (local(1002), None, Need::Metrics, Ok(())),
            (remote, None, Need::Metrics, Err(Denied::Token("control"))),
            (remote, Some("opensesame"), Need::Metrics, Ok(())),
            (remote, None, Need::Health, Ok(())),
            (remote, None, Need::Read, Err(Denied::Token("control"))),
            (remote, Some(""), Need::Read, Err(Denied::Token("control"))),
            (remote, Some("opensesam"), Need::Read, Err(Denied::Token("control"))),
            (remote, Some("opensesamf"), Need::Change, Err(Denied::Token("control"))),
            (remote, Some("opensesame"), Need::Read, Ok(())),
            (remote, Some("opensesame"), Need::Change, Ok(())),
        ] {
            assert_eq!(access.check(caller, bearer, need), expected, "{caller} {bearer:?} {need:?}");
        }
    }

    #[test]
    fn without_a_token_nobody_remote_may_do_anything() {
        let remote = Caller::Remote { address: "192.0.2.7:40000".parse().unwrap() };
        for token in [None, Some(SecretString::from(""))] {
            let access = access(token);
            assert_eq!(access.check(remote, Some(""), Need::Read), Err(Denied::Token("control")));
        }
    }

    #[test]
    fn open_metrics_open_nothing_else() {
        let remote = Caller::Remote { address: "192.0.2.7:40000".parse().unwrap() };
        let access = Access { metrics_are_open: true, section: "web", ..access(None) };
        assert_eq!(access.check(remote, None, Need::Metrics), Ok(()));
        for need in [Need::Read, Need::Change] {
            assert_eq!(access.check(remote, None, need), Err(Denied::Token("web")));
        }
    }
}
