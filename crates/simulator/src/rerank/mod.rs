//! Providers that rank and embed: Jina, Voyage, Together and Infinity.
//!
//! Owns: their routes, the shapes of their replies and errors. Leaves to others: the scores (`cohere::rank`), the
//! vectors (`openai::embedding`), the fields (`tables`).
//!
//! **Invariant:** a provider answers on the routes that its reference has, and on no others.

mod tables;

use crate::ask::{Ask, flag_at, items_at, number_at, text_at, tokens_of};
use crate::cohere::{document_text, rank, uuid};
use crate::error::ApiError;
use crate::exchange::Asked;
use crate::openai::{bearer, embedding};
use crate::pydantic;
use crate::reply::{Event, Making, Reply, Role};
use crate::server::Shared;
use crate::shape::{self, Field, Keys, Step, Violation, Wrong};
use crate::surface::{Operation, Surface};
use crate::wire::{Found, Trouble, Turn, Wire};
use http::{HeaderMap, Method};
use serde_json::{Map, Value, json};

/// One of the providers.
#[derive(Debug)]
pub(crate) struct Ranker {
    surface: Surface,
    rerank: &'static [Field],
    /// `None`: it does not embed.
    embed: Option<&'static [Field]>,
}

/// Jina.
pub(crate) static JINA: Ranker =
    Ranker { surface: Surface::Jina, rerank: tables::JINA_RERANK, embed: Some(tables::JINA_EMBED) };
/// Voyage.
pub(crate) static VOYAGE: Ranker =
    Ranker { surface: Surface::Voyage, rerank: tables::VOYAGE_RERANK, embed: Some(tables::VOYAGE_EMBED) };
/// Together, for ranking alone: its other routes are OpenAI's.
pub(crate) static TOGETHER: Ranker =
    Ranker { surface: Surface::Together, rerank: tables::TOGETHER_RERANK, embed: None };
/// Infinity, a server for one's own models.
pub(crate) static INFINITY: Ranker = Ranker {
    surface: Surface::Infinity,
    rerank: tables::INFINITY_RERANK,
    embed: Some(tables::INFINITY_EMBED),
};

impl Wire for Ranker {
    fn surface(&self) -> Surface {
        self.surface
    }

    fn route(&self, _method: &Method, path: &str) -> Option<Found> {
        let tail = match self.surface {
            Surface::Infinity => path.strip_prefix('/')?,
            _ => path.strip_prefix("/v1/")?,
        };
        match tail {
            "rerank" => Some((Operation::Rerank, None)),
            "embeddings" if self.embed.is_some() => Some((Operation::Embedding, None)),
            _ => None,
        }
    }

    fn owns(&self, path: &str) -> bool {
        self.surface == Surface::Infinity && matches!(path, "/rerank" | "/embeddings")
    }

    fn check_credential(&self, shared: &Shared, asked: &Asked) -> Result<(), ApiError> {
        match asked.credential.as_deref() {
            // One's own server has a key only when it is started with one.
            None if self.surface == Surface::Infinity => Ok(()),
            None => Err(self.error(Trouble::MissingKey)),
            Some(key) if crate::admission::is_good(shared, key) => Ok(()),
            Some(_) => Err(self.error(Trouble::WrongKey)),
        }
    }

    fn credential(&self, headers: &HeaderMap) -> Option<String> {
        bearer(headers).map(str::to_owned)
    }

    fn check(&self, asked: &Asked, operation: Operation) -> Result<(), ApiError> {
        let body = &asked.json;
        let fields = if operation == Operation::Rerank { Some(self.rerank) } else { self.embed };
        let (Some(object), Some(fields)) = (body.as_object(), fields) else {
            return Err(ApiError::bad_request("the request body must be a JSON object"));
        };
        let violations = shape::check(object, fields, Keys::Exact);
        if let Some(first) = violations.first() {
            return Err(self.refuse(first, &violations, body));
        }
        if operation == Operation::Rerank && text_at(body, "query").is_empty() {
            return Err(ApiError::bad_request("The query must not be empty."));
        }
        Ok(())
    }

