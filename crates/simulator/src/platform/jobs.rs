//! Fine-tuning jobs.
//!
//! Owns: their rules, their course, events and checkpoints. Leaves to others: files (`files`).
//!
//! **Invariant:** a job gets one step on each time it is looked at: files validated, queued, running, succeeded.

use super::{About, page};
use crate::ask::text_at;
use crate::error::ApiError;
use crate::openai::check::spell;
use crate::reply::Making;
use crate::responses::check::metadata;
use crate::shape::Shape::{Any, Closed, Either, Int, MapOf, Num, Object, ShortText, Text, Word};
use crate::shape::{self, Field, Keys, Shape, list as list_of, may, must, null};
use serde_json::{Value, json};

/// Most jobs, events or checkpoints of a page.
const PAGE_MAX: usize = 100;
/// The steps of a job.
const STEPS: &[&str] = &["validating_files", "queued", "running", "succeeded"];

const AUTO: Shape = Word(&["auto"]);
const COUNT: Shape = Either(&[AUTO, Int(1, i64::MAX)]);
const RATE: Shape = Either(&[AUTO, Num(0.0, f64::MAX)]);
const HYPERPARAMETERS: &[Field] =
    &[may("batch_size", COUNT), may("learning_rate_multiplier", RATE), may("n_epochs", COUNT)];
const PREFERENCES: &[Field] = &[
    may("batch_size", COUNT),
    may("beta", RATE),
    may("learning_rate_multiplier", RATE),
    may("n_epochs", COUNT),
];
const REINFORCEMENT: &[Field] = &[
    may("batch_size", COUNT),
    may("compute_multiplier", RATE),
    may("eval_interval", COUNT),
    may("eval_samples", COUNT),
    may("learning_rate_multiplier", RATE),
    may("n_epochs", COUNT),
    may("reasoning_effort", Word(&["default", "low", "medium", "high"])),
];
const METHOD: &[Field] = &[
    must("type", Word(&["supervised", "dpo", "reinforcement"])),
    may("dpo", Closed(&[may("hyperparameters", Closed(PREFERENCES))])),
    may("reinforcement", Closed(&[must("grader", Object), may("hyperparameters", Closed(REINFORCEMENT))])),
    may("supervised", Closed(&[may("hyperparameters", Closed(HYPERPARAMETERS))])),
];
const WANDB: &[Field] =
    &[must("project", Text), null("entity", Text), null("name", Text), may("tags", list_of(&Text))];
const FIELDS: &[Field] = &[
    must("model", Text),
    must("training_file", Text),
    may("hyperparameters", Closed(HYPERPARAMETERS)),
    null("integrations", list_of(&Closed(&[must("type", Word(&["wandb"])), must("wandb", Closed(WANDB))]))),
    null("metadata", MapOf(&ShortText(512))),
    may("method", Closed(METHOD)),
    null("seed", Int(0, 2_147_483_647)),
    null("suffix", ShortText(64)),
    null("validation_file", Any),
];

/// A kept job.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    object: Value,
    /// Newest first.
    events: Vec<Value>,
}

/// Checks a body.
pub(super) fn check(about: &About<'_>) -> Result<(), ApiError> {
    let object = about.body.as_object().cloned().unwrap_or_default();
    if let Some(violation) = shape::check(&object, FIELDS, Keys::Exact).first() {
        return Err(spell(violation));
    }
    metadata(about.body, "metadata")?;
    for name in ["training_file", "validation_file"] {
        let id = text_at(about.body, name);
        let file = about.state.files.get(about.owner, id);
        if (name == "training_file" || !id.is_empty())
            && file.is_none_or(|file| file.purpose() != "fine-tune")
        {
            return Err(ApiError::bad_request(format!("invalid {name}: {id}"))
                .param(name)
                .code("invalid_value"));
        }
    }
    Ok(())
}

fn event(id: &str, now: u64, message: &str) -> Value {
    json!({
        "id": id,
        "object": "fine_tuning.job.event",
        "created_at": now,
        "level": "info",
        "message": message,
        "data": {},
        "type": "message",
    })
}

