use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use rusqlite::Connection;

use super::*;
use crate::domain::{BuildResult, ControllerName, NodeName, Parameters, ProjectName, QueueItemId};

fn key(handle: &str, unique: &str, function: &str) -> AttemptKey {
    AttemptKey {
        server: "gear-1:4730".into(),
        handle: handle.as_bytes().to_vec(),
        unique: unique.as_bytes().to_vec(),
        function: function.into(),
    }
}

fn intent(key: AttemptKey) -> Intent {
    let mut parameters: Parameters = [("REF", "master\n"), ("UUID", "é")].into_iter().collect();
    parameters.set("TOKEN", None);
    Intent {
        key,
        controller: ControllerName::new("ci1"),
        project: ProjectName::new("team/lint"),
        node: NodeName::agent("precise-1"),
        worker: "precise-1_exec-0".into(),
        marker: Some(Marker { name: "UUID".into(), value: "é".into() }),
        pinned: true,
        generation: u64::MAX,
        offline_wanted: true,
        parameters,
    }
}

fn lint(number: usize) -> Intent {
    intent(key(&format!("H:gear:{number}"), &format!("unique-{number}"), "build:lint"))
}

fn build() -> StartedBuild {
    StartedBuild { number: 42, node: Some(NodeName::BuiltIn), url: Some("https://ci1/job/lint/42/".into()) }
}

fn ending() -> Ending {
    Ending {
        result: Some(BuildResult::Unstable),
        terminal: Terminal { kind: TerminalKind::Complete, payload: b"{\"a\":\0\xff}".to_vec() },
    }
}

async fn states(journal: &Journal) -> Vec<(i64, State)> {
    journal.open_attempts().await.unwrap().iter().map(|attempt| (attempt.id.0, attempt.state)).collect()
}

#[tokio::test]
async fn an_attempt_keeps_all_that_was_noted_about_it() {
    let journal = Journal::in_memory().unwrap();
    let before = SystemTime::now() - Duration::from_millis(1);
    let id = journal.intend(lint(1)).await.unwrap();
    journal.queued(id, QueueItemId(7)).await.unwrap();
    journal.started(id, build()).await.unwrap();
    journal.ended(id, ending()).await.unwrap();

    let attempt = journal.find_open(&lint(1).key).await.unwrap().unwrap();
    assert_eq!((attempt.id, &attempt.intent, attempt.state), (id, &lint(1), State::Ended));
    assert_eq!((attempt.queue_item, attempt.build), (Some(QueueItemId(7)), Some(build())));
    assert_eq!((attempt.ending, attempt.reason), (Some(ending()), None));
    let Times { intended, queued, started, ended, closed } = attempt.times;
    assert!(before <= intended && Some(intended) <= queued && queued <= started && started <= ended);
    assert_eq!(closed, None);

    journal.delivered(id).await.unwrap();
    assert_eq!(journal.find_open(&lint(1).key).await.unwrap(), None);
    let record = journal.recent(5).await.unwrap().remove(0);
    assert_eq!(
        (record.number, record.node, record.result),
        (Some(42), Some(NodeName::BuiltIn), Some(BuildResult::Unstable))
    );
    assert_eq!((record.state, record.function.as_str(), record.ended), (State::Delivered, "build:lint", ended));
}

#[test]
fn an_attempt_goes_forwards_only_and_is_closed_once() {
    use State::{Delivered, Ended, Failed, HandedBack, Intended, Queued, Started};
    let table: [(State, &[State]); 7] = [
        (Intended, &[Queued, Started, Ended, HandedBack, Failed]),
        (Queued, &[Started, Ended, HandedBack, Failed]),
        (Started, &[Ended, HandedBack, Failed]),
        (Ended, &[Delivered, HandedBack, Failed]),
        (Delivered, &[]),
        (HandedBack, &[]),
        (Failed, &[]),
    ];
    let all = table.map(|(state, _)| state);
    for (from, allowed) in table {
        let found: Vec<_> = all.into_iter().filter(|to| from.may_become(*to)).collect();
        assert_eq!(found, allowed, "{from}");
        assert_eq!(from.is_open(), !allowed.is_empty(), "{from}");
    }
}

