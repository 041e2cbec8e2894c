//! Stored conversations of the Responses API: what went before a request, and keeping what came of it.
//!
//! Owns finding the turns before a request, who may continue them, which deployment has them at its provider, and the row
//! of the new turn. Leaves SQL to the store, the form of items to the dialect. **Invariant:** a turn is found by its owner
//! alone, also where its provider would know its id. **Invariant:** a response whose end the caller has seen is kept.

use super::Call;
use crate::error::Rejection;
use crate::gateway::Gateway;
use crate::surface::Surface;
use bytes::Bytes;
use http::HeaderValue;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tollgate_dialect::conversation::StreamEvent;
use tollgate_dialect::json::{Limits, Object, scan};
use tollgate_dialect::responses::{StoredTurn, extend, input_items};
use tollgate_dialect::sse::Frame;
use tollgate_dialect::wire::{EventDecoder, ReplyFault};
use tollgate_store::{Chain, ChainLimits, Durability, Owner, StoreError, StoredResponse};

use super::caller::FinalSlot;

/// What a request of the Responses API continues, and whether its answer is kept.
#[derive(Debug, Clone)]
pub(crate) struct Thread {
    owner: Owner,
    /// The turn that it continues.
    pub(crate) previous_id: Option<String>,
    /// The request with the turns before it put in, for a deployment that does not have them.
    pub(crate) extended: Option<Bytes>,
    /// The deployment that has the turns before at its provider.
    pub(crate) holder: Option<String>,
    /// The answer is to be kept (`store`, true where nothing is said).
    pub(crate) is_kept: bool,
}

/// A future that ends when a turn is kept.
pub(crate) type Keeping = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Thread {
    /// Reads what a request continues.
    pub(crate) async fn open(
        gateway: &Gateway,
        owner: Owner,
        body: &Bytes,
        object: &Object<'_>,
    ) -> Result<Self, Rejection> {
        let path = Surface::Responses.path();
        refuse_foreign(object)?;
        let is_kept = match object.get("store") {
            Some(value) if !value.is_null() => {
                value.as_bool().ok_or_else(|| Rejection::invalid(path, "store", "expected true or false"))?
            }
            _ => true,
        };
        let previous_id = match object.get("previous_response_id") {
            Some(value) if !value.is_null() => Some(
                value
                    .as_str()
                    .ok_or_else(|| Rejection::invalid(path, "previous_response_id", "expected a string"))?
                    .into_owned(),
            ),
            _ => None,
        };
        let mut thread = Self { owner, previous_id, extended: None, holder: None, is_kept };
        if let Some(id) = thread.previous_id.clone() {
            let chain = thread.chain(gateway, &id).await?;
            thread.holder = chain.turns.last().and_then(|turn| turn.deployment_id.clone());
            let turns: Vec<StoredTurn> = chain.turns.iter().map(stored_turn).collect();
            let extended = extend(&turns, body)
                .map_err(|error| Rejection::invalid(path, &error.param, &error.message))?;
            thread.extended = Some(Bytes::from(extended));
        }
        Ok(thread)
    }

    async fn chain(&self, gateway: &Gateway, id: &str) -> Result<Chain, Rejection> {
        let store = gateway.store().get().await.map_err(|error| unavailable(&error))?;
        let found = store.responses().chain(&self.owner, id, ChainLimits::default(), now_seconds()).await;
        match found.map_err(|error| unavailable(&error))? {
            // A turn whose beginning is gone cannot be continued as it was meant.
            Some(chain) if chain.missing.is_none() => Ok(chain),
            _ => Err(Rejection::unknown_previous_response(id)),
        }
    }

    /// What keeps the answer, once its object is there: `deployment` is the one whose provider has it too.
    pub(crate) fn keeper(
        &self,
        gateway: &Arc<Gateway>,
        call: &Call,
        body: &Bytes,
        group: &str,
    ) -> Option<Keeper> {
        if !self.is_kept {
            return None;
        }
        Some(Keeper {
            gateway: Arc::clone(gateway),
            owner: self.owner.clone(),
            previous_id: self.previous_id.clone(),
            group: group.to_owned(),
            call_id: call.id.clone(),
            body: body.clone(),
            deployment: None,
            slot: FinalSlot::default(),
        })
    }
}

/// Refuses what this gateway does not have: runs in the background, and conversations that live at OpenAI.
fn refuse_foreign(object: &Object<'_>) -> Result<(), Rejection> {
    let path = Surface::Responses.path();
    if object.get("background").and_then(|value| value.as_bool()) == Some(true) {
        return Err(Rejection::invalid(path, "background", "responses are not run in the background here"));
    }
    if object.get("conversation").is_some_and(|value| !value.is_null()) {
        let reason = "conversations are not kept here; continue with previous_response_id";
        return Err(Rejection::invalid(path, "conversation", reason));
    }
    Ok(())
}

