//! The query of an admin request, and what is wrong with one.
//!
//! The words are those of LiteLLM's framework where it is that which refuses, else LiteLLM's own.

use super::Problem;
use crate::percent;
use http::StatusCode;
use serde_json::{Value, json};

/// The parameters of a query, in their order.
#[derive(Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    /// Reads a query. What is not percent-encoded as it should be is left out.
    pub(super) fn read(text: Option<&str>) -> Self {
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let plain = |text: &str| percent::decode(&text.replace('+', " "));
            Some((plain(name)?, plain(value)?))
        };
        Self(text.unwrap_or_default().split('&').filter(|part| !part.is_empty()).filter_map(pair).collect())
    }

    /// The value of a parameter; none where it is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let mut named = self.0.iter().filter(|(other, value)| other == name && !value.is_empty());
        named.next().map(|(_, value)| value.as_str())
    }

    /// Every value of a parameter that may be there several times.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |(other, _)| other == name);
        named.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Every parameter.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// A whole number from 1, up to a most where there is one.
    pub(crate) fn count(&self, name: &str, most: Option<u64>) -> Result<Option<u64>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number: i128 = text.trim().parse().map_err(|_| {
            let words = "Input should be a valid integer, unable to parse string as an integer";
            wrong("int_parsing", (name, text), words.to_owned(), None)
        })?;
        if number < 1 {
            let words = "Input should be greater than or equal to 1".to_owned();
            return Err(wrong("greater_than_equal", (name, text), words, Some(json!({"ge": 1}))));
        }
        match most.filter(|most| number > i128::from(*most)) {
            Some(most) => {
                let words = format!("Input should be less than or equal to {most}");
                Err(wrong("less_than_equal", (name, text), words, Some(json!({"le": most}))))
            }
            None => Ok(Some(u64::try_from(number).unwrap_or(u64::MAX))),
        }
    }

    /// Whether a parameter says yes.
    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" | "t" | "y" => Ok(Some(true)),
            "false" | "0" | "no" | "off" | "f" | "n" => Ok(Some(false)),
            _ => {
                let words = "Input should be a valid boolean, unable to interpret input".to_owned();
                Err(wrong("bool_parsing", (name, text), words, None))
            }
        }
    }

    /// Refuses an order that a list cannot have; `refuse` makes of LiteLLM's words what that list answers with.
    pub(crate) fn check_order(
        &self,
        columns: &[&str],
        refuse: impl Fn(&str) -> Problem,
    ) -> Result<(), Problem> {
        let Some(by) = self.get("sort_by") else { return Ok(()) };
        if !columns.contains(&by) {
            return Err(refuse(&format!("Invalid sort column. Must be one of: {}", columns.join(", "))));
        }
        let order = self.get("sort_order").unwrap_or("desc").to_ascii_lowercase();
        if !matches!(order.as_str(), "asc" | "desc") {
            return Err(refuse("Invalid sort order. Must be 'asc' or 'desc'"));
        }
        Ok(())
    }
}

/// What LiteLLM's framework says of a value.
fn wrong(kind: &str, (name, input): (&str, &str), words: String, context: Option<Value>) -> Problem {
    let mut entry = json!({"type": kind, "loc": ["query", name], "msg": words, "input": input});
    if let (Some(context), Some(entry)) = (context, entry.as_object_mut()) {
        entry.insert("ctx".to_owned(), context);
    }
    Problem::Query(StatusCode::UNPROCESSABLE_ENTITY, words, json!([entry]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_be_there_several_times() {
        let query = Query::read(Some("a=1&tags=x%20y&tags=z+w&empty=&flag=true&bad=%zz"));
        assert_eq!((query.get("a"), query.number("a")), (Some("1"), Some(1)));
        assert_eq!(query.all("tags").collect::<Vec<_>>(), ["x y", "z w"]);
        assert_eq!((query.get("empty"), query.get("bad")), (None, None));
        assert_eq!(query.flag("flag").unwrap(), Some(true));
    }
}