    fn read(&self, asked: &Asked) -> Ask {
        let body = &asked.json;
        let prompt_tokens = match asked.route.operation {
            Some(Operation::Rerank) => {
                let query = tokens_of(text_at(body, "query"));
                items_at(body, "documents").iter().map(|text| query + tokens_of(&document_text(text))).sum()
            }
            _ => embedding::prompt_tokens(&inputs(body)),
        };
        Ask { model: asked.model.clone(), prompt_tokens, ..Ask::default() }
    }

    fn reply(&self, turn: Turn<'_>, making: &mut Making<'_>) -> Result<Reply, ApiError> {
        let body = turn.body();
        Ok(Reply::json(&match turn.operation() {
            Operation::Rerank => self.ranking(body, making),
            _ => self.embeddings(body, making),
        }))
    }

    fn error(&self, trouble: Trouble<'_>) -> ApiError {
        let message = match (self.surface, trouble) {
            (Surface::Jina, Trouble::MissingKey | Trouble::WrongKey) => {
                "Invalid API key, please get a new one from the API dashboard.".to_owned()
            }
            (Surface::Voyage, Trouble::MissingKey | Trouble::WrongKey) => {
                "Provided API key is invalid.".to_owned()
            }
            (Surface::Together, Trouble::MissingKey | Trouble::WrongKey) => {
                "Invalid API key provided.".to_owned()
            }
            (Surface::Infinity, Trouble::MissingKey | Trouble::WrongKey) => "Unauthorized".to_owned(),
            (Surface::Jina, Trouble::Quota) => {
                return ApiError::new(402, "Insufficient account balance, please recharge your account.");
            }
            (_, other) => other.sentence(),
        };
        ApiError::new(trouble.status(), message)
    }

    fn error_body(&self, error: &ApiError, request_id: &str) -> Value {
        if let Some(details) = &error.details {
            return json!({"detail": details});
        }
        match self.surface {
            Surface::Together => json!({
                "id": request_id,
                "error": {"message": error.message, "type": together_kind(error.status), "param": null, "code": null},
            }),
            Surface::Infinity if error.status >= 500 => json!({
                "error": {"message": error.message, "type": "internal_error", "param": null, "code": error.status},
            }),
            _ => json!({"detail": error.message}),
        }
    }

    fn error_event(&self, error: &ApiError) -> Event {
        Event::data(Role::End, &self.error_body(error, ""))
    }
}

fn together_kind(status: u16) -> &'static str {
    match status {
        401 => "invalid_request_error",
        429 => "rate_limit",
        500.. => "server_error",
        _ => "invalid_request_error",
    }
}

/// The body with its input as OpenAI has it: objects as their text or what else they hold.
fn inputs(body: &Value) -> Value {
    let plain = |item: &Value| if item.is_object() { json!(document_text(item)) } else { item.clone() };
    let input = match body.get("input") {
        Some(Value::Array(items)) => items.iter().map(plain).collect(),
        Some(one) => plain(one),
        None => Value::Null,
    };
    let dimensions = number_at(body, "dimensions").or_else(|| number_at(body, "output_dimension"));
    let base64 = [text_at(body, "encoding_format"), text_at(body, "embedding_type")].contains(&"base64");
    let mut read = json!({"input": input, "encoding_format": if base64 { "base64" } else { "float" }});
    if let (Some(fields), Some(dimensions)) = (read.as_object_mut(), dimensions) {
        fields.insert("dimensions".to_owned(), json!(dimensions));
    }
    read
}

