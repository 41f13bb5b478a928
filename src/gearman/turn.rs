//! Whose turn it is to ask for a job: the one lease of an identity that several servers know, passed from place to
//! place. Decides without sockets and without a clock.
//!
//! ```text
//!     job ended, lease came, functions changed: every place is due
//!
//!     ┌─▶ next place that is due: lease ─▶ GRAB_JOB_UNIQ ─┬─▶ job: all wait for its end
//!     │                                                   └─▶ NO_JOB ─▶ PRE_SLEEP ─┐
//!     └──────────────────────────────── take the lease away ◀──────────────────────┘
//! ```
//!
//! The lease rests where nothing is due any more, and comes to whichever place is woken. It never leaves a place that
//! may still bring a job, so that there is at most one grab or job at all places together. After a job the round goes on
//! behind the place that had it: a server that always has jobs starves no other. A place that cannot be asked is passed
//! by, and is due when it is back.

/// One server, and the worker there, which has its lease from the turn alone.
pub(super) trait Place {
    fn stand(&self) -> Stand;
    fn grant(&mut self);
    fn revoke(&mut self);
    /// Sends what follows from how the worker stands.
    fn compose(&mut self);
}

/// How a worker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stand {
    /// It cannot be asked: there is no connection, the server has said nothing yet, or nothing is offered.
    Absent,
    /// With a lease it asks.
    Awake,
    /// It was told that there is no job, and has not said yet that it shall be woken.
    Drowsy,
    Asleep,
    /// It has asked, and any answer may come.
    Grabbing,
    Running,
}

/// Why a place is to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    #[default]
    None,
    /// There may be a job.
    Due,
    /// The server said that there is a job: if nobody looks here, somebody else must.
    Owed,
}

#[derive(Debug, Default)]
pub(super) struct Turn {
    is_leased: bool,
    /// Whose turn it is, or was.
    at: usize,
    /// Whether that place has the lease.
    is_held: bool,
    looks: Vec<Look>,
}

impl Turn {
    /// There is one place more.
    pub(super) fn add(&mut self) {
        self.looks.push(Look::Due);
    }

    pub(super) fn is_leased(&self) -> bool {
        self.is_leased
    }

    /// The capacity for one job came.
    pub(super) fn grant(&mut self, places: &mut [impl Place]) {
        if self.is_leased {
            return;
        }
        self.is_leased = true;
        self.all_are_due();
        // What was asked before the lease went is still to be answered, and is not asked again.
        if let Some(place) = places.get_mut(self.at).filter(|place| place.stand() == Stand::Grabbing) {
            place.grant();
            self.is_held = true;
        }
    }

    /// The capacity went. A grab that is under way may still bring a job.
    ///
    /// Returns the places at which somebody else must look.
    pub(super) fn revoke(&mut self, places: &mut [impl Place]) -> Vec<usize> {
        self.is_leased = false;
        self.take_lease(places);
        self.owed()
    }

    /// A server has come up: what it holds is unknown.
    pub(super) fn came(&mut self, place: usize) {
        self.mark(place, Look::Due);
    }

    /// The functions changed, or a job ended: there may be a job anywhere.
    pub(super) fn all_are_due(&mut self) {
        for look in &mut self.looks {
            *look = (*look).max(Look::Due);
        }
    }

    /// A server says that there is a job. Returns whether somebody else must look.
    pub(super) fn woken(&mut self, place: usize, places: &[impl Place]) -> bool {
        let is_busy = places.iter().any(|place| place.stand() == Stand::Running);
        let looks_soon = self.is_leased && !is_busy;
        self.mark(place, if looks_soon { Look::Owed } else { Look::Due });
        !looks_soon
    }

    /// A job came. Returns the places at which somebody else must look; none at all if the job was not asked for by
    /// whose turn it is, and has to go back.
    pub(super) fn assigned(&mut self, place: usize) -> Option<Vec<usize>> {
        (place == self.at).then(|| self.owed())
    }

    /// Passes the lease on as far as it can go now.
    pub(super) fn advance(&mut self, places: &mut [impl Place]) {
        let is_busy = |place: &_| matches!(Place::stand(place), Stand::Grabbing | Stand::Running);
        if !self.is_leased || places.iter().any(is_busy) {
            return;
        }
        let stand = places.get(self.at).map_or(Stand::Absent, Place::stand);
        let is_looking = self.is_held && self.looks.get(self.at) == Some(&Look::None);
        if is_looking && stand == Stand::Awake {
            return;
        }
        let Some(next) = self.next(places) else {
            if stand == Stand::Absent {
                self.take_lease(places);
            }
            return;
        };
        if self.is_held && stand == Stand::Drowsy && next != self.at {
            // Whoever leaves must have gone to bed, or nobody would wake it.
            places[self.at].compose();
            if places[self.at].stand() != Stand::Asleep {
                return;
            }
        }
        // Whoever is about to ask anyway keeps the lease; any other asks because it gets one.
        let keeps = self.is_held && next == self.at && stand == Stand::Awake;
        if !keeps {
            self.take_lease(places);
            places[next].grant();
        }
        (self.at, self.is_held) = (next, true);
        self.looks[next] = Look::None;
    }

    /// Returns the next place in the round that is to be looked at and can be.
    fn next(&self, places: &[impl Place]) -> Option<usize> {
        let count = places.len();
        let round = (1..=count).map(|step| (self.at + step) % count);
        round.into_iter().find(|place| self.looks[*place] > Look::None && places[*place].stand() != Stand::Absent)
    }

    fn take_lease(&mut self, places: &mut [impl Place]) {
        if std::mem::take(&mut self.is_held) {
            places[self.at].revoke();
        }
    }

    fn mark(&mut self, place: usize, why: Look) {
        self.looks[place] = self.looks[place].max(why);
    }

    /// Returns the places at which a job is known to wait, which are somebody else's from now on.
    fn owed(&mut self) -> Vec<usize> {
        let owed = self.looks.iter_mut().enumerate().filter(|(_, look)| **look == Look::Owed);
        owed.map(|(place, look)| {
            *look = Look::Due;
            place
        })
        .collect()
    }
}

#[cfg(test)]
mod tests;