#[tokio::test]
async fn an_illegal_transition_is_an_error_and_changes_nothing() {
    let journal = Journal::in_memory().unwrap();
    let id = journal.intend(lint(1)).await.unwrap();
    let error = journal.delivered(id).await.unwrap_err();
    assert_eq!(error.to_string(), "attempt 1 is intended and cannot become delivered");
    journal.started(id, build()).await.unwrap();
    let error = journal.queued(id, QueueItemId(7)).await.unwrap_err();
    assert_eq!(error.to_string(), "attempt 1 is started and cannot become queued");
    let attempt = journal.open_attempts().await.unwrap().remove(0);
    assert_eq!((attempt.state, attempt.queue_item), (State::Started, None));
    let error = journal.failed(AttemptId(9), "no reason").await.unwrap_err();
    assert_eq!(error.to_string(), "the journal knows no attempt 9");
}

#[tokio::test]
async fn a_job_is_known_by_its_unique_and_else_by_its_handle() {
    let journal = Journal::in_memory().unwrap();
    let with_unique = journal.intend(intent(key("H:1", "u", "build:a"))).await.unwrap();
    let without = journal.intend(intent(key("H:2", "", "build:a"))).await.unwrap();
    let find = async |key: AttemptKey| journal.find_open(&key).await.unwrap().map(|attempt| attempt.id);

    assert_eq!(find(key("H:99", "u", "build:a")).await, Some(with_unique));
    assert_eq!(find(key("H:1", "u", "build:b")).await, None);
    assert_eq!(find(key("H:1", "", "build:a")).await, None);
    assert_eq!(find(key("H:2", "", "build:a")).await, Some(without));
    assert_eq!(find(key("H:2", "v", "build:a")).await, None);
    assert_eq!(find(AttemptKey { server: "gear-2:4730".into(), ..key("H:1", "u", "build:a") }).await, None);
}

#[tokio::test]
async fn a_second_intent_for_the_same_job_is_refused_until_the_first_is_closed() {
    let journal = Journal::in_memory().unwrap();
    let first = journal.intend(lint(1)).await.unwrap();
    let again = Intent { key: AttemptKey { handle: b"H:other".to_vec(), ..lint(1).key }, ..lint(1) };
    let error = journal.intend(again.clone()).await.unwrap_err();
    assert_eq!(error.to_string(), "attempt 1 is open for the same job; adopt or close it first");

    journal.handed_back(first, "stuck").await.unwrap();
    assert_eq!(journal.hand_backs(&again.key, SystemTime::UNIX_EPOCH).await.unwrap(), 1);
    assert_eq!(journal.hand_backs(&again.key, SystemTime::now() + Duration::from_secs(60)).await.unwrap(), 0);
    assert_eq!(journal.hand_backs(&lint(2).key, SystemTime::UNIX_EPOCH).await.unwrap(), 0);
    assert_ne!(journal.intend(again).await.unwrap(), first);
}

#[tokio::test]
async fn an_adopted_attempt_goes_on_under_the_new_handle() {
    let journal = Journal::in_memory().unwrap();
    let id = journal.intend(lint(1)).await.unwrap();
    journal.started(id, build()).await.unwrap();
    journal.adopted(id, b"H:gear:77".to_vec(), "precise-2_exec-1").await.unwrap();
    let attempt = journal.open_attempts().await.unwrap().remove(0);
    assert_eq!((&attempt.intent.key.handle[..], &attempt.intent.worker[..]), (&b"H:gear:77"[..], "precise-2_exec-1"));
    assert_eq!((attempt.state, attempt.build), (State::Started, Some(build())));
    journal.failed(id, "the server forgot the job").await.unwrap();
    let error = journal.adopted(id, Vec::new(), "w").await.unwrap_err();
    assert_eq!(error.to_string(), "attempt 1 is failed and cannot be adopted");
    assert_eq!(journal.recent(1).await.unwrap()[0].reason.as_deref(), Some("the server forgot the job"));
}

#[tokio::test]
async fn closed_attempts_expire_and_open_ones_never() {
    let journal = Journal::in_memory().unwrap();
    for number in 1..=3 {
        journal.intend(lint(number)).await.unwrap();
    }
    journal.failed(AttemptId(1), "gone").await.unwrap();
    assert_eq!(journal.expire(SystemTime::now() - Duration::from_secs(60)).await.unwrap(), 0);
    assert_eq!(journal.expire(SystemTime::now() + Duration::from_secs(60)).await.unwrap(), 1);
    assert_eq!(states(&journal).await, [(2, State::Intended), (3, State::Intended)]);

    journal.failed(AttemptId(3), "gone").await.unwrap();
    journal.expire(SystemTime::now() + Duration::from_secs(60)).await.unwrap();
    assert_eq!(journal.intend(lint(4)).await.unwrap(), AttemptId(4), "a number is never used twice");
}

