use super::super::{Exit, terminal};
use crate::policy;

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  layshaft policy schema
  layshaft policy schema matching.matches
  layshaft policy schema cases > cases.schema.json")]
pub(super) struct Schema {
    /// A hook, or `cases`; without it all are printed, by name.
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(policy::schemas()))]
    name: Option<String>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  layshaft policy contract
  layshaft policy contract --wit > wit/policy.wit")]
pub(super) struct Contract {
    /// Print the file wit/policy.wit, from which policies are built.
    #[arg(long)]
    wit: bool,
}

impl Schema {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        match &self.name {
            Some(name) => terminal::say_json(&policy::schema(name))?,
            None => {
                let all = policy::schemas().into_iter().map(|name| (name, policy::schema(name)));
                terminal::say_json(&all.collect::<std::collections::BTreeMap<_, _>>())?;
            }
        }
        Ok(Exit::Ok)
    }
}

impl Contract {
    pub(super) fn run(&self) -> anyhow::Result<Exit> {
        terminal::say_bytes(if self.wit { policy::WIT.to_owned() } else { policy::page() }.as_bytes())?;
        Ok(Exit::Ok)
    }
}
