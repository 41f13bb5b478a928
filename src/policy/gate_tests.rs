use std::fs;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::policy::config::SlotGuard;
use crate::policy::reload::tests::{Site, better, check, good};
use crate::policy::signer::Signer;
use crate::policy::status::{SlotState, Stage};
use crate::policy::{Error, PublicKey};

const SETTINGS: &str = "[settings]\nx = 1\n";

fn key(signer: &Signer) -> PublicKey {
    PublicKey::try_from(signer.public_key()).unwrap()
}

fn trusting(signer: &Signer) -> Site {
    let mut site = Site::new();
    site.config.keys.insert("release".to_owned(), key(signer));
    site
}

/// Drops a policy as somebody does who signs.
fn put_signed(site: &Site, signer: &Signer, module: &[u8], sidecar: &str) {
    site.put("10-a.wasm", module);
    site.put("10-a.toml", sidecar);
    site.put("10-a.wasm.minisig", signer.sign("10-a.wasm", module));
    site.put("10-a.toml.minisig", signer.sign("10-a.toml", sidecar));
}

#[tokio::test]
async fn what_is_signed_comes_in_and_what_is_not_keeps_the_last_good_version_in_force() {
    let (ours, theirs) = (Signer::new(), Signer::new());
    let site = trusting(&ours);
    put_signed(&site, &ours, &good(), SETTINGS);
    let policies = site.open();
    check(&policies, &[("a", SlotState::Live, Some(&good()))]);
    assert_eq!(policies.list()[0].signed_by.as_deref(), Some("release"));
    type Change<'a> = (&'a str, Box<dyn Fn() + 'a>);
    let changes: [Change<'_>; 5] = [
        ("10-a.wasm is not what release", Box::new(|| site.put("10-a.wasm", better()))),
        ("10-a.toml is not what release", Box::new(|| site.put("10-a.toml", "[settings]\nx = 2\n"))),
        ("10-a.wasm.minisig is not there", Box::new(|| site.delete("10-a.wasm.minisig"))),
        ("`touch 10-a.toml`", Box::new(|| site.delete("10-a.toml"))),
        ("is by key ID", Box::new(|| put_signed(&site, &theirs, &good(), SETTINGS))),
    ];
    for (reason, change) in changes {
        change();
        let report = policies.reload().await;
        assert_eq!((report.generation, report.refused[0].gate), (1, Gate::Signature), "{report:?}");
        assert!(report.refused[0].reason.contains(reason), "{report:?}");
        check(&policies, &[("a", SlotState::LastGood, Some(&good()))]);
        check(&site.open(), &[("a", SlotState::LastGood, Some(&good()))]);
        put_signed(&site, &ours, &good(), SETTINGS);
        assert!(policies.reload().await.done);
    }
    put_signed(&site, &ours, &better(), "");
    assert!(policies.reload().await.done);
    check(&policies, &[("a", SlotState::Live, Some(&better()))]);
}

#[tokio::test]
async fn another_signature_is_no_other_version() {
    let (one, other) = (Signer::new(), Signer::new());
    let mut site = trusting(&one);
    site.config.keys.insert("second".to_owned(), key(&other));
    put_signed(&site, &one, &good(), SETTINGS);
    let policies = site.open();
    put_signed(&site, &other, &good(), SETTINGS);
    let report = policies.reload().await;
    assert_eq!((report.done, report.generation, report.changed), (true, 1, vec![]));
    assert_eq!(policies.list()[0].signed_by.as_deref(), Some("second"));
    drop(policies);
    // It is the new signature that the last good version is kept with.
    site.config.keys.remove("release");
    site.put("10-a.wasm", better());
    check(&site.open(), &[("a", SlotState::LastGood, Some(&good()))]);
}

#[tokio::test]
async fn a_key_that_is_withdrawn_withdraws_what_it_has_signed() {
    let ours = Signer::new();
    let mut site = trusting(&ours);
    put_signed(&site, &ours, &good(), SETTINGS);
    drop(site.open());
    site.config.keys = [("new".to_owned(), key(&Signer::new()))].into();
    let policies = site.open();
    check(&policies, &[("a", SlotState::Refused, None)]);
    assert!(policies.readiness()[0].contains("refused at gate signature"), "{:?}", policies.readiness());
}

