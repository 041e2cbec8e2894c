//! Deployments and credentials: opened with LiteLLM's salt, and sealed anew.

use super::{CREDENTIALS, MODELS, Reading, Row};
use crate::form::{BadForm, Context, Draft, credential, model};
use serde_json::{Map, Value};

impl Reading<'_> {
    pub(super) fn credentials(&mut self) {
        for row in self.source.rows(CREDENTIALS) {
            let name = row.text("credential_name").unwrap_or_default();
            let terms = self.terms;
            let seal = |member: &str, text: &str| (terms.seal)(name, member, text);
            let made = self.opened(row.get("credential_values")).map(|values| {
                let info = row.get("credential_info").cloned().unwrap_or_default();
                let body = body([
                    ("credential_name", Value::from(name)),
                    ("credential_values", values),
                    ("credential_info", info),
                ]);
                credential::new(&body, &seal, &self.context())
            });
            self.made(CREDENTIALS, name, (row, made));
        }
    }

    pub(super) fn models(&mut self) {
        for row in self.source.rows(MODELS) {
            let id = row.text("model_id").unwrap_or_default();
            let name = row.text("model_name").unwrap_or_default();
            let terms = self.terms;
            let seal = |member: &str, text: &str| (terms.seal)(id, member, text);
            let made = self.opened(row.get("litellm_params")).map(|params| {
                let info = row.get("model_info").cloned().unwrap_or_default();
                let body = body([
                    ("model_name", Value::from(name)),
                    ("litellm_params", params),
                    ("model_info", info),
                ]);
                model::new(id, &body, &seal, &self.context())
            });
            self.made(MODELS, &format!("{name} ({id})"), (row, made));
        }
    }

    fn context(&self) -> Context<'_> {
        Context { is_admin: true, is_operator: true, ..self.terms.context }
    }

    fn made(
        &mut self,
        table: &'static str,
        what: &str,
        (row, made): (&Row, Result<Result<Draft, BadForm>, String>),
    ) {
        match made {
            Ok(Ok(draft)) => self.take(table, row, draft, Vec::new()),
            Ok(Err(bad)) => self.leave(table, what, bad.to_string()),
            Err(reason) => self.leave(table, what, reason),
        }
    }

    /// An object whose texts LiteLLM has sealed, each by itself.
    fn opened(&self, values: Option<&Value>) -> Result<Value, String> {
        let within = match values {
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_default(),
            other => other.cloned().unwrap_or_default(),
        };
        let Value::Object(members) = within else { return Err("it has no values".to_owned()) };
        let open = |(name, value): (String, Value)| match value {
            Value::String(text) => Ok((name, Value::String(self.terms.opener.open(&text)?))),
            other => Ok((name, other)),
        };
        members.into_iter().map(open).collect::<Result<Map<_, _>, String>>().map(Value::Object)
    }
}

fn body<const N: usize>(members: [(&str, Value); N]) -> Map<String, Value> {
    let there = members.into_iter().filter(|(_, value)| !value.is_null());
    there.map(|(name, value)| (name.to_owned(), value)).collect()
}
