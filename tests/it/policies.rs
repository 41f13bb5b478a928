//! Policies in a running site: what each hook is for, what becomes of hostile ones, and how they come and go.

mod authors;
mod brake;
mod decisions;
mod folder;
mod gates;
mod hostile;
mod keeping;
mod matching;
mod monitor;
mod naming;
mod offline;
mod parameters;
mod released;
mod replacing;
mod replay;
