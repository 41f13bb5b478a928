//! Jenkins' label expressions: read, printed and evaluated as Jenkins does it.
//!
//! A project may be tied to nodes by an expression such as `linux && !arm || "big iron"`. Jenkins decides where a
//! build may run by it, and the names under which a project is offered are made of its atoms, so it has to be read here
//! exactly as there: a node that offers what Jenkins would never start on it leaves builds stuck.
//!
//! This room knows text and truth values. It must never know nodes, projects or functions.

mod expression;
mod lexer;
mod list;
#[cfg(test)]
mod oracle_tests;
mod parser;
mod quoting;

pub use expression::Expression;
pub use list::split_list;
pub use parser::ParseError;
