//! Jobs that become builds: what is started, what the client hears, what becomes of the node.

mod half_open;
mod loss;
mod offline;
mod parameters;
mod refusals;
mod reports;
mod restarts;
mod starting;
