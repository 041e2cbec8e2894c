//! How many callers there may be, and what happens to those beyond.

use crate::support::{App, Connection, Setup, Wire, hello, one_of, post, settle, until};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tollgate_simulator::Script;
use tracing::field::{Field, Visit};
use tracing::span;

const CHAT: &str = "/v1/chat/completions";

async fn ask(connection: &mut Connection) {
    connection.write(&post(CHAT, &[], hello("m").to_string().as_bytes())).await;
}

#[tokio::test]
async fn a_connection_beyond_the_limit_waits_and_is_served_when_one_closes() {
    let app = Setup::new(one_of(Wire::OpenAi)).connections_max(4).start().await;
    let mut held = Vec::new();
    for _ in 0..4 {
        let mut connection = app.connect().await;
        ask(&mut connection).await;
        assert_eq!(connection.answer().await.status, 200);
        held.push(connection);
    }
    let mut waiting = Vec::new();
    for _ in 0..3 {
        let mut connection = app.connect().await;
        ask(&mut connection).await;
        waiting.push(connection);
    }
    settle().await;
    assert_eq!(app.received().len(), 4, "a fifth connection is served");
    // Those that are in go on as ever.
    ask(&mut held[0]).await;
    assert_eq!(held[0].answer().await.status, 200);
    for (served, mut connection) in waiting.into_iter().enumerate() {
        assert_eq!(app.received().len(), 5 + served);
        drop(held.pop());
        assert_eq!(connection.answer().await.status, 200);
        held.push(connection);
    }
    drop(held);
    app.stop().await;
}

#[tokio::test]
async fn a_connection_that_waits_for_its_turn_does_not_keep_the_drain() {
    let app = Setup::new(one_of(Wire::OpenAi)).connections_max(1).start().await;
    let mut held = app.connect().await;
    ask(&mut held).await;
    assert_eq!(held.answer().await.status, 200);
    let mut waiting = app.connect().await;
    ask(&mut waiting).await;
    settle().await;
    app.stop_while_draining().await;
    assert!(held.is_ended().await);
    assert!(waiting.try_answer().await.is_none());
}

/// Counts how often `accept` failed.
struct Counting(Arc<AtomicUsize>);

struct Finder(bool);

impl Visit for Finder {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0 |= field.name() == "message" && format!("{value:?}") == "accept failed";
    }
}

impl tracing::Subscriber for Counting {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let mut finder = Finder(false);
        event.record(&mut finder);
        self.0.fetch_add(usize::from(finder.0), Ordering::SeqCst);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// Few open files are a matter of a whole process, so the test runs itself again under a shell's limit.
#[test]
fn running_out_of_files_does_not_spin_and_is_over_when_some_are_free() {
    let this = std::env::current_exe().unwrap();
    let child = "limits::child_with_few_files";
    let script =
        format!("ulimit -n 64 && exec '{}' --exact {child} --ignored --test-threads 1", this.display());
    let output = Command::new("sh").arg("-c").arg(script).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

#[tokio::test]
#[ignore = "is run by the test above, in a process of few files"]
async fn child_with_few_files() {
    let failures = Arc::new(AtomicUsize::new(0));
    let _guard = tracing::subscriber::set_default(Counting(Arc::clone(&failures)));
    let app = App::start(one_of(Wire::OpenAi), Script::new()).await;
    // Connecting takes a file here and one of the gateway's; in the end there is none left for the gateway.
    let mut callers = Vec::new();
    while let Ok(stream) = std::net::TcpStream::connect(app.address) {
        callers.push(stream);
        tokio::task::yield_now().await;
        if callers.len() > 200 {
            panic!("the limit of open files does not hold");
        }
    }
    until("accept fails", || failures.load(Ordering::SeqCst) > 0).await;
    let (before, started) = (failures.load(Ordering::SeqCst), std::time::Instant::now());
    for _ in 0..20 {
        settle().await;
    }
    let more = failures.load(Ordering::SeqCst) - before;
    let pauses = started.elapsed().as_millis() / 50 + 2;
    assert!(more as u128 <= pauses, "accept failed {more} times in the time of {pauses} pauses");
    drop(callers);
    assert_eq!(app.hello("m").await.status, 200);
    app.stop().await;
}