impl Ranker {
    fn refuse(&self, first: &Violation, violations: &[Violation], body: &Value) -> ApiError {
        let name = first.path.iter().find_map(|step| match step {
            Step::Key(key) => Some(key.as_str()),
            _ => None,
        });
        let name = name.unwrap_or_default();
        if self.surface == Surface::Infinity || self.surface == Surface::Jina {
            let mut error = ApiError::new(422, format!("{name} is not valid"));
            error.details = Some(Box::new(pydantic::details(violations, body)));
            return error;
        }
        ApiError::bad_request(match first.wrong {
            Wrong::Unknown if self.surface == Surface::Voyage => {
                format!("Argument '{name}' is not supported by our API.")
            }
            Wrong::Unknown => format!("Unrecognized key in the request body: '{name}'"),
            Wrong::Missing => format!("The request body is missing the required parameter '{name}'."),
            _ => format!("The value of the parameter '{name}' is not valid."),
        })
    }

    fn ranking(&self, body: &Value, making: &mut Making<'_>) -> Value {
        let documents = items_at(body, "documents");
        let texts: Vec<String> = documents.iter().map(document_text).collect();
        let top = if self.surface == Surface::Voyage { "top_k" } else { "top_n" };
        // Jina gives documents back unless told not to; the others when told to.
        let shown = match body.get("return_documents").and_then(Value::as_bool) {
            Some(shown) => shown,
            None => self.surface == Surface::Jina,
        };
        let ranked = rank(text_at(body, "query"), &texts, number_at(body, top));
        let results: Vec<Value> = ranked
            .into_iter()
            .map(|(index, score)| {
                let mut result = json!({"index": index, "relevance_score": score});
                if let (true, Some(fields), Some(document)) =
                    (shown, result.as_object_mut(), documents.get(index))
                {
                    fields.insert("document".to_owned(), self.shown(document));
                }
                result
            })
            .collect();
        let model = text_at(body, "model");
        let reply = match self.surface {
            Surface::Voyage => json!({"object": "list", "data": results, "model": model}),
            Surface::Together => json!({
                "object": "rerank", "id": making.ids.next("", 12), "model": model, "results": results,
            }),
            Surface::Infinity => json!({
                "object": "rerank", "id": self.id(making), "model": model, "results": results,
                "created": making.created,
            }),
            _ => json!({"model": model, "object": "list", "results": results}),
        };
        self.with_usage(reply, making)
    }

    fn id(&self, making: &mut Making<'_>) -> String {
        format!("{}-{}", self.surface.name(), uuid(&making.ids.hex("", 32)))
    }

    fn shown(&self, document: &Value) -> Value {
        match self.surface {
            Surface::Voyage | Surface::Infinity => json!(document_text(document)),
            _ if document.is_object() => document.clone(),
            _ => json!({"text": document}),
        }
    }

    fn with_usage(&self, mut reply: Value, making: &Making<'_>) -> Value {
        let tokens = making.composed.counts.prompt;
        let usage = match self.surface {
            Surface::Voyage => json!({"total_tokens": tokens}),
            Surface::Together => {
                json!({"prompt_tokens": tokens, "completion_tokens": 0, "total_tokens": tokens})
            }
            _ => json!({"total_tokens": tokens, "prompt_tokens": tokens}),
        };
        if let (Some(fields), Some(usage)) = (reply.as_object_mut(), making.usage(usage)) {
            fields.insert("usage".to_owned(), usage);
        }
        reply
    }

    fn embeddings(&self, body: &Value, making: &mut Making<'_>) -> Value {
        let mut reply = embedding::reply(&inputs(body), text_at(body, "model"));
        if let Some(fields) = reply.as_object_mut() {
            fields.shift_remove("usage");
            if self.surface == Surface::Infinity {
                let more = [("id", json!(self.id(making))), ("created", json!(making.created))];
                fields.extend(
                    more.map(|(key, value)| (key.to_owned(), value)).into_iter().collect::<Map<_, _>>(),
                );
            }
            if flag_at(body, "return_multivector") {
                for one in fields.get_mut("data").and_then(Value::as_array_mut).into_iter().flatten() {
                    if let Some(one) = one.as_object_mut()
                        && let Some(vector) = one.shift_remove("embedding")
                    {
                        one.insert("embeddings".to_owned(), json!([vector]));
                    }
                }
            }
        }
        self.with_usage(reply, making)
    }
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
