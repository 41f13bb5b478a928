//! The rules of Jenkins' gearman-plugin, kept to the letter: what is offered under which name, how a payload is read, what
//! clients are told and when a node goes offline afterwards.
//!
//! Sites have years of clients written against these rules, so they hold wherever no policy says otherwise. They are
//! small functions over values; whoever calls them gathers the facts and acts on the answer.
//!
//! This room must never evaluate a label expression (it is given the verdict and the atoms), and never asks Jenkins.

pub mod management;
pub mod matching;
pub mod names;
pub mod offline;
pub mod payload;
pub mod report;

#[cfg(test)]
mod vectors;
