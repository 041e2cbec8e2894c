//! The accounts that the simulated clouds know, and how long the tokens of theirs are good for.
//!
//! Owns: AWS's long-lived key, Google's service account and refresh token, [`Clouds`]. Leaves to others: the services
//! that take them (`aws`, `vertex`).
//!
//! **Invariant:** all of it is made up, marked as simulated, and good at no other place than here.

use crate::anthropic::batches::Batches;
use crate::anthropic::cache::Prefixes;
use crate::aws::keys::Keys;
use crate::tokens::Tokens;
use http::Method;
use std::time::Duration;

/// The access key that the simulated AWS knows.
pub const AWS_ACCESS_KEY_ID: &str = "AKIASIMULATED0000001";
/// Its secret.
pub const AWS_SECRET_ACCESS_KEY: &str = "simulated/secret/of/forty/characters/001";
/// The role that a simulated instance, container or pod has, and that anyone with a good key may assume.
pub const AWS_ROLE: &str = "simulated-role";
/// The account of all of that.
pub const AWS_ACCOUNT: &str = "000000000001";

/// The key file of the service account that the simulated Google knows, as its console would give it out. The key in
/// it was made for the simulator and opens nothing else; `token_uri` is to be pointed at the simulator.
pub const GOOGLE_SERVICE_ACCOUNT: &str = include_str!("../fixtures/simulated-service-account.json");
/// The refresh token that the simulated Google knows, with its client.
pub const GOOGLE_REFRESH_TOKEN: &str = "1//simulated-refresh-token";
/// The id of that client.
pub const GOOGLE_CLIENT_ID: &str = "simulated-client.apps.googleusercontent.com";
/// The secret of that client.
pub const GOOGLE_CLIENT_SECRET: &str = "simulated-client-secret";
/// The project of the service account.
pub const GOOGLE_PROJECT: &str = "simulated-project";

/// How long what the simulated clouds give out is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clouds {
    /// Temporary keys of AWS. `None`: as long as was asked for, else an hour.
    pub aws_lifetime: Option<Duration>,
    /// Google's access tokens.
    pub google_lifetime: Duration,
}

impl Default for Clouds {
    fn default() -> Clouds {
        // Google says 3599 seconds where an hour is meant.
        Clouds { aws_lifetime: None, google_lifetime: Duration::from_secs(3_599) }
    }
}

/// What the simulated clouds remember.
#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) aws_keys: Keys,
    pub(crate) google_tokens: Tokens,
    pub(crate) prefixes: Prefixes,
    pub(crate) batches: Batches,
}

/// What is asked of a cloud, or of Anthropic's batches, beside what other providers are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Op {
    Converse,
    ConverseStream,
    InvokeModel,
    InvokeModelStream,
    InvokeEndpoint,
    InvokeEndpointStream,
    Predict,
    RawPredict,
    StreamRawPredict,
    CreateBatch,
    ListBatches,
    GetBatch,
    CancelBatch,
    BatchResults,
    DeleteBatch,
    /// Reading what an instance, a container or a pod is told.
    Metadata,
    /// A token with which metadata is read.
    MetadataToken,
}

impl Op {
    /// The operation's name as records spell it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Op::Converse => "converse",
            Op::ConverseStream => "converse_stream",
            Op::InvokeModel => "invoke_model",
            Op::InvokeModelStream => "invoke_model_stream",
            Op::InvokeEndpoint => "invoke_endpoint",
            Op::InvokeEndpointStream => "invoke_endpoint_stream",
            Op::Predict => "predict",
            Op::RawPredict => "raw_predict",
            Op::StreamRawPredict => "stream_raw_predict",
            Op::CreateBatch => "create_message_batch",
            Op::ListBatches => "list_message_batches",
            Op::GetBatch => "get_message_batch",
            Op::CancelBatch => "cancel_message_batch",
            Op::BatchResults => "message_batch_results",
            Op::DeleteBatch => "delete_message_batch",
            Op::Metadata => "metadata",
            Op::MetadataToken => "metadata_token",
        }
    }

    /// The method that the operation takes.
    pub(crate) fn method(self) -> Method {
        match self {
            Op::Metadata | Op::ListBatches | Op::GetBatch | Op::BatchResults => Method::GET,
            Op::DeleteBatch => Method::DELETE,
            Op::MetadataToken => Method::PUT,
            _ => Method::POST,
        }
    }
}
