//! One instance of a policy, and what it may cost.
//!
//! Whatever goes wrong ends the instance: the caller drops it and takes a fresh one. The fuel that a question gets is
//! the same on a fresh instance and on one that has answered before, so that its verdict is too.

use std::time::Duration;

use wasmtime::component::{self, InstancePre};
use wasmtime::{PoolConcurrencyLimitError, ResourceLimiter, Store, Trap};

use super::bindings::{Guests, Indices};
use super::component::{Description, Module, describe};
use super::config::Limits;
use super::engine::{MAX_INSTANCES, MAX_MEMORIES, MAX_TABLE_ELEMENTS, MAX_TABLES, TICK};
use super::question::{Ending, MatchingQuestion, NamingQuestion, OfflineQuestion, ParametersQuestion};
use super::verdict::{EndAnswer, Explained, MatchingAnswer, NamingAnswer, ParametersAnswer, StartAnswer, shown};

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum CallError {
    #[error("it trapped: {0}")]
    Trap(String),
    #[error("it ran out of fuel (policies.limits.fuel)")]
    Fuel,
    #[error("it passed its deadline (policies.limits.deadline)")]
    Deadline,
    #[error("it ran out of memory (policies.limits.memory)")]
    Memory,
    #[error("its answer is invalid: {0}")]
    Invalid(String),
    #[error("it refuses its settings: {0}")]
    Configure(String),
}

/// A started and configured instance.
pub(super) struct Instance {
    store: Store<Limiter>,
    guests: Guests,
    /// What is left of the fuel after starting and configuring.
    fuel: u64,
    limits: Limits,
}

/// An instance whose types are still to be held against the contract.
pub(super) struct Trial {
    store: Store<Limiter>,
    instance: component::Instance,
}

/// An instance that may only be asked who it is.
pub(super) struct Unconfigured {
    store: Store<Limiter>,
    guests: Guests,
}

impl Instance {
    /// Starts and configures an instance.
    pub(super) fn start(module: &Module, settings: &str, limits: &Limits) -> Result<Self, CallError> {
        let Unconfigured { mut store, guests } = Self::trial(&module.pre, limits)?
            .load(&module.indices)
            .map_err(|error| CallError::Invalid(format!("{error:#}")))?;
        match guests.configure(&mut store, settings) {
            Ok(Ok(())) => {}
            Ok(Err(message)) => return Err(CallError::Configure(shown(&message))),
            Err(error) => return Err(classify(&store, &error)),
        }
        let fuel = store.get_fuel().unwrap_or_default();
        Ok(Self { store, guests, fuel, limits: limits.clone() })
    }

    pub(super) fn trial(pre: &InstancePre<Limiter>, limits: &Limits) -> Result<Trial, CallError> {
        let mut waited = Duration::ZERO;
        loop {
            let mut store = Store::new(pre.engine(), Limiter::new(limits.memory));
            store.limiter(|limiter| limiter);
            store.set_fuel(limits.fuel).map_err(|error| CallError::Trap(error.to_string()))?;
            store.set_hostcall_fuel(limits.answer);
            store.set_epoch_deadline(ticks(limits));
            match pre.instantiate(&mut store) {
                Ok(instance) => return Ok(Trial { store, instance }),
                // A full pool is no fault of the policy's: others are done in a moment.
                Err(error) if error.is::<PoolConcurrencyLimitError>() && waited < limits.deadline => {
                    std::thread::sleep(TICK);
                    waited += TICK;
                }
                Err(error) => return Err(classify(&store, &error)),
            }
        }
    }

    pub(super) fn names(&mut self, question: &NamingQuestion) -> Result<Explained<NamingAnswer>, CallError> {
        let verdict = self.ask(|guests, store| guests.names(store, question))?;
        verdict.answer.lawful().map_err(CallError::Invalid)?;
        Ok(verdict)
    }

    pub(super) fn matches(&mut self, question: &MatchingQuestion) -> Result<Explained<MatchingAnswer>, CallError> {
        let verdict = self.ask(|guests, store| guests.matches(store, question))?;
        verdict.answer.lawful(&question.atoms).map_err(CallError::Invalid)?;
        Ok(verdict)
    }

