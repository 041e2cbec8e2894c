//! The operator's own model facts, which take precedence over the built-in catalogue.
//!
//! Owns reading them from text in the form of `data/models.json`. Leaves reading the file to its caller.
//!
//! **Invariant:** an overlay is taken whole or not at all; the error names the model and the field.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::{Model, ModelError};
use crate::prices::Prices;

/// Models by key, in memory.
#[derive(Clone, Debug, Default)]
pub struct Overlay {
    models: BTreeMap<String, Model>,
}

/// Why a text is not an overlay.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// The text is not a JSON object of objects.
    #[error("the model prices are not a JSON object: {0}")]
    Syntax(String),
    /// One model's object is wrong.
    #[error("model `{key}`: {error}")]
    Model {
        /// The model's key.
        key: String,
        /// What is wrong with it.
        error: ModelError,
    },
}

impl Overlay {
    /// Reads JSON text that maps keys to objects as the catalogue does. An entry replaces the catalogue's model of
    /// that key whole. LiteLLM's `sample_spec`, which explains the form, is left out.
    pub fn from_json(json: &str) -> Result<Overlay, OverlayError> {
        let written: BTreeMap<String, &RawValue> =
            serde_json::from_str(json).map_err(|error| OverlayError::Syntax(error.to_string()))?;
        let mut models = BTreeMap::new();
        for (key, raw) in written.into_iter().filter(|(key, _)| key != "sample_spec") {
            let model = Model::read(Cow::Owned(key.clone()), Cow::Owned(raw.get().to_owned()));
            match model {
                Ok(model) => models.insert(key, model),
                Err(error) => return Err(OverlayError::Model { key, error }),
            };
        }
        Ok(Overlay { models })
    }

    /// How many models it holds.
    pub fn len(&self) -> usize {
        self.models.len()
    }

    /// Whether it holds no model.
    pub fn is_empty(&self) -> bool {
        self.models.is_empty()
    }

    /// The overlay's keys, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.models.keys().map(String::as_str)
    }

    /// [`super::model`], with the overlay's models in front: at each spelling, the overlay is asked first.
    pub fn model(&self, provider: &str, model: &str) -> Option<Model> {
        super::find(provider, model, |key| self.model_by_key(key))
    }

    /// [`super::model_by_key`], with the overlay's models in front.
    pub fn model_by_key(&self, key: &str) -> Option<Model> {
        self.models.get(key).cloned().or_else(|| super::model_by_key(key))
    }

    /// [`super::sizes`], with the overlay's models in front.
    pub fn sizes(&self, provider: &str, model: &str) -> Vec<(String, Prices)> {
        let name = (provider, model);
        let by_key = |key: &str| self.model_by_key(key);
        let mut rows = super::sizes::among(name, self.keys(), by_key);
        let others = super::keys().filter(|key| !self.models.contains_key(*key));
        rows.extend(super::sizes::among(name, others, by_key));
        rows
    }
}
