//! The patterns of the service model.
//!
//! Owns: classes of characters with a count (`[a-z0-9-]{1,63}`, `[a-zA-Z0-9_-]+`), and by hand the few patterns that are
//! more than that. Leaves to others: everything else about a member.
//!
//! **Invariant:** a pattern that is not understood fits nothing, so that a new one is noticed.

const GUARDRAIL_ID: &str =
    "(|([a-z0-9]+)|(arn:aws(-[^:]+)?:bedrock:[a-z0-9-]{1,20}:[0-9]{12}:guardrail/[a-z0-9]+))";
const GUARDRAIL_VERSION: &str = "(|([1-9][0-9]{0,7})|(DRAFT))";
const S3_URI: &str = "s3://[a-z0-9][\\.\\-a-z0-9]{1,61}[a-z0-9](/.*)?";

/// Whether the whole text fits the pattern.
pub(super) fn fits(pattern: &str, text: &str) -> bool {
    match pattern {
        GUARDRAIL_ID => {
            let plain =
                |text: &str| text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
            let arn = text.starts_with("arn:aws") && text.contains(":bedrock:");
            plain(text)
                || (arn && text.rsplit_once(":guardrail/").is_some_and(|(_, id)| !id.is_empty() && plain(id)))
        }
        GUARDRAIL_VERSION => {
            let number =
                text.len() <= 8 && !text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit());
            number || text == "DRAFT"
        }
        S3_URI => text.strip_prefix("s3://").is_some_and(|rest| {
            let bucket = rest.split('/').next().unwrap_or_default();
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '.' | '-');
            (3..=63).contains(&bucket.len())
                && edge(bucket.chars().next())
                && edge(bucket.chars().last())
                && bucket.chars().all(inner)
        }),
        _ => class(pattern).is_some_and(|(class, counts)| {
            counts.contains(&text.chars().count()) && text.chars().all(|c| is_in(&class, c))
        }),
    }
}

/// Whether a pattern is one of those that are understood.
#[cfg(test)]
pub(super) fn is_known(pattern: &str) -> bool {
    [GUARDRAIL_ID, GUARDRAIL_VERSION, S3_URI].contains(&pattern) || class(pattern).is_some()
}

/// `[class]{a,b}`, `[class]{a}`, `[class]+`, as the class and how many there may be.
fn class(pattern: &str) -> Option<(String, std::ops::RangeInclusive<usize>)> {
    let (class, count) = pattern.strip_prefix('[')?.split_once(']')?;
    let counts = match count {
        "+" => 1..=usize::MAX,
        _ => {
            let (least, most) = count
                .strip_prefix('{')?
                .strip_suffix('}')
                .map(|count| count.split_once(',').unwrap_or((count, count)))?;
            least.parse().ok()?..=most.parse().ok()?
        }
    };
    // `\s` is the one escape of these classes.
    Some((class.replace("\\s", " \t\r\n\u{b}\u{c}"), counts))
}

fn is_in(class: &str, c: char) -> bool {
    let members: Vec<char> = class.chars().collect();
    let mut rest = members.as_slice();
    while let [first, tail @ ..] = rest {
        match tail {
            ['-', last, after @ ..] => {
                if (*first..=*last).contains(&c) {
                    return true;
                }
                rest = after;
            }
            _ => {
                if *first == c {
                    return true;
                }
                rest = tail;
            }
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_fit_their_patterns_or_not() {
        for (pattern, text, expect) in [
            ("[a-zA-Z0-9_-]+", "a-B_9", true),
            ("[a-zA-Z0-9_-]+", "a b", false),
            ("[a-zA-Z0-9_-]+", "", false),
            ("[a-zA-Z0-9_.:-]+", "tooluse.1:a-b", true),
            ("[0-9]{12}", "123456789012", true),
            ("[0-9]{12}", "12345678901", false),
            ("[a-zA-Z0-9\\s:_@$#=/+,-.]{0,256}", "a b,c-d.e", true),
            ("[a-zA-Z0-9\\s:_@$#=/+,-.]{0,256}", "a!", false),
            (GUARDRAIL_ID, "", true),
            (GUARDRAIL_ID, "abc123", true),
            (GUARDRAIL_ID, "arn:aws:bedrock:us-east-1:123456789012:guardrail/abc", true),
            (GUARDRAIL_ID, "ABC", false),
            (GUARDRAIL_VERSION, "DRAFT", true),
            (GUARDRAIL_VERSION, "7", true),
            (GUARDRAIL_VERSION, "x", false),
            (S3_URI, "s3://bucket/key", true),
            (S3_URI, "s3://B/key", false),
            (S3_URI, "https://bucket", false),
            ("(new)", "new", false),
        ] {
            assert_eq!(fits(pattern, text), expect, "{pattern} {text}");
        }
    }
}
