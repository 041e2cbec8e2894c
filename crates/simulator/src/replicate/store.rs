//! The predictions that were made, and how far they are.
//!
//! Owns: [`Prediction`], [`Store`], what a prediction looks like at each look. Leaves to others: making one.
//!
//! **Invariant:** a prediction goes from `starting` over `processing` to its end and never back, by looks alone: no
//! clock moves it. Of too many the oldest is forgotten.

use crate::behaviour::Behaviour;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most predictions remembered.
const PREDICTIONS_MAX: usize = 10_000;
/// The look that sees the end, unless the behaviour says another.
pub(super) const LOOKS_TO_END: u32 = 2;

/// A prediction, whole from the beginning.
#[derive(Debug, Clone)]
pub(super) struct Prediction {
    pub(super) model: String,
    /// What its stream does.
    pub(super) behaviour: Behaviour,
    /// The members that never change.
    pub(super) head: Value,
    pub(super) output: Vec<String>,
    /// Why it fails in the end.
    pub(super) error: Option<String>,
    pub(super) metrics: Value,
    pub(super) time: String,
    /// The look that sees its end.
    pub(super) looks_to_end: u32,
    /// Whoever waits for it waits in vain.
    pub(super) outlasts_waiting: bool,
    /// How often it was looked at.
    pub(super) looked: u32,
    pub(super) canceled: bool,
}

impl Prediction {
    fn shown(&self) -> Value {
        let over = self.canceled || self.looked >= self.looks_to_end;
        let (status, tokens) = match self.looked {
            _ if self.canceled => ("canceled", self.output.len() / 2),
            0 if !over => ("starting", 0),
            _ if !over => ("processing", self.output.len() / 2),
            _ if self.error.is_some() => ("failed", self.output.len()),
            _ => ("succeeded", self.output.len()),
        };
        let output = self.output.get(..tokens).filter(|output| over || !output.is_empty());
        let started = (status != "starting").then_some(&self.time);
        let mut shown = self.head.clone();
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("status".to_owned(), json!(status));
            fields.insert("output".to_owned(), json!(output));
            fields.insert("error".to_owned(), json!(self.error.as_ref().filter(|_| status == "failed")));
            fields.insert("started_at".to_owned(), json!(started));
            fields.insert("completed_at".to_owned(), json!(over.then_some(&self.time)));
            fields.insert("metrics".to_owned(), if over { self.metrics.clone() } else { json!({}) });
        }
        shown
    }
}

/// The predictions.
#[derive(Debug, Default)]
pub(crate) struct Store {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_id: HashMap<String, Prediction>,
    /// Ids, oldest first.
    order: VecDeque<String>,
}

impl Store {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers a prediction; shows its end at once to one who waits for it.
    pub(super) fn put(&self, id: String, mut made: Prediction, waits: bool) -> Value {
        if waits && !made.outlasts_waiting {
            made.looked = made.looks_to_end;
        }
        let shown = made.shown();
        let mut kept = self.lock();
        if kept.order.len() >= PREDICTIONS_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.by_id.remove(&oldest);
        }
        kept.order.push_back(id.clone());
        kept.by_id.insert(id, made);
        shown
    }

    /// A prediction as it is, without counting as a look.
    pub(super) fn look(&self, id: &str) -> Option<Prediction> {
        self.lock().by_id.get(id).cloned()
    }

    /// Looks at a prediction, which moves it on.
    pub(super) fn poll(&self, id: &str) -> Option<Value> {
        self.change(id, |made| made.looked = made.looked.saturating_add(1)).map(|made| made.shown())
    }

    /// Cancels a prediction that is not over.
    pub(super) fn cancel(&self, id: &str) -> Option<Value> {
        self.change(id, |made| made.canceled |= made.looked < made.looks_to_end).map(|made| made.shown())
    }

    /// A prediction to be streamed, which is over for whoever looks after that.
    pub(super) fn stream(&self, id: &str) -> Option<Prediction> {
        self.change(id, |made| made.looked = made.looks_to_end)
    }

    fn change(&self, id: &str, change: impl FnOnce(&mut Prediction)) -> Option<Prediction> {
        let mut kept = self.lock();
        let made = kept.by_id.get_mut(id)?;
        change(made);
        Some(made.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(error: Option<&str>) -> Prediction {
        Prediction {
            model: "o/m".to_owned(),
            behaviour: Behaviour::new(),
            head: json!({"id": "x"}),
            output: vec!["a".to_owned(), "b".to_owned()],
            error: error.map(str::to_owned),
            metrics: json!({"predict_time": 1}),
            time: "now".to_owned(),
            looks_to_end: LOOKS_TO_END,
            outlasts_waiting: false,
            looked: 0,
            canceled: false,
        }
    }

    #[test]
    fn each_look_sees_more_until_the_end() {
        let store = Store::default();
        let first = store.put("x".to_owned(), made(None), false);
        assert_eq!(
            (&first["status"], &first["output"], &first["metrics"]),
            (&json!("starting"), &Value::Null, &json!({}))
        );
        let second = store.poll("x").unwrap();
        assert_eq!((&second["status"], &second["output"]), (&json!("processing"), &json!(["a"])));
        let last = store.poll("x").unwrap();
        assert_eq!((&last["status"], &last["output"]), (&json!("succeeded"), &json!(["a", "b"])));
        assert_eq!(store.cancel("x").unwrap()["status"], "succeeded");
        assert!(store.poll("y").is_none());
    }

    #[test]
    fn one_who_waits_sees_the_end_at_once() {
        let store = Store::default();
        let shown = store.put("x".to_owned(), made(Some("why")), true);
        assert_eq!((&shown["status"], &shown["error"]), (&json!("failed"), &json!("why")));
    }

    #[test]
    fn a_prediction_may_outlast_whoever_waits_for_it() {
        let store = Store::default();
        let long = Prediction { looks_to_end: 3, outlasts_waiting: true, ..made(None) };
        assert_eq!(store.put("x".to_owned(), long, true)["status"], "starting");
        let looks = [(); 3].map(|()| store.poll("x").unwrap()["status"].clone());
        assert_eq!(looks, ["processing", "processing", "succeeded"]);
    }

    #[test]
    fn a_cancelled_prediction_stays_that() {
        let store = Store::default();
        store.put("x".to_owned(), made(None), false);
        assert_eq!(store.cancel("x").unwrap()["status"], "canceled");
        assert_eq!(store.poll("x").unwrap()["status"], "canceled");
    }

    #[test]
    fn the_oldest_prediction_is_forgotten() {
        let store = Store::default();
        for number in 0..=PREDICTIONS_MAX {
            store.put(number.to_string(), made(None), false);
        }
        assert!(store.look("0").is_none() && store.look("1").is_some());
    }
}
