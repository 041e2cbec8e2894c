//! What gateways know of each other's spending when the database goes away, answers get lost, or one of them is killed.

use crate::folder::Folder;
use crate::gateway::{DOLLAR, Gateway, Shared};
use crate::proxy::Wire;
use crate::server::Server;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::spawn_blocking;
use tollgate_catalog::PicoDollars;
use tollgate_store::books::SpendRow;

async fn with(mut server: Server, work: fn(&mut Server)) -> Server {
    let done = spawn_blocking(move || {
        work(&mut server);
        server
    });
    done.await.unwrap()
}

#[tokio::test]
async fn while_the_database_is_away_each_goes_on_alone_and_afterwards_all_agree() {
    let server = spawn_blocking(|| Server::start(&[])).await.unwrap();
    let url = server.url();
    let start = async || Gateway::start(&url, "tollgate", Arc::new(Folder::new())).await;
    let (first, second) = (start().await, start().await);
    assert!(first.spend().await);
    second.until_spent(1).await;
    let server = with(server, Server::stop).await;
    for _ in 0..3 {
        assert!(first.spend().await && second.spend().await);
    }
    assert_eq!((first.spent(), second.spent()), (4, 4), "each knows its own");
    let server = with(server, Server::run).await;
    first.until_spent(7).await;
    second.until_spent(7).await;
    assert_eq!(second.spend_all().await, 3);
    first.until_spent(10).await;
    assert_eq!(first.spend_all().await, 0);
    assert_eq!(first.in_books().await, 10);
    first.close().await;
    second.close().await;
    drop(server);
}

#[tokio::test]
async fn rows_of_which_nobody_knows_whether_they_arrived_are_counted_once() {
    let shared = Shared::new();
    let (torn, proxy) = shared.gateway_behind_proxy().await;
    let whole = shared.gateway().await;
    proxy.set(Wire::CutAtCommit);
    for round in 1..=4 {
        assert!(torn.spend().await && whole.spend().await);
        for _ in 0..20 {
            // Never more than was spent: what is in the books and not known to be there is not counted twice.
            assert!(torn.spent() <= 2 * round, "{round}: {}", torn.spent());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(proxy.cuts() > 0);
    proxy.set(Wire::Whole);
    torn.until_spent(8).await;
    whole.until_spent(8).await;
    assert_eq!((torn.spend_all().await, torn.in_books().await >= 8), (2, true));
    whole.until_spent(10).await;
    torn.close().await;
    whole.close().await;
}

#[tokio::test]
async fn what_a_killed_gateway_has_not_brought_is_known_to_all_when_it_is_there_again() {
    let shared = Shared::new();
    let (first, second) = (shared.gateway().await, shared.gateway().await);
    assert!(second.spend().await);
    first.until_spent(1).await;
    // The table is locked, so that nothing comes into the books until it is let go.
    let locked = async {
        let sql = "BEGIN; LOCK TABLE attempts IN EXCLUSIVE MODE; SELECT pg_sleep(2); COMMIT";
        shared.execute(sql).await;
    };
    let killed = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        for _ in 0..3 {
            assert!(first.spend().await);
        }
        // One more is under way.
        let mut open = first.hold().unwrap();
        let row = SpendRow::default();
        open.intend(row, PicoDollars(DOLLAR)).await.unwrap();
        let again = first.killed().await;
        assert_eq!(again.spent(), 5);
        // What is left of the first is gone.
        open.release();
        again
    };
    let ((), again) = tokio::join!(locked, killed);
    second.until_spent(5).await;
    again.until_spent(5).await;
    assert_eq!(again.spend_all().await, 5);
    second.until_spent(10).await;
    assert_eq!((second.spend_all().await, second.in_books().await), (0, 10));
    again.close().await;
    second.close().await;
}
