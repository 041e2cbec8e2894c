//! What a Claude model takes, read from its name.
//!
//! Owns: the differences between generations (models overview and migration guides; LiteLLM's model map has the same).
//! Leaves to others: the words of a refusal (`check`).
//!
//! **Invariant:** a name that is not understood is taken for an older model, which takes the most.

/// What a model takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Abilities {
    /// `temperature`, `top_p` and `top_k` other than the default.
    pub(crate) sampling: bool,
    /// `temperature` beside `top_p`.
    pub(crate) both_samplings: bool,
    /// A last message of the assistant that the answer goes on from.
    pub(crate) prefill: bool,
    /// `thinking` with a budget.
    pub(crate) budgeted_thinking: bool,
    /// `thinking` of type `adaptive`.
    pub(crate) adaptive_thinking: bool,
    /// Messages of the system within the conversation.
    pub(crate) system_messages: bool,
    /// A choice of tools that forces one.
    pub(crate) forced_tools: bool,
}

/// The abilities of a model of this name.
pub(crate) fn abilities(model: &str) -> Abilities {
    let (family, version) = family_and_version(model).unwrap_or(("", (0, 0)));
    // Fable and Mythos began with the rules of Opus 4.7.
    let young = matches!(family, "fable" | "mythos");
    let since = |minimum: (u32, u32)| young || version >= minimum;
    Abilities {
        sampling: !since((4, 7)),
        both_samplings: !(since((4, 5)) || (family == "opus" && version >= (4, 1))),
        prefill: !since((4, 6)),
        budgeted_thinking: !since((4, 7)),
        adaptive_thinking: since((4, 6)),
        system_messages: version >= (4, 8),
        forced_tools: !matches!(
            (family, version),
            ("opus" | "sonnet", (5, 5..) | (6.., _)) | ("fable" | "mythos", (5, 1..) | (6.., _))
        ),
    }
}

/// `claude-opus-4-7-20260416` is `opus`, 4.7.
fn family_and_version(model: &str) -> Option<(&str, (u32, u32))> {
    let rest = model.strip_prefix("claude-")?;
    let (family, version) = rest.split_once('-')?;
    if !family.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let mut numbers =
        version.split('-').map_while(|part| part.parse::<u32>().ok().filter(|number| *number < 100));
    let major = numbers.next().unwrap_or(0);
    Some((family, (major, numbers.next().unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_family_and_version() {
        for (model, expect) in [
            ("claude-opus-4-7-20260416", Some(("opus", (4, 7)))),
            ("claude-opus-4-20250514", Some(("opus", (4, 0)))),
            ("claude-sonnet-5", Some(("sonnet", (5, 0)))),
            ("claude-mythos-preview", Some(("mythos", (0, 0)))),
            ("claude-3-5-haiku-20241022", None),
            ("sim-tools", None),
        ] {
            assert_eq!(family_and_version(model), expect, "{model}");
        }
    }

    #[test]
    fn generations_differ_in_what_they_take() {
        for (model, sampling, prefill, budgeted, system, forced) in [
            ("claude-3-5-sonnet-latest", true, true, true, false, true),
            ("claude-haiku-4-5", true, true, true, false, true),
            ("claude-opus-4-6", true, false, true, false, true),
            ("claude-opus-4-7", false, false, false, false, true),
            ("claude-opus-4-8", false, false, false, true, true),
            ("claude-mythos-preview", false, false, false, false, true),
            ("claude-haiku-5-5", false, false, false, true, true),
            ("claude-sonnet-5-5", false, false, false, true, false),
            ("claude-fable-5-1", false, false, false, true, false),
        ] {
            let found = abilities(model);
            let found = (
                found.sampling,
                found.prefill,
                found.budgeted_thinking,
                found.system_messages,
                found.forced_tools,
            );
            assert_eq!(found, (sampling, prefill, budgeted, system, forced), "{model}");
        }
    }
}
