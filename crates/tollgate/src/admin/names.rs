//! Whom a name means: keys by alias, hash or themselves, teams by alias or id, users by id or address.
//!
//! **Invariant:** a name that fits several is never decided by chance. **Invariant:** a key that was typed leaves the
//! machine as its hash alone.

use super::client::{Question, Trouble};
use super::{Session, rows, text};
use serde_json::Value;
use std::collections::HashMap;
use tollgate_identity::secret::Token;

/// The most that a list of those that fit names.
const LISTED: usize = 10;

impl Session {
    /// The hash of the key that a name means.
    pub(super) async fn key(&self, name: &str) -> Result<String, Trouble> {
        if name.starts_with("sk-") {
            return Ok(Token::of(name.as_bytes()).as_str().to_owned());
        }
        let is_hash = name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_hash {
            return Ok(name.to_ascii_lowercase());
        }
        let answers = self
            .pages("size", || {
                let question = Question::get("/key/list").with("return_full_object", "true");
                question.with("key_alias", name)
            })
            .await?;
        let found = rows(&answers, "keys").filter(|key| text(key, "key_alias") == name);
        let found = found.map(|key| (text(key, "token"), text(key, "key_name"))).collect();
        one("key", name, found)
    }

    /// The id of the team that a name means.
    pub(super) async fn team(&self, name: &str) -> Result<String, Trouble> {
        let answers = self.pages("page_size", || Question::get("/v2/team/list").with("search", name)).await?;
        let teams = || rows(&answers, "teams");
        if teams().any(|team| text(team, "team_id") == name) {
            return Ok(name.to_owned());
        }
        let found = teams().filter(|team| text(team, "team_alias") == name);
        one("team", name, found.map(|team| (text(team, "team_id"), String::new())).collect())
    }

    /// The id of the user that a name means.
    pub(super) async fn user(&self, name: &str) -> Result<String, Trouble> {
        let answers = self.pages("page_size", || Question::get("/user/list").with("search", name)).await?;
        let users = || rows(&answers, "users");
        if users().any(|user| text(user, "user_id") == name) {
            return Ok(name.to_owned());
        }
        let found = users().filter(|user| text(user, "user_email").eq_ignore_ascii_case(name));
        one("user", name, found.map(|user| (text(user, "user_id"), String::new())).collect())
    }

    /// The aliases of teams by their ids; none where whoever asks may not see them.
    pub(super) async fn team_aliases(&self) -> HashMap<String, String> {
        let Ok(answers) = self.pages("page_size", || Question::get("/v2/team/list")).await else {
            return HashMap::new();
        };
        let named = rows(&answers, "teams").map(|team| (text(team, "team_id"), text(team, "team_alias")));
        named.filter(|(_, alias)| !alias.is_empty()).collect()
    }
}

/// The only one that fits: those are ids with what else tells them apart.
fn one(kind: &str, name: &str, found: Vec<(String, String)>) -> Result<String, Trouble> {
    let several: Vec<String> = found.iter().take(LISTED).map(described).collect();
    let more = found.len().saturating_sub(LISTED);
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (Some((id, _)), None) => Ok(id),
        (None, _) => Err(Trouble::Refused(format!("there is no {kind} '{name}', or you may not see it"))),
        (Some(_), Some(_)) => {
            let more = if more == 0 { String::new() } else { format!(" and {more} more") };
            let several = several.join(", ");
            Err(Trouble::Refused(format!(
                "'{name}' is the name of several {kind}s: {several}{more}; name one by its id"
            )))
        }
    }
}

fn described((id, more): &(String, String)) -> String {
    if more.is_empty() { id.clone() } else { format!("{id} ({more})") }
}

/// A team's alias, or its id where it has none.
pub(super) fn alias_of(aliases: &HashMap<String, String>, row: &Value) -> String {
    let id = text(row, "team_id");
    aliases.get(&id).cloned().unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fits_several_lists_them() {
        let check = |found: &[&str], expect: Result<&str, &str>| {
            let found = found.iter().map(|id| ((*id).to_owned(), String::new())).collect();
            let expect = expect.map(str::to_owned).map_err(|error| Trouble::Refused(error.to_owned()));
            assert_eq!(one("team", "web", found), expect);
        };
        check(&["a"], Ok("a"));
        check(&[], Err("there is no team 'web', or you may not see it"));
        check(&["a", "b"], Err("'web' is the name of several teams: a, b; name one by its id"));
        let many: Vec<String> = (0..12).map(|number| number.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let listed =
            "'web' is the name of several teams: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 2 more; name one by its id";
        check(&many, Err(listed));
    }
}
