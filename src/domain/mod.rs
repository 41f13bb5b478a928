//! The values that every room speaks of: controllers, nodes, projects, builds, functions, parameters.
//!
//! Values only: nothing here awaits, reads a clock or knows a wire format. A *job* is Gearman's, a *project* is what
//! Jenkins calls a job.

mod build;
mod controller;
mod function;
pub mod human_duration;
mod node;
mod parameters;
mod project;
mod queue;

pub use build::{Build, BuildId, BuildResult, RunningBuild};
pub use controller::ControllerName;
pub use function::{BuildFunction, Function, FunctionName, InvalidFunctionName};
pub use node::{Executor, Mode, Node, NodeName};
pub use parameters::Parameters;
pub use project::{DeclaredParameter, Project, ProjectKind, ProjectName};
pub use queue::{LeftItem, QueueItem, QueueItemId, QueueState};
