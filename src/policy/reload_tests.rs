use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::policy::config::{Limits, SlotGuard};
use crate::policy::guest::{GROW, Guest, LOOP, abstains, named, vetoes};
use crate::policy::samples::{controller, project};
use crate::policy::status::{ChangeKind, Gate, SlotState};
use crate::policy::{Digest, Mode};

/// A site: its folder, its state, and its configuration.
pub(in crate::policy) struct Site {
    root: TempDir,
    pub(in crate::policy) config: Config,
}

impl Site {
    pub(in crate::policy) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let mut config = Config::new(root.path().join("policies"));
        fs::create_dir(&config.folder).unwrap();
        config.state = Some(root.path().join("state"));
        config.limits = Limits { fuel: 3_000_000, ..Limits::default() };
        config.quiet = Duration::from_millis(40);
        config.rescan = Duration::from_millis(200);
        Self { root, config }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.config.folder.join(file)
    }

    pub(in crate::policy) fn put(&self, file: &str, contents: impl AsRef<[u8]>) {
        fs::write(self.path(file), contents).unwrap();
    }

    pub(in crate::policy) fn delete(&self, file: &str) {
        fs::remove_file(self.path(file)).unwrap();
    }

    pub(in crate::policy) fn open(&self) -> Policies {
        Policies::open(self.config.clone()).unwrap()
    }
}

pub(in crate::policy) fn good() -> Vec<u8> {
    Guest::new("good").matching(&abstains()).build()
}

pub(in crate::policy) fn better() -> Vec<u8> {
    Guest::new("better").matching(&vetoes()).build()
}

/// Abstains the first time and offers no name at all from then on.
const FORGETFUL: &str = "(i32.store (i32.const 0x4100) (i32.load (i32.const 0x4000))) \
                         (i32.store (i32.const 0x4000) (i32.const 1)) (i32.const 0x4100)";

#[track_caller]
pub(in crate::policy) fn check(policies: &Policies, expected: &[(&str, SlotState, Option<&[u8]>)]) {
    let list = policies.list();
    let seen: Vec<_> = list.iter().map(|status| (status.name.as_str(), status.state, status.digest.clone())).collect();
    let expected: Vec<_> =
        expected.iter().map(|(name, state, module)| (*name, *state, module.map(Digest::of))).collect();
    assert_eq!(seen, expected, "{list:#?}");
}

fn is_blocked(policies: &Policies, project_name: &str) -> bool {
    policies.live().is_blocked(&controller("ci"), &project(project_name).name, &["n1".to_owned()].into())
}

#[tokio::test]
async fn a_dropped_policy_is_in_force_and_a_replacement_replaces_it() {
    let site = Site::new();
    let policies = site.open();
    assert_eq!((policies.live().number(), policies.live().slots.len()), (1, 0));
    site.put("10-a.wasm", good());
    let report = policies.reload().await;
    assert_eq!((report.generation, report.changed[0].kind), (2, ChangeKind::Added));
    let before = policies.live();
    site.put("10-a.wasm", better());
    let report = policies.reload().await;
    assert_eq!((report.generation, report.changed[0].kind), (3, ChangeKind::Replaced));
    check(&policies, &[("a", SlotState::Live, Some(&better()))]);
    // Whoever started with the generation before still has it.
    assert_eq!(before.digests(), [Digest::of(&good())]);
    assert_eq!(policies.reload().await.generation, 3);
}

#[tokio::test]
async fn a_broken_replacement_keeps_the_last_good_version() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", good());
    let policies = site.open();
    let broken: Vec<(Vec<u8>, Gate)> = vec![
        (better()[..300].to_vec(), Gate::Interface),
        (Guest::new("x").naming(&named(&["white space"])).build(), Gate::Laws),
        (Guest::new("x").function("naming", "names", LOOP).build(), Gate::Laws),
        (Guest::new("x").function("matching", "matches", LOOP).build(), Gate::Laws),
        (Guest::new("x").function("parameters", "filter", format!("{GROW} unreachable")).build(), Gate::Laws),
        (Guest::new("x").function("naming", "names", FORGETFUL).build(), Gate::Laws),
        (Guest::new("x").matching(&vetoes()).refusing_settings("missing key 'roots'").build(), Gate::Settings),
    ];
    for (module, gate) in broken {
        site.put("10-a.wasm", module);
        let report = policies.reload().await;
        assert_eq!((report.refused.len(), report.refused[0].gate, report.generation), (1, gate, 1), "{report:?}");
        check(&policies, &[("a", SlotState::LastGood, Some(&good())), ("b", SlotState::Live, Some(&good()))]);
        assert_eq!(policies.readiness(), [] as [String; 0]);
    }
    assert!(policies.list()[0].error.as_ref().unwrap().contains("missing key 'roots'"));
    site.put("10-a.wasm", better());
    assert_eq!(policies.reload().await.generation, 2);
    check(&policies, &[("a", SlotState::Live, Some(&better())), ("b", SlotState::Live, Some(&good()))]);
}

