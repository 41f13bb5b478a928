//! A client of several servers, of which it uses one at a time.
//!
//! Gearman servers know nothing of each other: equal uniques are one job on one server and two jobs on two. So a job
//! goes to another server only if it is certain that the first one does not have it: nobody was there, or the connection
//! was lost before the request was out. A request that went out and was not answered is an error
//! ([`Error::Unconfirmed`]), unless the caller would rather have the job twice than not at all ([`InDoubt::TryNext`]).

use super::{Client, Config, Error, NotUsable, Submission, Submitted};
use crate::gearman::endpoint::Endpoint;

/// What to do about a submission that a server may have accepted, or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InDoubt {
    /// Leave it to the caller.
    #[default]
    GiveUp,
    /// Submit it to the next server; then it may run twice.
    TryNext,
}

/// Servers in order, and the connection to the one in use.
///
/// The server that was good last is used until it is lost. Then the others follow, in order, and the lost one is tried
/// last.
#[derive(Debug)]
pub struct Failover {
    servers: Vec<Endpoint>,
    config: Config,
    /// The server that is in use or asked next.
    current: usize,
    client: Option<Client>,
}

impl Failover {
    /// Knows the servers, the preferred one first; connects when there is something to do.
    pub fn new(servers: Vec<Endpoint>, config: Config) -> Self {
        Self { servers, config, current: 0, client: None }
    }

    /// Returns a connection: the one in use, or one to the first server that can be reached.
    pub async fn client(&mut self) -> Result<Client, Error> {
        let mut passed_over = Vec::new();
        for _ in 0..self.servers.len() {
            match self.reach().await {
                Ok(client) => return Ok(client),
                Err(error) => self.pass_over(error, &mut passed_over),
            }
        }
        Err(sum_up(passed_over))
    }

    /// Submits a job to the server in use, or to the first one that takes it.
    ///
    /// # Errors
    ///
    /// What a server refuses is not tried elsewhere: it has answered.
    pub async fn submit(&mut self, submission: Submission, in_doubt: InDoubt) -> Result<Submitted, Error> {
        let mut passed_over = Vec::new();
        // One that was in use may be back after it was lost.
        let attempts = self.servers.len() + usize::from(self.client.as_ref().is_some_and(|client| !client.is_lost()));
        for _ in 0..attempts {
            let submitted = match self.reach().await {
                Ok(client) => client.submit(submission.clone()).await,
                Err(error) => Err(error),
            };
            match submitted {
                Err(error @ Error::Unconfirmed { .. }) if in_doubt == InDoubt::GiveUp => {
                    self.leave();
                    return Err(error);
                }
                Err(error) if error.is_loss() => self.pass_over(error, &mut passed_over),
                answered => return answered,
            }
        }
        Err(sum_up(passed_over))
    }

    async fn reach(&mut self) -> Result<Client, Error> {
        if let Some(client) = &self.client
            && !client.is_lost()
        {
            return Ok(client.clone());
        }
        if self.client.is_some() {
            self.leave();
        }
        let Some(server) = self.servers.get(self.current) else { return Err(Error::NoServer(Vec::new())) };
        let client = Client::connect(server, self.config.clone()).await?;
        self.client = Some(client.clone());
        Ok(client)
    }

    fn pass_over(&mut self, error: Error, passed_over: &mut Vec<NotUsable>) {
        let server = self.servers.get(self.current).map(ToString::to_string).unwrap_or_default();
        self.leave();
        passed_over.push(NotUsable { server, error });
    }

    /// Turns to the next server.
    fn leave(&mut self) {
        self.client = None;
        self.current = (self.current + 1) % self.servers.len().max(1);
    }
}

/// Returns the error of a single server as it is, and of several which one had which.
fn sum_up(mut passed_over: Vec<NotUsable>) -> Error {
    match passed_over.pop() {
        Some(only) if passed_over.is_empty() => only.error,
        Some(last) => {
            passed_over.push(last);
            Error::NoServer(passed_over)
        }
        None => Error::NoServer(passed_over),
    }
}