/// Keeps one answer.
pub(crate) struct Keeper {
    gateway: Arc<Gateway>,
    owner: Owner,
    previous_id: Option<String>,
    group: String,
    call_id: HeaderValue,
    body: Bytes,
    deployment: Option<String>,
    /// Where the response object will be.
    slot: FinalSlot,
}

impl Keeper {
    /// The deployment whose provider has the response too.
    pub(crate) fn held_by(self, deployment: Option<String>) -> Self {
        Self { deployment, ..self }
    }

    /// The place of the response object, for whoever makes or sees it.
    pub(crate) fn slot(&self) -> FinalSlot {
        Arc::clone(&self.slot)
    }

    /// With the object at another place.
    pub(crate) fn with_slot(self, slot: FinalSlot) -> Self {
        Self { slot, ..self }
    }

    /// Keeps the answer; a failure is logged, and the answer is the caller's all the same.
    pub(crate) async fn keep(self) {
        let Some(response) = self.slot.get() else { return };
        let call_id = self.call_id.to_str().unwrap_or_default();
        let Some(row) = self.row(response) else {
            tracing::warn!(call_id, "a response without an id cannot be kept");
            return;
        };
        let kept = match self.gateway.store().get().await {
            Ok(store) => store.responses().put(row, Durability::Process).await,
            Err(error) => Err(error),
        };
        if let Err(error) = kept {
            tracing::error!(call_id, %error, "a response could not be kept");
        }
    }

    /// As a future that owns everything.
    pub(crate) fn into_future(self) -> Keeping {
        Box::pin(self.keep())
    }

    fn row(&self, response: &Bytes) -> Option<StoredResponse> {
        let object = scan(response, &Limits::REPLY).ok()?;
        let text = |name: &str| Some(object.get(name)?.as_str()?.into_owned());
        let id = text("id").filter(|id| !id.is_empty())?;
        let seed: String = id.chars().filter(char::is_ascii_alphanumeric).take(32).collect();
        let items = input_items(&self.body, &seed).ok()?;
        let now = now_seconds();
        Some(StoredResponse {
            provider_response_id: self.deployment.is_some().then(|| id.clone()),
            id,
            owner: self.owner.clone(),
            group: self.group.clone(),
            deployment_id: self.deployment.clone(),
            previous_id: self.previous_id.clone(),
            created_at: now,
            expires_at: now.saturating_add(self.gateway.retention_seconds()),
            status: text("status").unwrap_or_default(),
            input_items: serde_json::to_vec(&items).ok()?,
            response: response.to_vec(),
        })
    }
}

/// Reads a relayed stream and leaves the response object of its last event for the keeper.
pub(crate) struct Watching {
    inner: Box<dyn EventDecoder>,
    slot: FinalSlot,
    client_model: String,
}

impl Watching {
    pub(crate) fn new(inner: Box<dyn EventDecoder>, slot: FinalSlot, client_model: &str) -> Self {
        Self { inner, slot, client_model: client_model.to_owned() }
    }
}

impl EventDecoder for Watching {
    fn read(&mut self, frame: &Frame<'_>, out: &mut Vec<StreamEvent>) -> Result<(), ReplyFault> {
        self.inner.read(frame, out)?;
        let is_last = [&b"response.completed"[..], b"response.incomplete"]
            .iter()
            .any(|kind| memchr::memmem::find(&frame.data, kind).is_some());
        if is_last
            && let Ok(object) = scan(&frame.data, &Limits::REPLY)
            && let Some(response) = object.get("response").filter(|response| response.as_object().is_some())
        {
            let response = Bytes::copy_from_slice(response.raw());
            let _ = self.slot.set(tollgate_dialect::relay::rename_reply(
                &response,
                &["model"],
                &self.client_model,
            ));
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.inner.is_complete()
    }
}

fn stored_turn(row: &StoredResponse) -> StoredTurn {
    let list = |bytes: &[u8]| serde_json::from_slice::<Vec<serde_json::Value>>(bytes).unwrap_or_default();
    let response: serde_json::Value = serde_json::from_slice(&row.response).unwrap_or_default();
    let output = response.get("output").and_then(|output| output.as_array()).cloned().unwrap_or_default();
    StoredTurn { input: list(&row.input_items), output }
}

/// The database is not there: the caller's next request may find it again.
pub(crate) fn unavailable(error: &StoreError) -> Rejection {
    tracing::error!(%error, "the store of responses");
    Rejection::store_unavailable()
}

/// Seconds since 1970.
pub(crate) fn now_seconds() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
