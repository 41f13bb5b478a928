use tempfile::TempDir;

use super::super::guest::{Guest, abstains, named};
use super::super::reload::Policies;
use super::super::signer::Signer;
use super::*;
use crate::policy::PublicKey;

/// A folder of policies: file name and content.
fn folder(files: &[(&str, Vec<u8>)]) -> (TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    let config = Config::new(folder.path());
    (folder, config)
}

fn naming(name: &str) -> Vec<u8> {
    Guest::new("names").naming(&named(&[name])).build()
}

fn names(lineup: &Lineup) -> Vec<String> {
    lineup.digests().into_keys().collect()
}

fn slots(lineup: &Lineup) -> Vec<String> {
    lineup.generation().slots.iter().map(|slot| slot.voice.name.to_string()).collect()
}

#[test]
fn a_candidate_takes_the_place_of_the_policy_of_its_name() {
    let (_folder, config) = folder(&[("10-names.wasm", naming("a")), ("20-other.wasm", naming("b"))]);
    let mut lineup = Lineup::in_force(&config).unwrap();
    assert_eq!((slots(&lineup), lineup.warnings().len()), (vec!["names".into(), "other".into()], 0));
    let (desk, _) = folder(&[("names.wasm", naming("c")), ("05-third.wasm", naming("d"))]);
    let seated = lineup.seat(&desk.path().join("names.wasm")).unwrap();
    assert_eq!(seated.replaces, Some(Digest::of(&naming("a"))));
    assert_eq!(seated.digest, Digest::of(&naming("c")));
    let seated = lineup.seat(&desk.path().join("05-third.wasm")).unwrap();
    assert_eq!((seated.name.as_str(), seated.replaces), ("third", None));
    assert_eq!(slots(&lineup), ["third", "names", "other"], "a number is a place, and without one the place stays");
    lineup.remove("other").unwrap();
    assert_eq!(slots(&lineup), ["third", "names"]);
    assert!(lineup.remove("other").unwrap_err().to_string().contains("no policy is called other"));
}

#[test]
fn what_the_daemon_wrote_down_counts_more_than_what_lies_in_the_folder() {
    let (folder, mut config) = folder(&[("10-names.wasm", naming("a"))]);
    let state = tempfile::tempdir().unwrap();
    config.state = Some(state.path().to_owned());
    drop(Policies::open(config.clone()).unwrap());
    std::fs::write(folder.path().join("10-names.wasm"), "broken").unwrap();
    let lineup = Lineup::in_force(&config).unwrap();
    assert_eq!(lineup.digests()["names"], Digest::of(&naming("a")));
    config.state = Some(folder.path().join("nobody was here"));
    let lineup = Lineup::in_force(&config).unwrap();
    assert!(names(&lineup).is_empty());
    assert!(lineup.warnings()[0].contains("policy names is left out"), "{:?}", lineup.warnings());
}

#[test]
fn a_required_policy_that_is_missing_blocks_and_one_that_is_taken_out_does_not() {
    let (_folder, mut config) = folder(&[("10-names.wasm", naming("a"))]);
    config.slots.insert("gone".to_owned(), super::super::config::SlotGuard::default());
    let mut lineup = Lineup::in_force(&config).unwrap();
    assert_eq!(lineup.generation().blocked.len(), 1);
    assert!(lineup.warnings()[0].contains("policy gone is left out"), "{:?}", lineup.warnings());
    let (desk, _) = self::folder(&[("gone.wasm", naming("c"))]);
    lineup.seat(&desk.path().join("gone.wasm")).unwrap();
    assert!(lineup.generation().blocked.is_empty());
    lineup.remove("gone").unwrap();
    assert!(lineup.generation().blocked.is_empty());
}

#[test]
fn a_candidate_that_the_daemon_would_refuse_is_refused_with_its_words() {
    let (desk, mut config) = folder(&[
        ("core.wasm", b"\0asm\x01\0\0\0".to_vec()),
        ("names.wasm", naming("a")),
        ("trial.wasm", Guest::new("trial").matching(&abstains()).build()),
    ]);
    config.folder = desk.path().join("none");
    config.slots.entry("names".into()).or_default().sha256 = Some(Digest::of(b"another"));
    config.slots.entry("trial".into()).or_default().mode = Mode::Monitor;
    let mut lineup = Lineup::classic(&config).unwrap();
    let error = lineup.seat(&desk.path().join("core.wasm")).unwrap_err().to_string();
    assert!(error.contains("policy core refused at gate interface"), "{error}");
    lineup.seat(&desk.path().join("names.wasm")).unwrap();
    lineup.seat(&desk.path().join("trial.wasm")).unwrap();
    assert!(lineup.warnings()[0].contains("gate pin") && lineup.warnings()[1].contains("on trial"));
    assert_eq!(slots(&lineup), ["names", "trial"]);
}

#[test]
fn whom_the_site_does_not_trust_is_not_in_force_and_a_candidate_is_looked_at_before_it_is_signed() {
    let ours = Signer::new();
    let signed = |file: &str, bytes: &[u8]| ours.sign(file, bytes).into_bytes();
    let (folder, mut config) = folder(&[
        ("10-names.wasm", naming("a")),
        ("10-names.toml", Vec::new()),
        ("10-names.wasm.minisig", signed("10-names.wasm", &naming("a"))),
        ("10-names.toml.minisig", signed("10-names.toml", b"")),
        ("20-stranger.wasm", naming("b")),
    ]);
    config.keys.insert("release".to_owned(), PublicKey::try_from(ours.public_key()).unwrap());
    let state = tempfile::tempdir().unwrap();
    let in_folder = Lineup::in_force(&config).unwrap();
    config.state = Some(state.path().to_owned());
    drop(Policies::open(config.clone()).unwrap());
    let in_state = Lineup::in_force(&config).unwrap();
    for lineup in [in_folder, in_state.clone()] {
        assert_eq!(slots(&lineup), ["names"]);
    }
    let mut lineup = in_state;
    lineup.seat(&folder.path().join("20-stranger.wasm")).unwrap();
    assert_eq!(slots(&lineup), ["names", "stranger"]);
    assert!(lineup.warnings()[0].contains("stranger would be refused at gate signature: "), "{:?}", lineup.warnings());

    // A key was withdrawn since it was written down.
    config.keys = [("new".to_owned(), PublicKey::try_from(Signer::new().public_key()).unwrap())].into();
    let lineup = Lineup::in_force(&config).unwrap();
    assert_eq!((slots(&lineup), lineup.generation().blocked.len()), (Vec::new(), 1));
    assert!(lineup.warnings()[0].contains("names is left out: refused at gate signature: "), "{:?}", lineup.warnings());
}

#[test]
fn where_the_folder_may_not_stand_for_what_cannot_be_read_it_is_said_who_can() {
    let (_folder, mut config) = folder(&[("10-names.wasm", naming("a"))]);
    let state = tempfile::tempdir().unwrap();
    std::fs::write(state.path().join("live.json"), "{").unwrap();
    config.state = Some(state.path().to_owned());
    let lineup = Lineup::in_force(&config).unwrap();
    assert_eq!(slots(&lineup), ["names"]);
    assert!(lineup.warnings()[0].ends_with(", so the folder stands for it"), "{:?}", lineup.warnings());
    let engine = engine::start(&config.limits).unwrap();
    let error = Lineup::as_written(&config, &engine).unwrap_err().to_string();
    assert!(error.contains("become the daemon's user"), "{error}");
}