/// Makes a job.
pub(super) fn create(about: &About<'_>, making: &mut Making<'_>) -> Value {
    let body = about.body;
    let (id, now) = (making.ids.next("ftjob-", 24), making.created);
    let given = |name: &str| body.get(name).cloned().unwrap_or_default();
    let auto = json!({"batch_size": "auto", "learning_rate_multiplier": "auto", "n_epochs": "auto"});
    let hyperparameters = body.get("hyperparameters").cloned().unwrap_or(auto);
    let method = json!({"type": "supervised", "supervised": {"hyperparameters": hyperparameters}});
    let object = json!({
        "id": id,
        "object": "fine_tuning.job",
        "model": text_at(body, "model"),
        "created_at": now,
        "fine_tuned_model": null,
        "organization_id": "org-simulated",
        "result_files": [],
        "status": "validating_files",
        "training_file": given("training_file"),
        "validation_file": given("validation_file"),
        "hyperparameters": hyperparameters,
        "method": body.get("method").cloned().unwrap_or(method),
        "trained_tokens": null,
        "integrations": body.get("integrations").filter(|given| !given.is_null()).cloned().unwrap_or_else(|| json!([])),
        "seed": body.get("seed").filter(|seed| !seed.is_null()).cloned().unwrap_or_else(|| json!(1)),
        "metadata": given("metadata"),
        "estimated_finish": null,
        "finished_at": null,
        "error": null,
        "user_provided_suffix": given("suffix"),
    });
    let first = event(&making.ids.next("ftevent-", 24), now, &format!("Created fine-tuning job: {id}"));
    about.state.jobs.add(about.owner, &id, Job { object: object.clone(), events: vec![first] });
    object
}

fn change<R>(about: &About<'_>, change: impl FnOnce(&mut Job) -> R) -> Result<R, ApiError> {
    let id = about.id(0);
    about.state.jobs.change(about.owner, id, change).ok_or_else(|| {
        ApiError::new(404, format!("Could not find fine tune: {id}"))
            .param("fine_tune_id")
            .code("fine_tune_not_found")
    })
}

fn set(job: &mut Job, name: &str, value: Value) {
    if let Some(fields) = job.object.as_object_mut() {
        fields.insert(name.to_owned(), value);
    }
}

/// A kept job, one step on.
pub(super) fn get(about: &About<'_>, making: &mut Making<'_>) -> Result<Value, ApiError> {
    let now = making.created;
    let event_id = making.ids.next("ftevent-", 24);
    let tuned = making.ids.next("", 8);
    change(about, |job| {
        let at = STEPS.iter().position(|step| *step == text_at(&job.object, "status"));
        let Some(next) = at.and_then(|at| STEPS.get(at + 1)) else { return job.object.clone() };
        set(job, "status", json!(next));
        job.events.insert(0, event(&event_id, now, &format!("The job is now: {next}")));
        if *next == "succeeded" {
            let suffix = text_at(&job.object, "user_provided_suffix").to_owned();
            let name = format!("ft:{}:simulated:{suffix}:{tuned}", text_at(&job.object, "model"));
            set(job, "fine_tuned_model", json!(name));
            set(job, "finished_at", json!(now));
            set(job, "trained_tokens", json!(1_000));
        }
        job.object.clone()
    })
}

/// Sets the status of a job that is in one of these.
pub(super) fn become_status(about: &About<'_>, status: &str, from: &[&str]) -> Result<Value, ApiError> {
    change(about, |job| {
        let now = text_at(&job.object, "status");
        if !from.contains(&now) {
            let message = format!("Job has status '{now}' and cannot become '{status}'.");
            return Err(ApiError::bad_request(message).code("invalid_job_status"));
        }
        set(job, "status", json!(status));
        Ok(job.object.clone())
    })?
}

/// A page of jobs.
pub(super) fn list(about: &About<'_>) -> Result<Value, ApiError> {
    let jobs = about.state.jobs.list(about.owner);
    page(jobs.into_iter().map(|job| job.object).collect(), about.query, PAGE_MAX)
}

/// A page of a job's events.
pub(super) fn events(about: &About<'_>) -> Result<Value, ApiError> {
    page(change(about, |job| job.events.clone())?, about.query, PAGE_MAX)
}

/// A page of a job's checkpoints: one, once it has succeeded.
pub(super) fn checkpoints(about: &About<'_>) -> Result<Value, ApiError> {
    let job = change(about, |job| job.object.clone())?;
    let model = text_at(&job, "fine_tuned_model");
    let checkpoint = json!({
        "id": format!("ftckpt_{}", text_at(&job, "id").trim_start_matches("ftjob-")),
        "object": "fine_tuning.job.checkpoint",
        "created_at": job.get("finished_at"),
        "fine_tuned_model_checkpoint": model,
        "fine_tuning_job_id": text_at(&job, "id"),
        "step_number": 100,
        "metrics": {"step": 100, "train_loss": 0.25, "train_mean_token_accuracy": 0.9},
    });
    page(if model.is_empty() { Vec::new() } else { vec![checkpoint] }, about.query, PAGE_MAX)
}