#[tokio::test]
async fn what_was_answered_survives_a_drop_without_farewell() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let id = journal.intend(lint(1)).await.unwrap();
    journal.queued(id, QueueItemId(7)).await.unwrap();
    let before = journal.open_attempts().await.unwrap();
    drop(journal);

    let journal = Journal::open(&path).unwrap();
    assert_eq!(journal.open_attempts().await.unwrap(), before);
    journal.started(id, build()).await.unwrap();
}

#[tokio::test]
async fn what_was_answered_survives_a_kill_at_any_moment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    for number in 1..=20 {
        let id = journal.intend(lint(number)).await.unwrap();
        if number % 2 == 0 {
            journal.started(id, build()).await.unwrap();
        }
        // What a kill would leave behind at this very moment.
        let left_behind = folder.path().join(format!("killed-{number}.sqlite"));
        std::fs::copy(&path, &left_behind).unwrap();
        std::fs::copy(with_suffix(&path, "-wal"), with_suffix(&left_behind, "-wal")).unwrap();
        let after_kill = Journal::open(&left_behind).unwrap();
        assert_eq!(after_kill.open_attempts().await.unwrap(), journal.open_attempts().await.unwrap(), "{number}");
    }
}

#[tokio::test]
async fn a_torn_write_at_the_end_of_the_log_loses_only_what_was_never_answered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    journal.intend(lint(1)).await.unwrap();
    let answered = journal.open_attempts().await.unwrap();
    let length_then = std::fs::metadata(with_suffix(&path, "-wal")).unwrap().len();
    journal.intend(lint(2)).await.unwrap();

    let torn = folder.path().join("torn.sqlite");
    std::fs::copy(&path, &torn).unwrap();
    let log = std::fs::read(with_suffix(&path, "-wal")).unwrap();
    let cut = length_then as usize + (log.len() - length_then as usize) / 2;
    assert!(length_then < cut as u64 && cut < log.len());
    std::fs::write(with_suffix(&torn, "-wal"), &log[..cut]).unwrap();
    assert_eq!(Journal::open(&torn).unwrap().open_attempts().await.unwrap(), answered);
}

/// Keeps the writer busy until the returned sender speaks, so that what comes in waits together.
async fn keep_busy(journal: &Journal) -> std::sync::mpsc::Sender<()> {
    let (let_go, held) = std::sync::mpsc::channel();
    let (is_held, holding) = tokio::sync::oneshot::channel();
    let journal = journal.clone();
    tokio::spawn(async move {
        let hold = move |_: &Connection| {
            is_held.send(()).unwrap();
            held.recv().unwrap();
            Ok(())
        };
        journal.writer().run(hold).await
    });
    holding.await.unwrap();
    let_go
}