#[tokio::test]
async fn settings_are_a_version_too_and_a_broken_sidecar_is_refused() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = site.open();
    site.put("10-a.toml", "[settings]\nx = 1\n[[bind]]\n[[bind]]\n");
    let report = policies.reload().await;
    assert_eq!(report.changed[0].kind, ChangeKind::Replaced);
    assert_eq!((policies.list()[0].bindings, &*policies.live().slots[1].settings), (2, r#"{"x":1}"#));
    site.put("10-a.toml", "grants = ['widen']");
    let report = policies.reload().await;
    assert_eq!(report.refused[0].gate, Gate::Settings);
    assert_eq!(policies.list()[0].bindings, 2);
}

#[tokio::test]
async fn a_renumbered_policy_moves_without_being_replaced() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", better());
    let policies = site.open();
    fs::rename(site.path("10-a.wasm"), site.path("30-a.wasm")).unwrap();
    let report = policies.reload().await;
    assert_eq!((report.changed.len(), report.changed[0].kind), (1, ChangeKind::Moved));
    assert_eq!(policies.live().digests(), [Digest::of(&better()), Digest::of(&good())]);
}

#[tokio::test]
async fn one_deleted_file_ends_its_policy_but_an_emptied_folder_ends_none() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", better());
    let policies = site.open();
    site.delete("10-a.wasm");
    let report = policies.reload().await;
    assert_eq!((report.changed[0].slot.as_str(), report.changed[0].kind), ("a", ChangeKind::Removed));
    check(&policies, &[("b", SlotState::Live, Some(&better()))]);

    site.delete("20-b.wasm");
    let report = policies.reload().await;
    assert_eq!((report.generation, report.refused[0].gate), (2, Gate::Folder));
    check(&policies, &[("b", SlotState::Missing, Some(&better()))]);
    assert!(policies.readiness()[0].contains("suddenly empty"), "{:?}", policies.readiness());

    fs::remove_dir(&site.config.folder).unwrap();
    let report = policies.reload().await;
    assert_eq!((report.generation, report.refused[0].gate), (2, Gate::Folder));
    check(&policies, &[("b", SlotState::Missing, Some(&better()))]);
    assert!(!is_blocked(&policies, "lint"));

    let report = policies.retire("b", BTreeSet::new()).await.unwrap();
    assert_eq!(report.changed[0].kind, ChangeKind::Removed);
    assert!(policies.live().slots.is_empty());
    assert!(is_blocked(&policies, "lint"), "what should be in force is unknown while the folder is missing");
    fs::create_dir(&site.config.folder).unwrap();
    policies.reload().await;
    assert!(!is_blocked(&policies, "lint"));
    assert_eq!(policies.readiness(), [] as [String; 0]);
}

#[tokio::test]
async fn a_policy_that_the_configuration_requires_is_not_ended_by_deleting_its_file() {
    let mut site = Site::new();
    site.config.slots.insert("a".into(), SlotGuard::default());
    site.put("10-a.wasm", good());
    site.put("20-b.wasm", better());
    let policies = site.open();
    assert!(matches!(policies.retire("a", BTreeSet::new()).await, Err(Error::StillThere { .. })));
    site.delete("10-a.wasm");
    let report = policies.reload().await;
    assert_eq!((report.generation, report.refused[0].gate), (1, Gate::Required));
    check(&policies, &[("a", SlotState::Missing, Some(&good())), ("b", SlotState::Live, Some(&better()))]);

    policies.retire("a", BTreeSet::new()).await.unwrap();
    check(&policies, &[("b", SlotState::Live, Some(&better()))]);
    assert!(!is_blocked(&policies, "lint"));
    drop(policies);
    let policies = site.open();
    check(&policies, &[("b", SlotState::Live, Some(&better()))]);
}

