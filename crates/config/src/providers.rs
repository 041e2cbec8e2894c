//! What this crate asks the catalogue about providers and prices.
//!
//! Owns: turning the catalogue's refusals into findings. Leaves to others: the provider table and the rule for names
//! (catalog).
//!
//! **Invariant:** nothing else in this crate resolves a provider.

use tollgate_catalog::{KeyPlacement, Prices, Provider, ResolveError, Wire, resolve_model};

use crate::report::{Collector, Message, printable};
use crate::section::NOT_YET_ACTIVE;
use crate::yaml::Place;

/// A provider and its own name of a model.
pub(crate) struct Resolved {
    pub(crate) provider: &'static Provider,
    pub(crate) model: String,
}

/// Resolves `model`; `None` says why in `found`, at `place` under `path`.
pub(crate) fn resolve(
    model: &str,
    custom: Option<&str>,
    place: Place,
    path: &str,
    found: &mut Collector,
) -> Option<Resolved> {
    let error = match resolve_model(model, custom) {
        Ok((provider, model)) => return Some(Resolved { provider, model: model.to_owned() }),
        Err(error) => error,
    };
    match error {
        ResolveError::NotYetActive { provider, instead } => {
            let message = format!("the provider {provider} is {NOT_YET_ACTIVE}: the deployment is left out");
            found.warning(place, path, Message::with_nearest(message, instead.as_deref()));
        }
        ResolveError::UnknownProvider { provider, nearest } => {
            let message = format!("unknown provider {}", shown(&provider));
            found.error(place, path, Message::with_nearest(message, nearest));
        }
        ResolveError::NoProvider { model } => {
            let message = format!("no provider: write provider/model, such as openai/{}", shown(&model));
            found.error(place, path, message);
        }
        ResolveError::Empty => found.error(place, path, "the name of the model is empty"),
    }
    None
}

/// A name that may be repeated in a message: a short word as providers and models have it. Anything else may be a
/// secret in the wrong place.
fn shown(name: &str) -> String {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.' | b':');
    if name.len() <= 40 && name.bytes().all(is_word) { printable(name) } else { "(not a name)".to_owned() }
}

/// Whether requests without a key make sense: servers that people run themselves often want none.
pub(crate) fn works_without_key(provider: &Provider) -> bool {
    // Clouds have their own ways to know a caller.
    matches!(provider.key, KeyPlacement::OptionalBearer)
        || matches!(provider.wire, Wire::Vertex | Wire::Bedrock | Wire::SageMaker)
}

/// Whether the catalogue can bill by `text` under the name `name`.
pub(crate) fn is_price(name: &str, text: &str) -> bool {
    Prices::default().with_overrides(std::iter::once((name, text))).is_ok()
}