#[tokio::test]
async fn signatures_are_demanded_of_those_of_whom_the_site_demands_them() {
    let ours = Signer::new();
    let mut site = trusting(&ours);
    site.put("10-a.wasm", good());
    site.config.signed = Some(false);
    let policies = site.open();
    check(&policies, &[("a", SlotState::Live, Some(&good()))]);
    assert_eq!(policies.list()[0].signed_by, None);
    site.config.slots.insert("a".into(), SlotGuard { signed: Some(true), ..SlotGuard::default() });
    // What came in without does not come back without.
    check(&site.open(), &[("a", SlotState::Refused, None)]);
    site.config.signed = None;
    site.config.slots.insert("a".into(), SlotGuard { signed: Some(false), ..SlotGuard::default() });
    check(&site.open(), &[("a", SlotState::Live, Some(&good()))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signature_that_comes_after_its_policy_lets_it_in() {
    let ours = Signer::new();
    let site = trusting(&ours);
    let policies = Arc::new(site.open());
    let stop = CancellationToken::new();
    let watching = tokio::spawn(policies.clone().watch(stop.clone()));
    site.put("10-a.wasm", good());
    site.put("10-a.toml", "");
    site.put("10-a.toml.minisig", ours.sign("10-a.toml", ""));
    let refused = async {
        while policies.list().iter().all(|policy| policy.state != SlotState::Refused) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), refused).await.expect("in time");
    site.put("10-a.wasm.minisig", ours.sign("10-a.wasm", good()));
    let mut live = policies.subscribe();
    let comes_in = live.wait_for(|generation| generation.digests() == [Digest::of(&good())]);
    tokio::time::timeout(Duration::from_secs(20), comes_in).await.expect("in time").unwrap();
    stop.cancel();
    watching.await.unwrap();
    // Nor is a signature a policy, or settings of one.
    assert_eq!(policies.list().len(), 1);
}

#[test]
fn an_author_is_told_of_pins_and_signatures_as_the_daemon_would() {
    let ours = Signer::new();
    let mut site = trusting(&ours);
    let path = site.config.folder.join("10-a.wasm");
    site.put("10-a.wasm", good());
    let refused = |site: &Site| match crate::policy::check(&path, &site.config) {
        Err(Error::Refused(refusal)) => refusal.gate,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(&site), Gate::Signature);
    put_signed(&site, &ours, &good(), "");
    assert_eq!(crate::policy::check(&path, &site.config).unwrap().signed.names().as_deref(), Some("release"));
    let pin = Some(Digest::of(&better()));
    site.config.slots.insert("a".into(), SlotGuard { sha256: pin, ..SlotGuard::default() });
    assert_eq!(refused(&site), Gate::Pin);
}

#[tokio::test]
async fn a_restart_takes_compiled_code_from_where_it_was_kept_and_compiles_what_is_spoilt() {
    let site = Site::new();
    site.put("10-a.wasm", good());
    drop(site.open());
    let compiled = site.config.state.as_ref().unwrap().join("compiled");
    let code = || -> Vec<_> {
        let files = fs::read_dir(&compiled).unwrap().map(|file| file.unwrap().path());
        files.filter(|path| !path.ends_with("key")).collect()
    };
    let [file] = <[_; 1]>::try_from(code()).unwrap();
    let written = || fs::metadata(&file).unwrap().modified().unwrap();
    let first = written();
    let policies = site.open();
    check(&policies, &[("a", SlotState::Live, Some(&good()))]);
    assert_eq!(written(), first, "it was compiled again");
    drop(policies);

    let whole = fs::read(&file).unwrap();
    let mut spoilt = whole.clone();
    let middle = spoilt.len() / 2;
    spoilt[middle] ^= 1;
    fs::write(&file, &spoilt).unwrap();
    let policies = site.open();
    check(&policies, &[("a", SlotState::Live, Some(&good()))]);
    assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    assert_ne!(fs::read(&file).unwrap(), spoilt, "what was spoilt is still there");

    // It goes when nothing needs it, as the module does: here when the version before the one before goes.
    for module in [better(), crate::policy::guest::Guest::new("c").matching(&crate::policy::guest::vetoes()).build()] {
        site.put("10-a.wasm", module);
        assert!(policies.reload().await.done);
        assert!(policies.standing().last_reload.unwrap().stages.contains_key(&Stage::Compile));
    }
    assert_eq!(code().len(), 2);
    assert!(!file.exists());
}