    pub(super) fn filter(&mut self, question: &ParametersQuestion) -> Result<Explained<ParametersAnswer>, CallError> {
        self.ask(|guests, store| guests.filter(store, question))
    }

    pub(super) fn build_started(&mut self, question: &OfflineQuestion) -> Result<Explained<StartAnswer>, CallError> {
        self.ask(|guests, store| guests.build_started(store, question))
    }

    pub(super) fn build_ended(
        &mut self,
        question: &OfflineQuestion,
        ending: Ending,
    ) -> Result<Explained<EndAnswer>, CallError> {
        self.ask(|guests, store| guests.build_ended(store, question, ending))
    }

    /// Returns what is left of the fuel after the last call.
    pub(super) fn fuel_left(&self) -> u64 {
        self.store.get_fuel().unwrap_or_default()
    }

    /// Returns the fuel that the last question took; that of a fresh instance took the start too.
    pub(super) fn fuel_used(&self, is_fresh: bool) -> u64 {
        let given = if is_fresh { self.limits.fuel } else { self.fuel };
        given.saturating_sub(self.fuel_left())
    }

    fn ask<A>(
        &mut self,
        call: impl FnOnce(&Guests, &mut Store<Limiter>) -> wasmtime::Result<A>,
    ) -> Result<A, CallError> {
        self.store.set_fuel(self.fuel).map_err(|error| CallError::Trap(error.to_string()))?;
        self.store.set_epoch_deadline(ticks(&self.limits));
        call(&self.guests, &mut self.store).map_err(|error| classify(&self.store, &error))
    }
}

impl Trial {
    pub(super) fn load(mut self, indices: &Indices) -> wasmtime::Result<Unconfigured> {
        let guests = indices.load(&mut self.store, &self.instance)?;
        Ok(Unconfigured { store: self.store, guests })
    }
}

impl Unconfigured {
    pub(super) fn describe(mut self) -> Result<Description, CallError> {
        let answer = self.guests.describe(&mut self.store).map_err(|error| classify(&self.store, &error))?;
        describe(answer).map_err(CallError::Invalid)
    }
}

impl std::fmt::Debug for Instance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("fuel", &self.fuel).finish_non_exhaustive()
    }
}

/// A deadline in ticks; one more, since the first may come at once.
fn ticks(limits: &Limits) -> u64 {
    let ticks = limits.deadline.as_millis().div_ceil(TICK.as_millis()) + 1;
    u64::try_from(ticks).unwrap_or(u64::MAX / 2)
}

fn classify(store: &Store<Limiter>, error: &wasmtime::Error) -> CallError {
    match error.downcast_ref::<Trap>() {
        Some(Trap::OutOfFuel) => CallError::Fuel,
        Some(Trap::Interrupt) => CallError::Deadline,
        // Allocators answer a refused memory by trapping.
        _ if store.data().refused => CallError::Memory,
        Some(trap) => CallError::Trap(trap.to_string()),
        None => CallError::Invalid(shown(&format!("{error:#}"))),
    }
}

/// What an instance has taken, over all its memories and tables.
#[derive(Debug)]
pub(super) struct Limiter {
    memory_left: usize,
    table_elements_left: usize,
    refused: bool,
}

impl Limiter {
    fn new(memory: usize) -> Self {
        Self { memory_left: memory, table_elements_left: MAX_TABLE_ELEMENTS * 2, refused: false }
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current);
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let granted = take(&mut self.memory_left, more);
        self.refused |= !granted;
        Ok(granted)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let granted = take(&mut self.table_elements_left, desired.saturating_sub(current));
        self.refused |= !granted;
        Ok(granted)
    }

    fn instances(&self) -> usize {
        MAX_INSTANCES as usize
    }

    fn tables(&self) -> usize {
        MAX_TABLES as usize
    }

    fn memories(&self) -> usize {
        MAX_MEMORIES as usize
    }
}

fn take(left: &mut usize, wanted: usize) -> bool {
    match left.checked_sub(wanted) {
        Some(rest) => {
            *left = rest;
            true
        }
        None => false,
    }
}
