//! `/project/*`: parts of teams, with models and a budget of their own.

use super::change::Change;
use super::{Desk, Outcome, Problem, Served, asks, looks, paging};
use serde_json::Value;
use std::sync::Arc;
use tollgate_identity::form::Drafts;
use tollgate_identity::reply::project::Shown;
use tollgate_identity::{Kind, Record, form, reply};

/// Whoever administers a team has its projects.
pub(super) const ROUTES: &[Served] = &[
    asks("POST", "/project/new", |desk| Box::pin(new(desk)), "Make a project"),
    asks("POST", "/project/update", |desk| Box::pin(update(desk)), "Change a project"),
    asks("DELETE", "/project/delete", |desk| Box::pin(delete(desk)), "Delete projects"),
    looks("GET", "/project/info", info, "A project"),
    looks("GET", "/project/list", list, "All projects"),
];

fn shown(desk: &Desk<'_>, project: &Record) -> Value {
    let (amounts, budget) = (desk.amounts(project), desk.budget_of(project));
    let shown = Shown { project, amounts: &amounts, budget: budget.as_deref() };
    reply::project::row(shown, &desk.clock())
}

fn find(desk: &Desk<'_>, member: &'static str, id: &str) -> Result<Arc<Record>, Problem> {
    desk.find(Kind::Project, id)
        .map_err(|problem| problem.or_missing(member, || format!("Project not found, project_id={id}")))
}

/// Refuses a project in a team that whoever asks cannot have it in.
fn check_team(desk: &Desk<'_>, drafts: &Drafts) -> Result<(), Problem> {
    let team = drafts.record.document.text("team_id").unwrap_or_default();
    desk.find(Kind::Team, team)
        .map_err(|problem| problem.or_missing("team_id", || format!("Team not found, team_id={team}")))?;
    Ok(())
}

async fn new(desk: &Desk<'_>) -> Outcome {
    let drafts = form::project::new(&desk.body, &desk.context())?;
    let id = drafts.record.id.as_str();
    if desk.known(Kind::Project, id).is_some() {
        let message = format!("Project id = {id} already exists. Please use a different project id.");
        return Err(Problem::Bad("project_id", message));
    }
    check_team(desk, &drafts)?;
    let made = desk.commit_one(Change::new("created").put(drafts, None, None)).await?;
    Ok(shown(desk, &made))
}

async fn update(desk: &Desk<'_>) -> Outcome {
    let old = find(desk, "project_id", form::project::subject(&desk.body)?)?;
    let budget = desk.own_budget(&old);
    let limits = budget.as_ref().map(|budget| budget.document());
    let own = budget.as_ref().map(|budget| &*budget.id).zip(limits.as_ref());
    let drafts = form::project::change(&old.id, &old.document(), own, &desk.body, &desk.context())?;
    if drafts.record.document.text("team_id") != old.parents.team.as_deref() {
        check_team(desk, &drafts)?;
    }
    let change = Change::new("updated").put(drafts, Some(&old), budget.as_ref());
    let changed = desk.commit_one(change).await?;
    Ok(shown(desk, &changed))
}

/// A project that has keys stays: they would be without what holds them.
async fn delete(desk: &Desk<'_>) -> Outcome {
    let named = form::project::deletion(&desk.body, &desk.context())?;
    let found: Result<Vec<_>, _> = named.iter().map(|id| find(desk, "project_ids", id)).collect();
    let found = found?;
    for project in &found {
        let keys = desk.ledger().directory().children(Kind::Project, &project.id, Kind::Key).count();
        if keys > 0 {
            let message = format!(
                "Cannot delete project {}. {keys} key(s) are associated with it. Please delete or reassign the \
                 keys first.",
                project.id
            );
            return Err(Problem::Bad("project_ids", message));
        }
    }
    let rows = found.iter().map(|project| shown(desk, project)).collect();
    desk.commit(found.iter().fold(Change::new("deleted"), Change::delete)).await?;
    Ok(rows)
}

fn info(desk: &Desk<'_>) -> Outcome {
    let id = desk.query.get("project_id");
    let id = id.ok_or_else(|| Problem::Bad("project_id", "'project_id' is missing".to_owned()))?;
    let project = find(desk, "project_id", id)?;
    Ok(shown(desk, &project))
}

fn list(desk: &Desk<'_>) -> Outcome {
    let mut projects = desk.all(Kind::Project);
    paging::oldest_first(&mut projects);
    Ok(projects.iter().map(|project| shown(desk, project)).collect())
}
