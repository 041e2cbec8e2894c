//! A deployment made ready to be called: everything about it that does not depend on the request is worked out once.

use crate::authorization::Authorization;
use crate::pipeline::speech::Speech;
use crate::reply::TargetHeaders;
use crate::routing::Live;
use crate::surface::Surface;
use crate::telemetry::TargetMetrics;
use http::{HeaderMap, Uri};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tollgate_catalog::{Adjustment, Prices, Provider};
use tollgate_config::{Fault, OnUnsupported, Secret};
use tollgate_dialect::watsonx::Place;
use tollgate_dialect::wire::{Dialect, EncodeOptions};
use tollgate_policy::health::HealthRules;
use tollgate_policy::profile::Profile;
use tollgate_upstream::Endpoint;

/// One deployment under one group's name, with the provider's model settled (a wildcard's star filled in).
#[derive(Debug)]
pub(crate) struct Target {
    /// The deployment's id.
    pub(crate) id: String,
    /// How it is spoken to.
    pub(crate) speech: Speech,
    /// Where a request to watsonx runs.
    pub(crate) place: Place,
    /// When OpenAI's Responses take the place of that.
    pub(crate) responses: ResponsesUse,
    /// The provider has said that it has no Responses.
    pub(crate) lacks_responses: AtomicBool,
    /// What is done with parameters that its wire cannot express; `None` where the operator does not say.
    pub(crate) on_unsupported: Option<OnUnsupported>,
    /// The provider's row.
    pub(crate) provider: &'static Provider,
    /// The model as the provider names it.
    pub(crate) model: String,
    /// Where it is.
    pub(crate) endpoint: Endpoint,
    /// The request targets.
    pub(crate) paths: Paths,
    /// Credentials and other headers of every request, without those of the wire.
    pub(crate) headers: HeaderMap,
    /// Its credential, to be struck out of what the provider says.
    pub(crate) secret: Option<Secret>,
    /// How its requests prove who sends them.
    pub(crate) authorization: Authorization,
    /// What stands between the base URL and the path that a wire writes.
    pub(crate) prefix: String,
    /// What is fixed about it in the choice.
    pub(crate) profile: Profile,
    /// What is known of it while the process runs.
    pub(crate) live: Arc<Live>,
    /// How it fails on purpose.
    pub(crate) fault: Option<Fault>,
    /// When its failures take it out.
    pub(crate) health_rules: HealthRules,
    /// Its own limit on an attempt.
    pub(crate) timeout: Option<Duration>,
    /// Its own limit on the first token.
    pub(crate) stream_timeout: Option<Duration>,
    /// Its own number of retries.
    pub(crate) num_retries: Option<u32>,
    /// What an encoder needs to know of the model.
    pub(crate) options: EncodeOptions,
    /// OpenAI parameters that are left out before sending.
    pub(crate) always_dropped: Vec<String>,
    /// The same parameters that the provider is known to refuse: left out if `drop_params`, else refused here.
    pub(crate) refused_params: &'static [&'static str],
    /// Parameters that are sent when the caller gave none: name, JSON text.
    pub(crate) defaults: Vec<(String, String)>,
    /// Legacy completions go to the provider's own endpoint, not through chat.
    pub(crate) has_completions: bool,
    /// What it costs.
    pub(crate) prices: Prices,
    /// The prices are not its own: the operator's for whatever has none, or none at all.
    pub(crate) is_unpriced: bool,
    /// What callers are charged for that.
    pub(crate) adjustment: Adjustment,
    /// Its part of a reply's headers.
    pub(crate) reply_headers: TargetHeaders,
    /// Its metrics.
    pub(crate) metrics: TargetMetrics,
}

/// A credential that is shorter is no secret (`none`, `x`), and is part of too many words to be struck out of them.
const SECRET_BYTES_MIN: usize = 4;

impl Target {
    /// What must not be seen in anything that the provider says.
    pub(crate) fn credential(&self) -> Option<&str> {
        self.secret.as_ref().map(Secret::expose).filter(|secret| secret.len() >= SECRET_BYTES_MIN)
    }

    /// Whether parameters that this wire cannot express are left out and told, rather than refused. Where the operator
    /// does not say, an OpenAI caller is refused, as at LiteLLM; callers of other dialects did not choose the wire's
    /// words and are served.
    pub(crate) fn drops_unsupported(&self, dialect: Dialect) -> bool {
        match self.on_unsupported {
            Some(OnUnsupported::Reject) => false,
            Some(OnUnsupported::Drop | OnUnsupported::Warn) => true,
            None => dialect != Dialect::OpenAi,
        }
    }

    /// How the deployment is spoken to for a kind of call.
    pub(crate) fn speech_for(&self, surface: Surface) -> Speech {
        let wants = match self.responses {
            ResponsesUse::Never => false,
            ResponsesUse::ForItsCallers => surface == Surface::Responses,
            ResponsesUse::Always => !surface.is_embedding() && surface.resource().is_none(),
        };
        if wants && !self.lacks_responses.load(Ordering::Relaxed) { Speech::Responses } else { self.speech }
    }

    /// Notes that the provider has no Responses; false where there is nothing else to speak to it in.
    pub(crate) fn forgo_responses(&self) -> bool {
        let may = self.responses == ResponsesUse::ForItsCallers;
        may && !self.lacks_responses.swap(true, Ordering::Relaxed)
    }

    /// The request target of Responses.
    pub(crate) fn responses_path(&self) -> Option<Uri> {
        let (before, query) = &self.paths.around;
        // Azure's deployments have none of their own: the resource has one, and the body names the deployment.
        let before = before.split("/deployments/").next().unwrap_or_default();
        self.endpoint.target(&format!("{before}/responses{query}")).ok()
    }

    /// The request target of another operation of OpenAI's form (`images/generations`).
    pub(crate) fn operation(&self, name: &str) -> Option<Uri> {
        let (before, query) = &self.paths.around;
        self.endpoint.target(&format!("{before}/{name}{query}")).ok()
    }

    /// Whether a stream may be asked to end with its usage.
    pub(crate) fn may_ask_usage(&self) -> bool {
        const NAME: &str = "stream_options";
        !self.refused_params.contains(&NAME) && !self.always_dropped.iter().any(|name| name == NAME)
    }
}

/// When a deployment is spoken to in OpenAI's Responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ResponsesUse {
    /// Never: the provider has none, or the operator does not want it.
    Never,
    /// For callers who speak it themselves.
    ForItsCallers,
    /// For every conversation: the model has nothing else.
    Always,
}

/// The request targets of the wires whose path does not depend on the request.
#[derive(Debug, Clone)]
pub(crate) struct Paths {
    /// Chat completions.
    pub(crate) chat: Uri,
    /// Legacy completions.
    pub(crate) completions: Uri,
    /// Embeddings.
    pub(crate) embeddings: Uri,
    /// What stands before any other operation, and the query after it.
    pub(crate) around: (String, String),
}
