use std::time::Duration;

use crate::domain::{BuildResult, ProjectKind};
use crate::simulator::auth::Permission;
use crate::simulator::fleet::{Length, ParameterKind, ParameterSpec, ProjectSpec, StepSpec};
use crate::simulator::render::item_path;
use crate::simulator::request::{Answer, Body, Request, Routed};
use crate::simulator::world::{Item, World, child_name};
use crate::xml::{Element, escape};

const FOLDER: &str = "com.cloudbees.hudson.plugins.folder.Folder";
const MULTIBRANCH: &str = "org.jenkinsci.plugins.workflow.multibranch.WorkflowMultiBranchProject";

/// Serves `createItem`, at the root or in a folder: from XML, as a copy, or as an empty item of some kind.
pub(super) fn create_item(world: &mut World, request: &Request, folder: &str) -> Routed {
    request.must_post()?;
    request.must_have(Permission::ItemCreate)?;
    let name = request.parameter("name").unwrap_or_default().trim();
    // Forms of some clients name the folder again.
    let name = name.rsplit('/').next().unwrap_or(name);
    check_name(name)?;
    let full_name = child_name(folder, name);
    if world.items.contains_key(&full_name) {
        return Ok(Answer::bad_request(&format!("A job already exists with the name '{name}'")));
    }
    match request.parameter("mode") {
        Some("copy") => copy(world, request, folder, &full_name),
        Some(FOLDER) => {
            world.add_folder(&full_name, false);
            Ok(created(request, &full_name))
        }
        Some(kind) => {
            let Some(kind) = kind_of_class(kind) else { return Ok(Answer::bad_request("No such kind of item")) };
            world.add_project(ProjectSpec { kind, ..ProjectSpec::new(full_name.as_str()) });
            Ok(created(request, &full_name))
        }
        None if request.is_xml => from_xml(world, request, &full_name),
        None => Ok(Answer::bad_request("No mode given")),
    }
}

/// Serves a POST to `config.xml`. What the project does when it runs stays, unless the XML says something about it.
pub(super) fn reconfigure(world: &mut World, request: &Request, full_name: &str) -> Routed {
    let root = parse(request)?;
    if let Some(project) = world.project(full_name) {
        let spec = read_project(&root, project.spec.clone());
        world.update_project(full_name, spec);
    } else {
        world.set_disabled(full_name, root.text_of("disabled") == Some("true"));
    }
    Ok(Answer::empty(200))
}

/// Writes the `config.xml` of an item.
pub(super) fn configuration(world: &World, full_name: &str) -> Answer {
    let declaration = "<?xml version=\"1.1\" encoding=\"UTF-8\"?>\n";
    let body = match world.items.get(full_name) {
        None => return Answer::not_found(),
        Some(Item::Folder(folder)) => {
            let root = if folder.multibranch { MULTIBRANCH } else { FOLDER };
            format!("{declaration}<{root}>\n  <disabled>{}</disabled>\n</{root}>\n", folder.disabled)
        }
        Some(Item::Project(project)) => format!("{declaration}{}", write_project(&project.spec)),
    };
    Answer::new(200, Body::Xml(body))
}

/// Goes on if Jenkins takes this as a name.
pub(super) fn check_name(name: &str) -> Result<(), Box<Answer>> {
    let is_unsafe = |c: char| c.is_control() || "?*/\\%!@#$^&|<>[]:;".contains(c);
    let reason = if name.is_empty() {
        "No name is specified".to_owned()
    } else if name == "." || name == ".." || name.ends_with('.') {
        format!("'{name}' is not an allowed name")
    } else if let Some(character) = name.chars().find(|c| is_unsafe(*c)) {
        format!("'{}' is an unsafe character", character.escape_default())
    } else {
        return Ok(());
    };
    Err(Box::new(Answer::bad_request(&reason)))
}

fn from_xml(world: &mut World, request: &Request, full_name: &str) -> Routed {
    let root = parse(request)?;
    match root.name.as_str() {
        FOLDER => world.add_folder(full_name, false),
        MULTIBRANCH => world.add_folder(full_name, true),
        name => {
            let Some(kind) = kind_of_root(name) else {
                return Ok(Answer::oops(&format!("CannotResolveClass: {name}")));
            };
            let spec = ProjectSpec { kind, ..ProjectSpec::new(full_name) };
            world.add_project(read_project(&root, spec));
        }
    }
    Ok(Answer::empty(200))
}

fn copy(world: &mut World, request: &Request, folder: &str, full_name: &str) -> Routed {
    let from = request.parameter("from").unwrap_or_default();
    let source = from.strip_prefix('/').map_or_else(|| child_name(folder, from), str::to_owned);
    let Some(project) = world.project(&source).filter(|_| request.caller.may_read(&source)) else {
        return Ok(Answer::bad_request(&format!("No such job: {from}")));
    };
    let spec = ProjectSpec { full_name: full_name.to_owned(), ..project.spec.clone() };
    world.add_project(spec);
    Ok(created(request, full_name))
}

fn created(request: &Request, full_name: &str) -> Answer {
    Answer::redirect(&format!("{}{}configure", request.origin, item_path(None, full_name)))
}

fn parse(request: &Request) -> Result<Element, Box<Answer>> {
    Element::parse(&request.body).map_err(|error| Box::new(Answer::oops(&error.to_string())))
}