async fn until_requests(journal: &Journal, requests: u64) {
    while journal.counts().requests < requests {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn requests_that_wait_together_are_written_in_one_transaction() {
    let journal = Journal::in_memory().unwrap();
    let let_go = keep_busy(&journal).await;
    let mut intents = tokio::task::JoinSet::new();
    for number in 0..100 {
        let journal = journal.clone();
        intents.spawn(async move { journal.intend(lint(number)).await });
    }
    // One of them fails, and the others of its transaction don't notice.
    let bad = tokio::spawn({
        let journal = journal.clone();
        async move { journal.delivered(AttemptId(99_999)).await }
    });
    until_requests(&journal, 102).await;
    let_go.send(()).unwrap();
    assert!(intents.join_all().await.iter().all(Result::is_ok));
    assert!(matches!(bad.await.unwrap(), Err(Error::NoSuchAttempt { .. })));
    assert_eq!(journal.counts(), Counts { requests: 102, transactions: 2 });
    assert_eq!(states(&journal).await.len(), 100);
}

#[tokio::test]
async fn a_failed_commit_is_told_to_everyone_in_it_and_leaves_nothing_behind() {
    let journal = Journal::in_memory().unwrap();
    let let_go = keep_busy(&journal).await;
    let intend = |number| {
        let journal = journal.clone();
        tokio::spawn(async move { journal.intend(lint(number)).await })
    };
    let before = intend(1);
    until_requests(&journal, 2).await;
    let spoil = tokio::spawn({
        let journal = journal.clone();
        // What SQLite itself does when the disk is full.
        let end_transaction = |connection: &Connection| {
            connection.execute_batch("ROLLBACK").map_err(Error::during("spoil the transaction"))
        };
        async move { journal.writer().run(end_transaction).await }
    });
    until_requests(&journal, 3).await;
    let after = intend(2);
    until_requests(&journal, 4).await;
    let_go.send(()).unwrap();

    assert!(matches!(before.await.unwrap(), Err(Error::Database { step: "commit", .. })));
    assert!(spoil.await.unwrap().is_err());
    assert!(matches!(after.await.unwrap(), Err(Error::Interrupted)));
    assert_eq!(states(&journal).await, []);
    assert!(journal.intend(lint(1)).await.is_ok(), "the next transaction starts afresh");
}

#[tokio::test]
async fn a_change_is_made_although_nobody_waits_for_it_any_more() {
    let journal = Journal::in_memory().unwrap();
    let let_go = keep_busy(&journal).await;
    let asker = tokio::spawn({
        let journal = journal.clone();
        async move { journal.intend(lint(1)).await }
    });
    until_requests(&journal, 2).await;
    asker.abort();
    assert!(asker.await.unwrap_err().is_cancelled());
    let_go.send(()).unwrap();
    assert_eq!(states(&journal).await, [(1, State::Intended)]);
}

#[tokio::test]
async fn a_newer_schema_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    drop(Journal::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let message = Journal::open(&path).unwrap_err().to_string();
    assert!(message.contains("has schema 99 and this version knows up to "), "{message}");
    let version: i64 = Connection::open(&path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 99);
}

#[tokio::test]
async fn a_file_that_is_damaged_or_not_ours_is_refused_with_advice() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &Path, advice: &str| {
        let message = Journal::open(path).unwrap_err().to_string();
        assert!(message.contains(advice) && message.contains(path.to_str().unwrap()), "{message}");
    };

    let text = folder.path().join("text");
    std::fs::write(&text, "no database at all, but long enough to be looked at as the header of one").unwrap();
    check(&text, "move it aside");

    let torn = folder.path().join("torn");
    let journal = Journal::open(&torn).unwrap();
    for number in 0..50 {
        journal.intend(lint(number)).await.unwrap();
    }
    drop(journal);
    let mut bytes = std::fs::read(&torn).unwrap();
    assert!(bytes.len() > 8192);
    bytes[4096..].fill(0x5a);
    std::fs::write(&torn, bytes).unwrap();
    check(&torn, "move it aside");

    let foreign = folder.path().join("foreign");
    Connection::open(&foreign).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    check(&foreign, "some other program");

    check(&folder.path().join("no/such/folder"), "failed to open journal");
}

#[tokio::test]
async fn a_journal_has_one_owner_at_a_time_and_is_for_its_eyes_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("journal.sqlite");
    let journal = Journal::open(&path).unwrap();
    let error = Journal::open_within(&path, Duration::ZERO).unwrap_err();
    assert!(matches!(error, Error::InUse { .. }), "{error}");
    for file in [path.clone(), with_suffix(&path, "-wal")] {
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600, "{file:?}");
    }
    drop(journal);
    assert!(Journal::open_within(&path, Duration::ZERO).is_ok());
}

fn with_suffix(path: &Path, suffix: &str) -> std::path::PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// One call, by the numbers of the job and the attempt that it is about.
#[derive(Clone, Debug)]
enum Operation {
    Intend { handle: u8, unique: u8, function: u8 },
    Queued(i64),
    Started(i64),
    Ended(i64),
    Close(i64, State),
    Adopted(i64, u8),
    Expire,
}

fn any_operation() -> impl Strategy<Value = Operation> {
    let id = 1..8_i64;
    let close = prop::sample::select(vec![State::Delivered, State::HandedBack, State::Failed]);
    prop_oneof![
        4 => (0..3_u8, 0..3_u8, 0..2_u8).prop_map(|(handle, unique, function)| Operation::Intend { handle, unique, function }),
        2 => id.clone().prop_map(Operation::Queued),
        2 => id.clone().prop_map(Operation::Started),
        2 => id.clone().prop_map(Operation::Ended),
        2 => (id.clone(), close).prop_map(|(id, state)| Operation::Close(id, state)),
        1 => (id, 0..3_u8).prop_map(|(id, handle)| Operation::Adopted(id, handle)),
        1 => Just(Operation::Expire),
    ]
}

