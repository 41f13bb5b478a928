use alloc::{
    format,
    string::{String, ToString},
    vec::Vec,
};

use layshaft_policy_sdk::{Globs, ProjectGlobs, quoted};

/// The site's lists.
#[derive(Debug)]
pub struct Settings {
    /// The first whose projects match decides.
    pub(crate) rules: Vec<Rule>,
    /// Each of them rejects.
    pub(crate) deny: Vec<Deny>,
}

/// What passes to some projects.
#[derive(Debug)]
pub struct Rule {
    /// As reasons call it, such as ``rule `deploys` ``.
    pub(crate) name: String,
    pub(crate) projects: ProjectGlobs,
    pub(crate) allow: Globs,
    /// Stronger than `allow`.
    pub(crate) drop: Globs,
    pub(crate) rest: Rest,
}

/// What becomes of parameters that a rule does not list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rest {
    /// They pass.
    Open,
    /// They pass only if another policy allows them.
    Closed,
}

/// What rejects a job.
#[derive(Debug)]
pub struct Deny {
    /// As reasons call it, such as ``deny rule `no-shell` ``.
    pub(crate) name: String,
    pub(crate) projects: ProjectGlobs,
    /// Matches the parameter's name.
    pub(crate) parameter: Globs,
    /// Only these values are denied; none means every value.
    pub(crate) values: Option<Globs>,
    pub(crate) unseen: Unseen,
    /// Added to the reason, as the site wrote it.
    pub(crate) reason: Option<String>,
}

/// What a deny rule about values does where the value is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unseen {
    Reject,
    Pass,
}

impl Settings {
    /// Reads the settings' JSON text.
    ///
    /// # Errors
    ///
    /// A sentence for the operator.
    pub fn read(json: &str) -> Result<Self, String> {
        let mut settings = layshaft_policy_sdk::Settings::read(json)?;
        let rules = settings.tables("rules")?.into_iter().map(Rule::read).collect::<Result<Vec<_>, _>>()?;
        let deny = settings.tables("deny")?.into_iter().map(Deny::read).collect::<Result<Vec<_>, _>>()?;
        settings.finish()?;
        if rules.is_empty() && deny.is_empty() {
            return Err(
                "there is nothing to enforce: write [[settings.rules]] or [[settings.deny]] beside the policy".into()
            );
        }
        Ok(Self { rules, deny })
    }
}

impl Rule {
    fn read(mut settings: layshaft_policy_sdk::Settings) -> Result<Self, String> {
        let name = name_of("rule", &mut settings)?;
        let projects = settings.project_globs("projects")?.unwrap_or_else(ProjectGlobs::everything);
        let allow = settings.globs("allow")?.unwrap_or_default();
        let drop = settings.globs("drop")?.unwrap_or_default();
        let rest = settings.choice("rest", &[("open", Rest::Open), ("closed", Rest::Closed)])?.unwrap_or(Rest::Closed);
        refuse_no_projects(&projects, &settings)?;
        settings.finish()?;
        Ok(Self { name, projects, allow, drop, rest })
    }
}

impl Deny {
    fn read(mut settings: layshaft_policy_sdk::Settings) -> Result<Self, String> {
        let name = name_of("deny rule", &mut settings)?;
        let projects = settings.project_globs("projects")?.unwrap_or_else(ProjectGlobs::everything);
        let Some(parameter) = settings.text("parameter")? else {
            return Err(format!("{} names no parameter: write parameter = \"PATTERN\"", settings.path()));
        };
        let parameter = Globs::new([parameter]).map_err(|error| format!("{}.parameter: {error}", settings.path()))?;
        let values = settings.globs("values")?;
        if values.as_ref().is_some_and(Globs::is_empty) {
            return Err(format!(
                "{}.values is empty and would deny nothing; leave it out to deny every value",
                settings.path()
            ));
        }
        let unseen = settings.choice("unseen", &[("reject", Unseen::Reject), ("pass", Unseen::Pass)])?;
        if unseen.is_some() && values.is_none() {
            return Err(format!("{}.unseen needs values: without them no value is looked at", settings.path()));
        }
        let reason = settings.text("reason")?;
        refuse_no_projects(&projects, &settings)?;
        settings.finish()?;
        Ok(Self { name, projects, parameter, values, unseen: unseen.unwrap_or(Unseen::Reject), reason })
    }
}

/// Returns ``rule `deploys` ``, or `rule 2` for one without a name.
fn name_of(kind: &str, settings: &mut layshaft_policy_sdk::Settings) -> Result<String, String> {
    let place = settings.path().rsplit('[').next().unwrap_or_default().trim_end_matches(']').to_string();
    let name = settings.text("name")?.map_or(place, |name| quoted(&name));
    Ok(format!("{kind} {name}"))
}

fn refuse_no_projects(projects: &ProjectGlobs, settings: &layshaft_policy_sdk::Settings) -> Result<(), String> {
    if projects.is_empty() {
        return Err(format!(
            "{}.projects is empty and would cover nothing; leave it out to cover all",
            settings.path()
        ));
    }
    Ok(())
}