#[tokio::test]
async fn after_a_restart_a_broken_file_still_has_its_last_good_version() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    site.put("10-a.toml", "[settings]\nx = 1");
    drop(site.open());
    site.put("10-a.wasm", &better()[..300]);
    let policies = site.open();
    check(&policies, &[("a", SlotState::LastGood, Some(&good()))]);
    assert_eq!(&*policies.live().slots[0].settings, r#"{"x":1}"#);
    assert_eq!(policies.live().number(), 1);
    assert_eq!(policies.readiness(), [] as [String; 0]);
    drop(policies);

    fs::remove_dir_all(&site.config.folder).unwrap();
    let policies = site.open();
    check(&policies, &[("a", SlotState::Missing, Some(&good()))]);
    assert!(policies.readiness()[0].contains("cannot be read"));
    assert!(!is_blocked(&policies, "lint"));
}

#[tokio::test]
async fn a_last_good_version_that_is_of_no_use_is_not_forgotten() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    drop(site.open());
    let kept = site.root.path().join(format!("state/modules/{}.wasm", Digest::of(&good())));
    fs::write(&kept, "spoilt").unwrap();
    site.put("10-a.wasm", &better()[..300]);
    let policies = site.open();
    check(&policies, &[("a", SlotState::Refused, None)]);
    assert!(is_blocked(&policies, "lint"));
    fs::write(&kept, good()).unwrap();
    let report = policies.reload().await;
    assert_eq!(report.changed[0].kind, ChangeKind::Added);
    check(&policies, &[("a", SlotState::LastGood, Some(&good()))]);
    assert!(!is_blocked(&policies, "lint"));
}

#[tokio::test]
async fn a_required_policy_that_is_broken_from_the_start_blocks_what_it_is_bound_to() {
    let mut site = Site::new();
    site.put("10-a.wasm", b"\0asm");
    site.put("10-a.toml", "[[bind]]\nprojects = ['team/**']");
    let policies = site.open();
    check(&policies, &[("a", SlotState::Refused, None)]);
    assert!(is_blocked(&policies, "team/lint"));
    assert!(!is_blocked(&policies, "lint"));
    let readiness = policies.readiness();
    assert!(readiness[0].contains("policy a refused at gate interface"), "{readiness:?}");

    // Where the binding cannot be read either, nothing is safe.
    site.put("10-a.toml", "[[bnid]]");
    policies.reload().await;
    assert!(is_blocked(&policies, "lint"));

    site.config.slots.insert("a".into(), SlotGuard { required: false, ..SlotGuard::default() });
    assert!(!is_blocked(&site.open(), "lint"));
    site.config.slots.insert("a".into(), SlotGuard { mode: Mode::Monitor, ..SlotGuard::default() });
    assert!(!is_blocked(&site.open(), "lint"));
}

#[tokio::test]
async fn a_policy_that_was_never_there_blocks_only_if_required() {
    let mut site = Site::new();
    site.config.slots.insert("a".into(), SlotGuard::default());
    let policies = site.open();
    check(&policies, &[("a", SlotState::Missing, None)]);
    assert!(is_blocked(&policies, "lint"));
    assert!(policies.readiness()[0].contains("required = false"), "{:?}", policies.readiness());
    site.put("10-a.wasm", good());
    policies.reload().await;
    assert!(!is_blocked(&policies, "lint"));
}

#[tokio::test]
async fn a_pin_accepts_one_version_only() {
    let mut site = Site::new();
    site.config.slots.insert("a".into(), SlotGuard { sha256: Some(Digest::of(&good())), ..SlotGuard::default() });
    site.put("10-a.wasm", good());
    let policies = site.open();
    site.put("10-a.wasm", better());
    assert_eq!(policies.reload().await.refused[0].gate, Gate::Pin);
    check(&policies, &[("a", SlotState::LastGood, Some(&good()))]);
}

#[tokio::test]
async fn a_rolled_back_version_stays_out_until_it_is_accepted() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    let policies = site.open();
    assert!(matches!(policies.rollback("a").await, Err(Error::NothingBefore(_))));
    assert!(matches!(policies.rollback("none").await, Err(Error::Unknown(_))));
    site.put("10-a.wasm", better());
    policies.reload().await;
    // Over a restart the version before is still known.
    drop(policies);
    let policies = site.open();
    assert_eq!(policies.live().number(), 2);
    let report = policies.rollback("a").await.unwrap();
    assert_eq!((report.generation, report.changed[0].kind), (3, ChangeKind::Replaced));
    check(&policies, &[("a", SlotState::Quarantined, Some(&good()))]);
    policies.reload().await;
    drop(policies);
    let policies = site.open();
    check(&policies, &[("a", SlotState::Quarantined, Some(&good()))]);
    assert_eq!(policies.readiness(), [] as [String; 0]);
    policies.accept("a").await.unwrap();
    check(&policies, &[("a", SlotState::Live, Some(&better()))]);
    assert!(matches!(policies.accept("a").await, Err(Error::NotQuarantined(_))));
}

