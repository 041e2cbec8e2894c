//! The keys of what a cost is charged at: discounts, margins, models without a price.
//!
//! Owns: their names and types, in `litellm_settings` and in `tollgate_settings`. Leaves to others: the prices of a
//! deployment.
//!
//! **Invariant:** the names of `litellm_settings` are LiteLLM's.

use super::{Key, Kind, Table, active};

/// The rows of `litellm_settings`.
pub(crate) const LITELLM: &[Key] = &[
    active(
        "cost_discount_config",
        Kind::Map(&Kind::Price),
        "",
        "What a provider's costs are charged less, by the provider's name: `0.05` for 5%.",
    ),
    active(
        "cost_margin_config",
        Kind::Map(&MARGIN_VALUE),
        "",
        "What is charged on top, after the discount, by the provider's name or for all others as `global`.",
    ),
    active(
        "block_requests_for_models_without_pricing",
        Kind::Bool,
        "false",
        "Refuse requests that no price is known for; `tollgate_settings.unpriced` goes before it.",
    ),
];

static MARGIN_VALUE: Kind = Kind::Either(&Kind::Price, &MARGIN_SECTION);
static MARGIN_SECTION: Kind = Kind::Section(MARGIN);

/// `cost_margin_config.*`, where it is not one number.
pub(crate) static MARGIN: Table = &[&[
    active("percentage", Kind::Price, "0", "A share of the cost: `0.1` for 10%, 10 at most."),
    active("fixed_amount", Kind::Price, "0", "USD for each answer."),
]];

/// The row of `tollgate_settings`.
pub(crate) const TOLLGATE: &[Key] = &[active(
    "unpriced",
    Kind::Either(&UNPRICED_WORD, &UNPRICED_SECTION),
    "`flag`",
    "What a request that no price is known for is: refused, answered and flagged, or charged at a price.",
)];

static UNPRICED_WORD: Kind = Kind::Choice(&["deny", "flag"]);
static UNPRICED_SECTION: Kind = Kind::Section(UNPRICED);

/// `tollgate_settings.unpriced`, where it is not one word.
pub(crate) static UNPRICED: Table =
    &[&[active("charge", Kind::Section(CHARGE), "required", "The price that is charged.")]];

/// `tollgate_settings.unpriced.charge`.
pub(crate) static CHARGE: Table = &[&[
    active("input_cost_per_token", Kind::Price, "required", "USD for each token of a prompt."),
    active("output_cost_per_token", Kind::Price, "required", "USD for each token of an answer."),
]];
