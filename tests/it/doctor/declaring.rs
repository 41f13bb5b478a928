//! What `--jjb` and `--config-xml` write does what they promise: put into the controller, the finding is gone.

use std::process::Output;

use layshaft::simulator::{ParameterKind, ParameterSpec, Permission};
use tokio::process::Command;

use super::{Seed, Site, TOKEN, text};
use crate::support::{GearmanServer, Kind, within};

const PAYLOADS: &str = "build:lint {\"ZUUL_BRANCH\": \"hunter2\", \"CHANGE\": \"1\"}\nbuild:test {CHANGE: 1}\n";

/// A site whose projects declare too little: `lint` nothing at all, `team/test` a secret with a value, without a marker.
async fn lacking(gearman: &GearmanServer) -> Site {
    let mut seed = Seed::clean(&gearman.address);
    for options in &mut seed.controllers {
        let [lint, test] = &mut options.fleet.projects[..] else { panic!("there are two projects") };
        lint.parameters.clear();
        test.parameters[0] = ParameterSpec::new("SECRET", ParameterKind::Password, "hunter2");
    }
    seed.payload = Some(PAYLOADS.to_owned());
    seed.start().await
}

const LACKING: [&str; 5] = [
    "no-marker [ci1 ci2] lint",
    "no-marker [ci1 ci2] team/test",
    "parameters-lost [ci1 ci2] lint",
    "parameters-lost [ci1 ci2] team/test",
    "not-pinned [ci1 ci2] lint",
];

async fn run(command: &mut Command) -> Output {
    let output = within("a command", command.output()).await.unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {told}{}", String::from_utf8_lossy(&output.stdout));
    output
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn job_builder_makes_projects_of_the_macros_that_lose_nothing() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let site = lacking(&gearman).await;
    assert_eq!(site.findings().await, LACKING);
    let output = site.doctor(&["--jjb"]).await;
    let macros = String::from_utf8(output.stdout).unwrap();
    assert!(!macros.contains("hunter2"), "{macros}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("4 warnings, 1 note; looked at"), "{:?}", output.stderr);

    // As an operator would: the macros, and jobs that name them.
    let jobs = "
- job:
    name: lint
    project-type: freestyle
    node: linux
    concurrent: true
    parameters:
      - layshaft-parameters-of-lint
      - node: {name: NODE}
- job:
    name: team
    project-type: folder
- job:
    name: team/test
    project-type: freestyle
    concurrent: true
    parameters:
      - layshaft-parameters-of-team-test
      - password: {name: SECRET}
      - node: {name: NODE}
";
    std::fs::write(site.path("jobs.yaml"), format!("{macros}\n{jobs}")).unwrap();
    for (number, controller) in site.controllers.iter().enumerate() {
        let conf = site.path(&format!("jjb-{number}.ini"));
        let settings =
            format!("[jenkins]\nurl={}\nuser=layshaft\npassword={TOKEN}\nquery_plugins_info=False\n", controller.url());
        std::fs::write(&conf, settings).unwrap();
        let mut rendered = Command::new("jenkins-jobs");
        rendered.arg("--conf").arg(&conf).arg("test").arg(site.path("jobs.yaml")).arg("--config-xml");
        run(rendered.arg("-o").arg(site.path("rendered")).env("XDG_CACHE_HOME", site.path("cache"))).await;
        let xml = text(&site.path("rendered/lint/config.xml"));
        for name in ["UUID", "CHANGE", "ZUUL_BRANCH", "NODE"] {
            assert!(xml.contains(&format!("<name>{name}</name>")), "{name}: {xml}");
        }
        let mut update = Command::new("jenkins-jobs");
        update.arg("--conf").arg(&conf).arg("--ignore-cache").arg("update").arg(site.path("jobs.yaml"));
        run(update.env("XDG_CACHE_HOME", site.path("cache"))).await;
    }
    assert_eq!(site.findings().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_patches_apply_and_what_they_make_loses_nothing() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let site = lacking(&gearman).await;
    let patches = site.path("patches");
    let output = site.doctor(&["--config-xml", patches.to_str().unwrap()]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("wrote 4 patches and 0 fragments into "), "{told}");
    for (name, controller) in ["ci1", "ci2"].into_iter().zip(&site.controllers) {
        for (project, path) in [("lint", "job/lint"), ("team/test", "job/team/job/test")] {
            let patch = patches.join(name).join(format!("{project}.patch"));
            assert!(!text(&patch).contains("hunter2"), "{}", text(&patch));
            let (file, url) = (site.path("config.xml"), format!("{}{path}/config.xml", controller.url()));
            let curl = || {
                let mut curl = Command::new("curl");
                curl.args(["-sS", "--fail", "--noproxy", "*", "-u", &format!("layshaft:{TOKEN}")]);
                curl
            };
            run(curl().arg(&url).arg("-o").arg(&file)).await;
            let before = text(&file);
            run(Command::new("patch").args(["--fuzz=0", "--no-backup-if-mismatch"]).arg(&file).arg(&patch)).await;
            assert!(text(&file).contains("<name>UUID</name>") && before.lines().count() < text(&file).lines().count());
            let data = format!("@{}", file.display());
            run(curl().args(["-H", "Content-Type: application/xml", "--data-binary", &data, &url])).await;
        }
    }
    assert_eq!(site.findings().await, ["not-pinned [ci1 ci2] lint"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_right_to_read_configurations_there_is_what_to_put_there_by_hand() {
    let gearman = GearmanServer::start(Kind::Gearmand).await;
    let mut seed = Seed::clean(&gearman.address);
    seed.payload = Some("build:lint {CHANGE: 1}\n".to_owned());
    for options in &mut seed.controllers {
        options.users[0]
            .permissions
            .retain(|held| !matches!(held, Permission::ItemConfigure | Permission::OverallAdminister));
    }
    let site = seed.start().await;
    let patches = site.path("patches");
    let output = site.doctor(&["--config-xml", patches.to_str().unwrap()]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("grant the user the permission") && told.contains("0 patches and 2 fragments"), "{told}");
    let fragment = text(&patches.join("ci1/lint.xml"));
    assert!(fragment.contains("<hudson.model.TextParameterDefinition>\n          <name>CHANGE</name>"), "{fragment}");
}
