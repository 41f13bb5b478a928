//! Where the daemon is asked: the control channel, and what monitoring gets to see.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::super::{Control, ControlTcp, Web};
use super::{Checker, Source};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawControl {
    socket: Option<PathBuf>,
    users: Vec<User>,
    listen: Option<String>,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    token: Option<IgnoredAny>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawWeb {
    listen: Option<String>,
    token_file: Option<PathBuf>,
    token_env: Option<String>,
    token: Option<IgnoredAny>,
    metrics_without_token: bool,
}

#[derive(Deserialize)]
#[serde(untagged, expecting = "write a user's name in quotes, or the number of a user")]
enum User {
    Number(u32),
    Name(String),
}

impl Checker<'_> {
    pub(super) fn control(&mut self, raw: RawControl) -> Control {
        let socket = raw.socket.map(|socket| self.document.resolve(&socket));
        let mut users = BTreeSet::new();
        for (index, user) in raw.users.into_iter().enumerate() {
            match user {
                User::Number(uid) => drop(users.insert(uid)),
                User::Name(name) => match uid_of(&name) {
                    Some(uid) => drop(users.insert(uid)),
                    None => self.complain(
                        &format!("control.users[{index}]"),
                        format!("this machine's /etc/passwd has no user {name:?}; write the user's number"),
                    ),
                },
            }
        }
        let source = Source {
            file: raw.token_file.as_deref(),
            variable: raw.token_env.as_deref(),
            in_the_open: raw.token.is_some(),
        };
        let token = self.secret("control", &source);
        let tcp = match (raw.listen, token) {
            (None, None) => None,
            (None, Some(_)) => {
                self.complain("control", "a token is of no use without `listen`; add it or remove the token");
                None
            }
            (Some(listen), token) => self.tcp(&listen, token, source.is_given()),
        };
        Control { socket, users, tcp }
    }

    fn tcp(&mut self, listen: &str, token: Option<SecretString>, given: bool) -> Option<ControlTcp> {
        let address = self.address("control.listen", listen, "127.0.0.1:8730");
        if !given {
            self.complain("control.listen", "over TCP a token is needed; write token_file = \"/path/to/a/token\"");
        }
        Some(ControlTcp { listen: address?, token: token? })
    }

    pub(super) fn web(&mut self, raw: RawWeb) -> Option<Web> {
        let source = Source {
            file: raw.token_file.as_deref(),
            variable: raw.token_env.as_deref(),
            in_the_open: raw.token.is_some(),
        };
        let token = self.secret("web", &source);
        let Some(listen) = raw.listen else {
            // The section alone, as the example has it, opens nothing.
            if source.is_given() || raw.metrics_without_token {
                self.complain("web", "nothing is served without `listen`; add it, such as listen = \"127.0.0.1:9730\"");
            }
            return None;
        };
        let address = self.address("web.listen", &listen, "127.0.0.1:9730");
        match (source.is_given(), raw.metrics_without_token) {
            (false, false) => {
                let text = "metrics need a token; write token_file = \"/path/to/a/token\", or metrics_without_token = true \
                            where only those can reach it who may see them";
                self.complain("web.listen", text);
            }
            (true, true) => self.complain("web.metrics_without_token", "there is a token too; remove one of them"),
            _ => {}
        }
        let listen = address?;
        Some(Web { listen, token })
    }

    fn address(&mut self, key: &str, text: &str, example: &str) -> Option<SocketAddr> {
        let address = text.parse().ok();
        if address.is_none() {
            self.complain(key, format!("{text:?} is not an address; write \"ADDRESS:PORT\", such as {example:?}"));
        }
        address
    }
}

fn uid_of(name: &str) -> Option<u32> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(name)).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_are_found_by_name() {
        assert_eq!(uid_of("root"), Some(0));
        assert_eq!(uid_of("nobody-has-this-name"), None);
    }
}