/// Waits until what is in force is as wanted.
async fn wait_for(policies: &Policies, wanted: impl Fn(&Generation) -> bool) {
    let mut live = policies.subscribe();
    let found = tokio::time::timeout(Duration::from_secs(20), live.wait_for(|generation| wanted(generation))).await;
    let _ = found.expect("in time").expect("the policies are still there");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_folder_is_followed() {
    let site = Site::new();
    let policies = Arc::new(site.open());
    let stop = CancellationToken::new();
    let watching = tokio::spawn(policies.clone().watch(stop.clone()));

    // A file that is written in two steps, with a pause longer than the quiet time, is refused, then taken.
    let whole = better();
    site.put("10-a.wasm", &whole[..300]);
    let refused = async {
        while policies.list().iter().all(|policy| policy.state != SlotState::Refused) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("in time");
    site.put("10-a.wasm", &whole);
    wait_for(&policies, |generation| generation.digests() == [Digest::of(&better())]).await;

    // Settings alone.
    site.put("10-a.toml", "[settings]\nx = 1");
    wait_for(&policies, |generation| &*generation.slots[0].settings == r#"{"x":1}"#).await;

    // A folder that goes away changes nothing, and is followed again when it is back.
    let away = site.root.path().join("away");
    fs::rename(&site.config.folder, &away).unwrap();
    fs::create_dir(site.root.path().join("new")).unwrap();
    fs::write(site.root.path().join("new/10-a.wasm"), good()).unwrap();
    fs::rename(site.root.path().join("new"), &site.config.folder).unwrap();
    wait_for(&policies, |generation| generation.digests() == [Digest::of(&good())]).await;
    site.put("20-b.wasm", better());
    wait_for(&policies, |generation| generation.slots.len() == 2).await;
    site.delete("20-b.wasm");
    wait_for(&policies, |generation| generation.slots.len() == 1).await;

    stop.cancel();
    watching.await.unwrap();
}

#[test]
fn a_configuration_is_read_strictly() {
    let config: Config = toml::from_str(
        "folder = '/p'\nquiet = '1s'\nsecret_parameters = ['*_TOKEN']\n[limits]\ndeadline = '3s'\n[slots.a]\ngrants = ['widen']\nmode = 'monitor'",
    )
    .unwrap();
    assert_eq!((config.quiet, config.limits.deadline), (Duration::from_secs(1), Duration::from_secs(3)));
    assert!(config.slots["a"].required);
    for text in [
        "folder = '/p'\nfold = 1",
        "folder = '/p'\n[slots.a]\nsha256 = 'abc'",
        "folder = '/p'\n[slots.a]\ngrants = ['all']",
    ] {
        assert!(toml::from_str::<Config>(text).is_err(), "{text}");
    }
}

#[tokio::test]
async fn a_newcomer_that_is_refused_blocks_nothing_unless_the_site_names_it() {
    let mut site = Site::new();
    let policies = site.open();
    site.put("10-a.wasm", b"\0asm");
    policies.reload().await;
    check(&policies, &[("a", SlotState::Refused, None)]);
    assert!(!is_blocked(&policies, "lint"));
    assert_eq!(policies.readiness(), [""; 0]);
    // From a start on it counts.
    assert!(is_blocked(&site.open(), "lint"));

    site.delete("10-a.wasm");
    site.config.slots.insert("a".into(), SlotGuard::default());
    let policies = site.open();
    site.put("10-a.wasm", b"\0asm");
    policies.reload().await;
    assert!(is_blocked(&policies, "lint"));
}

#[test]
fn the_end_of_the_runtime_ends_the_watch_quietly() {
    let site = Site::new();
    let policies = Arc::new(site.open());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let ended = runtime.handle().clone();
    runtime.shutdown_background();
    let _inside = ended.enter();
    let mut watching = std::pin::pin!(policies.watch(CancellationToken::new()));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(watching.as_mut().poll(&mut context).is_ready(), "the watch goes on without a runtime");
}
