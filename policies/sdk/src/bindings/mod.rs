//! The contract as Rust, written by wit-bindgen and committed: who builds a policy does not pay for generating it.

#![allow(unsafe_code, reason = "generated; memory crosses into the component here")]
#![allow(unreachable_pub, missing_debug_implementations, elided_lifetimes_in_paths, reason = "generated")]
#![allow(
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::semicolon_if_nothing_returned,
    clippy::unwrap_used,
    clippy::use_self,
    reason = "generated"
)]

#[rustfmt::skip]
pub mod matching;
#[rustfmt::skip]
pub mod meta;
#[rustfmt::skip]
pub mod naming;
#[rustfmt::skip]
pub mod offline;
#[rustfmt::skip]
pub mod parameters;
