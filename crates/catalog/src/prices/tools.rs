//! Prices of tools that the provider runs, beside web searches.
//!
//! Owns what a call of each costs. Leaves counting calls to others. **Invariant:** a tool without a price of its model's
//! has its provider's list price, where there is one.

use super::PriceError;
use super::reading::number;
use crate::money::Price;

/// Dollars for each call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolPrices {
    /// A query to Google's maps, or a prompt that is grounded in them.
    pub(crate) map_query: Option<Price>,
    /// A session of a container in which code is run.
    pub(crate) code_session: Option<Price>,
    /// A search in the caller's own files.
    pub(crate) file_search: Option<Price>,
}

impl ToolPrices {
    /// Takes one field, if it is one of these prices.
    pub(super) fn put(&mut self, name: &str, json: &str) -> Result<bool, PriceError> {
        let price = match name {
            "google_maps_grounding_cost_per_query" => &mut self.map_query,
            "code_interpreter_cost_per_session" => &mut self.code_session,
            _ => return Ok(false),
        };
        *price = Some(number(name, json)?);
        Ok(true)
    }

    /// These, and where there is none the other's.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            map_query: self.map_query.or(other.map_query),
            code_session: self.code_session.or(other.code_session),
            file_search: self.file_search.or(other.file_search),
        }
    }

    /// These, and where there is none what the provider lists for all of its models.
    pub(super) fn or_listed(self, provider: &str, is_per_prompt: bool) -> Self {
        let price = |text: &str| Price::parse(text).ok();
        let listed = match provider {
            // OpenAI's pricing page: "Containers" and "File search tool call"; `openai/container` in the data.
            "openai" => Self { code_session: price("0.03"), file_search: price("0.0025"), map_query: None },
            // `azure/container` in the data; file search is billed by what is stored.
            "azure" => Self { code_session: price("0.033"), ..Self::default() },
            // "Grounding with Google Maps": 25 dollars for 1,000 prompts, 14 for 1,000 queries of Gemini 3.
            _ if provider == "gemini" || provider.starts_with("vertex_ai") => {
                Self { map_query: price(if is_per_prompt { "0.025" } else { "0.014" }), ..Self::default() }
            }
            _ => Self::default(),
        };
        self.or(listed)
    }
}
