//! What is offered to the Gearman server, by whom and when, and how it follows what changes in Jenkins.

mod busy;
mod functions;
mod grabbing;
mod nodes;
mod packets;
mod servers;
mod workers;