fn read_project(root: &Element, mut spec: ProjectSpec) -> ProjectSpec {
    if let Some(text) = root.text_of("description") {
        text.clone_into(&mut spec.description);
    }
    spec.disabled = root.text_of("disabled") == Some("true");
    spec.concurrent = root.text_of("concurrentBuild") == Some("true") || spec.kind == ProjectKind::Pipeline;
    spec.label = root.text_of("assignedNode").filter(|text| !text.is_empty()).map(str::to_owned);
    spec.trigger_token = root.text_of("authToken").filter(|text| !text.is_empty()).map(str::to_owned);
    let below = root.descendants();
    spec.parameters = below.iter().filter_map(|element| read_parameter(element)).collect();
    let commands = below.iter().filter(|element| matches!(element.name.as_str(), "command" | "script"));
    for text in commands.map(|element| element.text.as_str()) {
        read_command(text, &mut spec);
    }
    spec
}

fn read_parameter(element: &Element) -> Option<ParameterSpec> {
    let class = element.name.rsplit('.').next()?;
    let kind = ParameterKind::from_stem(class.strip_suffix("ParameterDefinition")?)?;
    let choices = element.child("choices").into_iter().flat_map(Element::descendants);
    Some(ParameterSpec {
        name: element.text_of("name").unwrap_or_default().to_owned(),
        kind,
        default: element.text_of("defaultValue").unwrap_or_default().to_owned(),
        choices: choices.filter(|choice| choice.name == "string").map(|choice| choice.text.trim().to_owned()).collect(),
    })
}

/// Takes from a script how long builds last, how they end and where a pipeline's steps run. Nothing else of it is run.
fn read_command(text: &str, spec: &mut ProjectSpec) {
    let number_after = |word: &str| {
        let rest = text.split(word).nth(1)?.trim_start_matches([' ', '(']);
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    spec.duration = Length::Fixed(Duration::from_secs(number_after("sleep").unwrap_or(0)));
    spec.result = match number_after("exit") {
        Some(code) if code > 0 => BuildResult::Failure,
        _ => BuildResult::Success,
    };
    if spec.kind == ProjectKind::Pipeline {
        let labels = text.split("node").skip(1).map(|rest| {
            let argument = rest.trim_start().strip_prefix('(').and_then(|rest| rest.split(')').next());
            argument.map(|label| label.trim().trim_matches(['\'', '"']).to_owned()).filter(|label| !label.is_empty())
        });
        let duration = spec.duration;
        spec.steps = Some(labels.map(|label| StepSpec { label, duration }).collect());
    }
}

fn write_project(spec: &ProjectSpec) -> String {
    let root = match spec.kind {
        ProjectKind::Freestyle | ProjectKind::Other | ProjectKind::Unknown => "project",
        ProjectKind::Maven => "maven2-moduleset",
        ProjectKind::Matrix => "matrix-project",
        ProjectKind::Pipeline => "flow-definition",
    };
    let parameters: String = spec.parameters.iter().map(write_parameter).collect();
    let properties = match parameters.is_empty() {
        true => "  <properties/>\n".to_owned(),
        false => format!(
            "  <properties>\n    <hudson.model.ParametersDefinitionProperty>\n      <parameterDefinitions>\n\
             {parameters}      </parameterDefinitions>\n    </hudson.model.ParametersDefinitionProperty>\n  \
             </properties>\n"
        ),
    };
    let label = spec.label.as_deref().map(|label| format!("  <assignedNode>{}</assignedNode>\n", escape(label)));
    let seconds = match spec.duration {
        Length::Fixed(duration) => duration.as_secs(),
        Length::Manual => 0,
    };
    let script = match spec.kind {
        ProjectKind::Pipeline => {
            let steps = spec.steps();
            let steps = steps
                .iter()
                .map(|step| format!("node('{}') {{ sleep {seconds} }} ", step.label.as_deref().unwrap_or_default()));
            format!("  <definition>\n    <script>{}</script>\n  </definition>\n", escape(&steps.collect::<String>()))
        }
        _ => format!(
            "  <builders>\n    <hudson.tasks.Shell>\n      <command>sleep {seconds}; exit {}</command>\n    \
             </hudson.tasks.Shell>\n  </builders>\n",
            u8::from(spec.result == BuildResult::Failure)
        ),
    };
    format!(
        "<{root}>\n  <description>{}</description>\n{properties}{}  \
         <disabled>{}</disabled>\n  <concurrentBuild>{}</concurrentBuild>\n{script}</{root}>\n",
        escape(&spec.description),
        label.unwrap_or_default(),
        spec.disabled,
        spec.concurrent,
    )
}

fn write_parameter(parameter: &ParameterSpec) -> String {
    let class = parameter.kind.definition_class();
    let choices: String =
        parameter.choices.iter().map(|choice| format!("<string>{}</string>", escape(choice))).collect();
    format!(
        "        <{class}>\n          <name>{}</name>\n          <defaultValue>{}</defaultValue>\n          \
         <choices>{choices}</choices>\n        </{class}>\n",
        escape(&parameter.name),
        escape(&parameter.default),
    )
}

fn kind_of_root(name: &str) -> Option<ProjectKind> {
    Some(match name {
        "project" => ProjectKind::Freestyle,
        "maven2-moduleset" => ProjectKind::Maven,
        "matrix-project" => ProjectKind::Matrix,
        "flow-definition" => ProjectKind::Pipeline,
        _ => return None,
    })
}

fn kind_of_class(class: &str) -> Option<ProjectKind> {
    Some(match class {
        "hudson.model.FreeStyleProject" => ProjectKind::Freestyle,
        "hudson.maven.MavenModuleSet" => ProjectKind::Maven,
        "hudson.matrix.MatrixProject" => ProjectKind::Matrix,
        "org.jenkinsci.plugins.workflow.job.WorkflowJob" => ProjectKind::Pipeline,
        _ => return None,
    })
}
