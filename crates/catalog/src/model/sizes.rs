//! Rows of one model's pictures in one size and quality: `1024-x-1024/gpt-image-1.5`, `azure/hd/1024-x-1792/dall-e-3`.
//!
//! Owns finding the rows of a model. Leaves which of them holds for a picture to [`crate::prices::Prices::at_size`].
//!
//! **Invariant:** as with models, a row counts only if it belongs to the provider.

use super::{Model, belongs, keys, model_by_key};
use crate::prices::Prices;

/// The prices of a provider's model for pictures of certain sizes, each with its name: `1024-x-1024`, or
/// `hd/1024-x-1024` with a quality before it.
pub fn sizes(provider: &str, model: &str) -> Vec<(String, Prices)> {
    among((provider, model), keys(), model_by_key)
}

/// The same among other keys.
pub(super) fn among<'k>(
    (provider, model): (&str, &str),
    keys: impl Iterator<Item = &'k str>,
    by_key: impl Fn(&str) -> Option<Model>,
) -> Vec<(String, Prices)> {
    let provider = crate::provider::provider(provider).map_or(provider, |row| row.name);
    keys.filter_map(|key| {
        let size = size_of(key, provider, model)?;
        let row = by_key(key).filter(|row| belongs(row, provider))?;
        Some((size.to_owned(), row.prices))
    })
    .collect()
}

/// What a key says before the model's name, and without the provider's: a size, with its quality where it has one.
fn size_of<'k>(key: &'k str, provider: &str, model: &str) -> Option<&'k str> {
    let before = key.strip_suffix(model).filter(|_| !model.is_empty())?.strip_suffix('/')?;
    let own = |text: &'k str| text.strip_prefix(provider)?.strip_prefix('/');
    let before = own(before).unwrap_or(before);
    let ended = before.strip_suffix(provider).and_then(|rest| rest.strip_suffix('/'));
    Some(ended.unwrap_or(before)).filter(|size| size.contains("-x-"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Overlay;

    fn names(provider: &str, model: &str) -> Vec<String> {
        let mut names: Vec<String> = sizes(provider, model).into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_key_is_taken_apart_wherever_the_provider_stands_in_it() {
        let check = |key: &str, provider: &str, model: &str, expect: Option<&str>| {
            assert_eq!(size_of(key, provider, model), expect, "{key}");
        };
        check("1024-x-1024/gpt-image-1.5", "openai", "gpt-image-1.5", Some("1024-x-1024"));
        check("hd/1024-x-1792/dall-e-3", "openai", "dall-e-3", Some("hd/1024-x-1792"));
        check("azure/hd/1024-x-1792/dall-e-3", "azure", "dall-e-3", Some("hd/1024-x-1792"));
        check("high/1024-x-1536/azure/gpt-image-1", "azure", "gpt-image-1", Some("high/1024-x-1536"));
        check("1024-x-1024/gpt-image-1.5", "openai", "image-1.5", None);
        check("azure/gpt-image-1", "azure", "gpt-image-1", None);
        check("gpt-image-1", "openai", "gpt-image-1", None);
        check("1024-x-1024/", "openai", "", None);
    }

    #[test]
    fn the_rows_of_a_model_are_its_providers() {
        assert_eq!(
            names("azure", "dall-e-3"),
            [
                "hd/1024-x-1024",
                "hd/1024-x-1792",
                "hd/1792-x-1024",
                "standard/1024-x-1024",
                "standard/1024-x-1792",
                "standard/1792-x-1024"
            ]
        );
        assert_eq!(names("xai", "grok-imagine-image-2.0"), ["low/1024-x-1024"]);
        assert_eq!(names("openai", "gpt-image-1").len(), 9);
        assert_eq!(names("azure", "gpt-image-1").len(), 9);
        assert_eq!(names("xai", "gpt-image-1").len(), 0);
        assert_eq!(names("openai", "gpt-4o").len(), 0);
        assert_eq!(names("openai", "").len(), 0);
    }

    #[test]
    fn a_price_files_rows_stand_before_the_catalogues() {
        let overlay = Overlay::from_json(
            r#"{"azure/hd/1024-x-1024/dall-e-3": {"litellm_provider": "azure", "output_cost_per_image": 0.5},
                "1024-x-1024/dall-e-9": {"litellm_provider": "openai", "output_cost_per_image": 0.25}}"#,
        )
        .expect("an overlay");
        let own = overlay.sizes("azure", "dall-e-3");
        assert_eq!(own.len(), 6);
        let (_, prices) = own.iter().find(|(name, _)| name == "hd/1024-x-1024").expect("the row");
        assert_eq!(
            prices.rate("output_cost_per_image").map(|price| price.to_string()).as_deref(),
            Some("0.5")
        );
        assert_eq!(prices.rate("input_cost_per_pixel"), None, "the whole entry is replaced");
        assert_eq!(overlay.sizes("openai", "dall-e-9").len(), 1);
    }
}
