//! The query of an admin request.

use crate::percent;

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

    /// Whether a parameter says yes.
    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" => Some(true),
            "false" | "0" | "no" => Some(false),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_may_be_there_several_times() {
        let query = Query::read(Some("a=1&tags=x%20y&tags=z+w&empty=&flag=true&bad=%zz"));
        assert_eq!((query.get("a"), query.number("a")), (Some("1"), Some(1)));
        assert_eq!(query.all("tags").collect::<Vec<_>>(), ["x y", "z w"]);
        assert_eq!((query.get("empty"), query.get("bad"), query.flag("flag")), (None, None, Some(true)));
    }
}
