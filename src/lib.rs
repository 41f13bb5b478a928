//! Layshaft lets any idle executor of any Jenkins controller serve one shared Gearman job queue.
//!
//! The floor plan; a room uses the floors below it and never its neighbours:
//!
//! ```text
//! TOP      cli  config  web
//! 2ND      runtime                                     the only room where things happen over time
//!          doctor                                      what is wrong with a site, out of what was seen of it, pure
//! 1ST      journal  policy  jenkins  gearman  simulator
//! GROUND   classic  label  xml                         the plugin's rules, Jenkins' label language, its config.xml; pure
//! CELLAR   domain                                      values
//! ```
//!
//! What is absent on purpose: nothing in `domain`, `label`, `classic`, `gearman::{packet, codec, session}` and
//! `runtime::{table, keeping, plan}` awaits, sleeps or reads a clock. Only `jenkins::wire` knows Jenkins' JSON, only
//! `policy::bindings` wit types, only `gearman::codec` bytes. A policy that is missing, slow, trapping or malformed
//! never stops a running build. Nothing is unsafe but what a macro writes into `policy::bindings`, and one line in
//! `policy::deserialize`, which says why.

pub mod classic;
pub mod cli;
pub mod config;
pub mod doctor;
pub mod domain;
pub mod gearman;
pub mod jenkins;
pub mod journal;
pub mod label;
pub mod policy;
pub mod runtime;
pub mod simulator;
pub mod web;
mod xml;