fn key_of(handle: u8, unique: u8, function: u8) -> AttemptKey {
    let unique = if unique == 0 { String::new() } else { format!("u{unique}") };
    key(&format!("H:{handle}"), &unique, &format!("build:p{function}"))
}

type Model = BTreeMap<i64, (AttemptKey, State)>;

/// Does the operation on the model, and returns whether it is legal.
fn apply_to_model(model: &mut Model, last_id: &mut i64, operation: &Operation) -> bool {
    let mut advance = |id: i64, to: State| match model.get_mut(&id) {
        Some((_, state)) if state.may_become(to) => {
            *state = to;
            true
        }
        _ => false,
    };
    match *operation {
        Operation::Queued(id) => advance(id, State::Queued),
        Operation::Started(id) => advance(id, State::Started),
        Operation::Ended(id) => advance(id, State::Ended),
        Operation::Close(id, to) => advance(id, to),
        Operation::Intend { handle, unique, function } => {
            let key = key_of(handle, unique, function);
            if model.values().any(|(known, state)| state.is_open() && known.is_same_job(&key)) {
                return false;
            }
            *last_id += 1;
            model.insert(*last_id, (key, State::Intended));
            true
        }
        Operation::Adopted(id, handle) => match model.get_mut(&id) {
            Some((key, state)) if state.is_open() => {
                key.handle = key_of(handle, 0, 0).handle;
                true
            }
            _ => false,
        },
        Operation::Expire => {
            model.retain(|_, (_, state)| state.is_open());
            true
        }
    }
}

async fn apply(journal: &Journal, operation: &Operation) -> Result<(), Error> {
    match *operation {
        Operation::Intend { handle, unique, function } => {
            journal.intend(intent(key_of(handle, unique, function))).await.map(drop)
        }
        Operation::Queued(id) => journal.queued(AttemptId(id), QueueItemId(1)).await,
        Operation::Started(id) => journal.started(AttemptId(id), build()).await,
        Operation::Ended(id) => journal.ended(AttemptId(id), ending()).await,
        Operation::Close(id, State::Delivered) => journal.delivered(AttemptId(id)).await,
        Operation::Close(id, State::HandedBack) => journal.handed_back(AttemptId(id), "r").await,
        Operation::Close(id, _) => journal.failed(AttemptId(id), "r").await,
        Operation::Adopted(id, handle) => journal.adopted(AttemptId(id), key_of(handle, 0, 0).handle, "w").await,
        Operation::Expire => journal.expire(SystemTime::now() + Duration::from_secs(60)).await.map(drop),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_operations_leaves_what_a_map_would_hold(operations in prop::collection::vec(any_operation(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let journal = Journal::in_memory().unwrap();
            let (mut model, mut last_id) = (Model::new(), 0);
            for operation in &operations {
                let legal = apply_to_model(&mut model, &mut last_id, operation);
                let outcome = apply(&journal, operation).await;
                prop_assert_eq!(outcome.is_ok(), legal, "{:?}: {:?}", operation, outcome);
            }
            let found: Vec<_> = journal.open_attempts().await.unwrap().into_iter().map(|attempt| (attempt.id.0, (attempt.intent.key, attempt.state))).collect();
            let expected: Vec<_> = model.clone().into_iter().filter(|(_, (_, state))| state.is_open()).collect();
            prop_assert_eq!(&found, &expected);
            let all: Vec<_> = journal.recent(usize::MAX).await.unwrap().into_iter().rev().map(|record| (record.id.0, record.state)).collect();
            prop_assert_eq!(all, model.iter().map(|(id, (_, state))| (*id, *state)).collect::<Vec<_>>());
            for (id, (key, _)) in expected {
                // Two adopted jobs without a unique may have been given one handle; then the later one is found.
                let same = found.iter().filter(|(_, (known, _))| known.is_same_job(&key)).map(|(id, _)| *id).max();
                let open = journal.find_open(&key).await.unwrap().map(|attempt| attempt.id.0);
                prop_assert_eq!(open, same, "{}", id);
            }
            Ok(())
        })?;
    }
}
