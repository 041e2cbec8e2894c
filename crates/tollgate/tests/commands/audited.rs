//! An audit that somebody has changed in the database.

use super::Stand;

/// What nobody but who has the file can do: the database itself refuses it otherwise.
const UNLOCK: &str = "DROP TRIGGER audit_is_not_changed; DROP TRIGGER audit_is_not_deleted; ";

#[tokio::test]
async fn an_audit_that_was_changed_by_hand_is_named() {
    for (edit, reason) in [
        ("UPDATE audit SET actor = 'somebody else' WHERE seq = 2", "2, it does not say what it said"),
        ("DELETE FROM audit WHERE seq = 2", "2, it is not there"),
        ("DELETE FROM audit WHERE seq = 3", "3, it is not there"),
        (
            "UPDATE audit SET seq = -1 WHERE seq = 2; UPDATE audit SET seq = 2 WHERE seq = 3; \
             UPDATE audit SET seq = 3 WHERE seq = -1",
            "2, ",
        ),
        (
            "INSERT INTO audit SELECT 7, at, actor, actor_key, action, kind, object_id, before, after, previous_hash, \
             hash FROM audit WHERE seq = 6",
            "7, ",
        ),
    ] {
        let mut stand = Stand::start().await;
        assert_eq!(stand.run("audit --verify").good().trim(), "The audit is empty.");
        for name in ["a", "b", "c"] {
            stand.run(&format!("teams create {name}")).good();
        }
        let said = stand.run("audit --verify").good();
        assert!(said.starts_with("The audit is intact: 6 changes, the last with the hash "), "{said}");
        let edit_by_hand = |folder: &std::path::Path| {
            let books = rusqlite::Connection::open(folder.join("gateway.db")).unwrap();
            books.execute_batch(&format!("{UNLOCK}{edit}")).unwrap();
        };
        stand.gateway.restart(edit_by_hand).await;
        let said = stand.run("audit --verify");
        assert_eq!(said.status, 1, "{edit}: {}", said.out);
        let named = format!("the audit was changed: of change {reason}");
        assert!(said.error.contains(&named), "{edit}: {}", said.error);
    }
}
