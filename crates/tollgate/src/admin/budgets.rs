//! `tollgate budgets`: those that others refer to.

use super::arguments::BudgetCommand;
use super::client::{Question, Trouble};
use super::table::{Side, Table, pairs};
use super::{Session, amount, budget, money, put, text, time};
use serde_json::{Map, Value};

pub(super) async fn run(session: &Session, command: &BudgetCommand) -> Result<String, Trouble> {
    match command {
        BudgetCommand::Create { id, budget: of, soft, rpm, tpm } => {
            let mut body = Map::new();
            put(&mut body, "budget_id", id.as_deref());
            if let Some(of) = of {
                of.put(&mut body, "max_budget", "budget_duration");
            }
            if let Some(soft) = soft {
                body.insert("soft_budget".to_owned(), amount::number(*soft));
            }
            for (name, count) in [("rpm_limit", rpm), ("tpm_limit", tpm)] {
                if let Some(count) = count {
                    body.insert(name.to_owned(), Value::from(*count));
                }
            }
            let answer = session.ask(Question::post("/budget/new", Value::Object(body))).await?;
            Ok(session.shown(std::slice::from_ref(&answer), || {
                let made = &answer.value;
                pairs(&[
                    ("id", text(made, "budget_id")),
                    ("budget", budget(made)),
                    ("soft", money(made, "soft_budget")),
                    ("rpm", text(made, "rpm_limit")),
                    ("tpm", text(made, "tpm_limit")),
                ])
            }))
        }
        BudgetCommand::List => {
            let answer = session.ask(Question::get("/budget/list")).await?;
            Ok(session.shown(std::slice::from_ref(&answer), || table(&answer.value)))
        }
    }
}

fn table(reply: &Value) -> String {
    let mut table = Table::new(&[
        ("id", Side::Left),
        ("budget", Side::Right),
        ("soft", Side::Right),
        ("rpm", Side::Right),
        ("tpm", Side::Right),
        ("resets", Side::Left),
    ]);
    for row in reply.as_array().into_iter().flatten() {
        table.row([
            text(row, "budget_id"),
            budget(row),
            money(row, "soft_budget"),
            text(row, "rpm_limit"),
            text(row, "tpm_limit"),
            time(row, "budget_reset_at"),
        ]);
    }
    if table.is_empty() { "There is no budget that others refer to.".to_owned() } else { table.lines() }
}
