//! `tollgate audit`: who changed what.

use super::arguments::AuditArguments;
use super::client::{Answer, Question, Trouble};
use super::table::{Side, Table};
use super::{Session, rows, text, time};
use serde_json::Value;

/// The most of a page.
const PAGE: usize = 100;

pub(super) async fn run(session: &Session, arguments: &AuditArguments) -> Result<String, Trouble> {
    if arguments.verify {
        return verify(session).await;
    }
    let size = arguments.limit.clamp(1, PAGE);
    let mut answers: Vec<Answer> = Vec::new();
    for page in 1..=arguments.limit.div_ceil(size) {
        let mut question =
            Question::get("/audit").with("page", page.to_string()).with("page_size", size.to_string());
        if let Some(object) = &arguments.object {
            question = question.with("object_id", object);
        }
        if let Some(by) = &arguments.by {
            question = question.with("changed_by", by);
        }
        let answer = session.ask(question).await?;
        let total = answer.value.get("total_pages").and_then(Value::as_u64).unwrap_or(1);
        answers.push(answer);
        if u64::try_from(page).is_ok_and(|page| page >= total) {
            break;
        }
    }
    Ok(session.shown(&answers, || table(rows(&answers, "audit_logs").take(arguments.limit))))
}

/// Whether the audit is as it was written; an error where it is not.
async fn verify(session: &Session) -> Result<String, Trouble> {
    let answer = session.ask(Question::get("/tollgate/audit/verify")).await?;
    let found = &answer.value;
    if found.get("is_intact").and_then(Value::as_bool) == Some(true) {
        let rows = found.get("rows").and_then(Value::as_u64).unwrap_or_default();
        let hash = text(found, "last_hash");
        let said = || match rows {
            0 => "The audit is empty.".to_owned(),
            1 => format!("The audit is intact: 1 change, the hash of which is {hash}."),
            _ => format!("The audit is intact: {rows} changes, the last with the hash {hash}."),
        };
        return Ok(session.shown(std::slice::from_ref(&answer), said));
    }
    let broken = found.get("broken").cloned().unwrap_or_default();
    let (id, reason) = (text(&broken, "id"), text(&broken, "reason"));
    Err(Trouble::Refused(format!("the audit was changed: of change {id}, {reason}")))
}

fn table<'a>(changes: impl Iterator<Item = &'a Value>) -> String {
    let mut table = Table::new(&[
        ("when", Side::Left),
        ("who", Side::Left),
        ("action", Side::Left),
        ("what", Side::Left),
        ("id", Side::Left),
    ]);
    for change in changes {
        table.row([
            time(change, "updated_at"),
            text(change, "changed_by"),
            text(change, "action"),
            noun(&text(change, "table_name")).to_owned(),
            text(change, "object_id"),
        ]);
    }
    if table.is_empty() { "Nothing was changed.".to_owned() } else { table.lines() }
}

/// What LiteLLM's name of a table means.
fn noun(table: &str) -> &str {
    match table {
        "LiteLLM_VerificationToken" => "key",
        "LiteLLM_TeamTable" => "team",
        "LiteLLM_TeamMembership" => "member",
        "LiteLLM_UserTable" => "user",
        "LiteLLM_OrganizationTable" => "organization",
        "LiteLLM_OrganizationMembership" => "organization member",
        "LiteLLM_ProjectTable" => "project",
        "LiteLLM_EndUserTable" => "customer",
        "LiteLLM_TagTable" => "tag",
        "LiteLLM_BudgetTable" => "budget",
        "LiteLLM_AccessGroupTable" => "access group",
        "LiteLLM_CredentialsTable" => "credential",
        "LiteLLM_ProxyModelTable" => "model",
        "LiteLLM_InvitationLink" => "invitation",
        "LiteLLM_Config" => "setting",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn changes_are_one_line_each() {
        let changes =
            [json!({"updated_at": "2026-12-01T10:00:00.000000Z", "changed_by": "ann", "action": "created",
            "table_name": "LiteLLM_TeamTable", "object_id": "t-1"})];
        assert_eq!(
            table(changes.iter()),
            "WHEN                  WHO  ACTION   WHAT  ID\n2026-12-01 10:00 UTC  ann  created  team  t-1"
        );
        assert_eq!(table([].iter()), "Nothing was changed.");
    }
}
