//! How a deployment's requests prove who sends them, where a fixed header is not enough.
//!
//! Owns: which kind of proof a deployment needs, sharing one source among deployments and over reloads, and putting the
//! proof on a request. Leaves tokens and keys themselves to `tollgate-credentials`. **Invariant:** a source is made once
//! per identity, so that a token is asked for once however many deployments use it.

use crate::pipeline::outbound::Prepared;
use http::header::{AUTHORIZATION, HeaderMap};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tollgate_catalog::Wire;
use tollgate_config::{CloudParams, Config, Deployment};
use tollgate_credentials::sigv4::{self, Scope};
use tollgate_credentials::{
    AwsParameters, AwsSource, CredentialError, EntraPrincipal, GoogleCredential, Secret, Surroundings,
    TokenSource,
};
use tollgate_upstream::{Client, Endpoint, Failure, Kind, Phase};

/// LiteLLM's region where nothing says one.
pub(crate) const AWS_REGION_DEFAULT: &str = "us-west-2";

/// How one deployment proves who it is.
#[derive(Debug, Clone, Default)]
pub(crate) enum Authorization {
    /// By headers that never change, or not at all.
    #[default]
    Fixed,
    /// By a token that is renewed.
    Token(Arc<TokenSource>),
    /// By a signature over each request.
    Aws {
        /// Whose keys sign.
        source: Arc<AwsSource>,
        /// Where the signature holds.
        region: String,
        /// For which service.
        service: &'static str,
    },
}

impl Authorization {
    /// Puts the proof on a request. Waits only while no token or keys hold.
    pub(crate) async fn put_on(
        &self,
        prepared: &mut Prepared,
        endpoint: &Endpoint,
        client: &Arc<Client>,
    ) -> Result<(), Failure> {
        match self {
            Self::Fixed => Ok(()),
            Self::Token(source) => {
                let token = Box::pin(source.bearer(client)).await?;
                prepared.headers.insert(AUTHORIZATION, token);
                Ok(())
            }
            Self::Aws { source, region, service } => {
                let keys = Box::pin(source.keys(client)).await?;
                let scope = Scope { region, service, now: std::time::SystemTime::now() };
                sign(prepared, endpoint, &keys, &scope).map_err(|error| {
                    Failure::new(
                        Kind::Protocol,
                        Phase::Connecting,
                        format!("the request cannot be signed: {error}"),
                    )
                })
            }
        }
    }

    /// Puts the proof on the headers of a request that has no body and cannot be signed.
    pub(crate) async fn put_on_headers(
        &self,
        headers: &mut HeaderMap,
        client: &Arc<Client>,
    ) -> Result<(), Failure> {
        match self {
            Self::Fixed => Ok(()),
            Self::Token(source) => {
                headers.insert(AUTHORIZATION, Box::pin(source.bearer(client)).await?);
                Ok(())
            }
            Self::Aws { .. } => {
                Err(Failure::new(Kind::Protocol, Phase::Connecting, "a handshake cannot be signed"))
            }
        }
    }

    /// Begins to fetch what is needed, so that no request has to wait for it.
    fn start(&self, client: &Arc<Client>) {
        match self {
            Self::Fixed => {}
            Self::Token(source) => source.start(client),
            Self::Aws { source, .. } => source.start(client),
        }
    }

    /// What is said when no token or keys are given for the deployment's credentials.
    pub(crate) fn refusal(&self) -> &'static str {
        match self {
            Self::Aws { .. } => "no AWS keys were given for the deployment's credentials",
            _ => "no token was given for the deployment's credentials",
        }
    }

    /// The project that the credential names, for Vertex AI.
    pub(crate) fn project(&self) -> Option<&str> {
        if let Self::Token(source) = self { source.project_id() } else { None }
    }
}

/// Signs the request as it goes out: its target, host, type and body.
fn sign(
    prepared: &mut Prepared,
    endpoint: &Endpoint,
    keys: &tollgate_credentials::AwsKeys,
    scope: &Scope<'_>,
) -> Result<(), CredentialError> {
    let target = prepared.target.to_string();
    let host = endpoint.authority().to_str().unwrap_or_default();
    let kind = prepared.headers.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut headers = vec![("host", host)];
    headers.extend(kind.map(|kind| ("content-type", kind)));
    let request = sigv4::Request {
        method: prepared.method.as_str(),
        target: &target,
        headers: &headers,
        body_sha256: sigv4::body_sha256(prepared.body.segments().map(AsRef::as_ref)),
    };
    let signed = sigv4::sign(&request, keys, scope)?;
    prepared.headers.extend(signed);
    Ok(())
}

/// The proofs of all deployments of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Authorizations {
    by_deployment: HashMap<String, Authorization>,
    tokens: HashMap<String, Arc<TokenSource>>,
    keys: HashMap<String, Arc<AwsSource>>,
    is_started: AtomicBool,
}

impl Authorizations {
    /// Makes them, keeping the sources of `previous` that are still used.
    pub(crate) fn new(
        config: &Config,
        previous: Option<&Self>,
    ) -> Result<Self, (Box<Deployment>, CredentialError)> {
        let surroundings = surroundings(config);
        let mut all = Self::default();
        for deployment in config.deployments.iter().chain(config.pass_through.written_accounts()) {
            let made = all.make(deployment, &surroundings, previous);
            let made = made.map_err(|error| (Box::new(deployment.clone()), error))?;
            all.by_deployment.insert(deployment.id.clone(), made);
        }
        // What is broken in the environment alone is no account.
        for deployment in &config.pass_through.from_environment {
            if let Ok(made) = all.make(deployment, &surroundings, previous) {
                all.by_deployment.insert(deployment.id.clone(), made);
            }
        }
        Ok(all)
    }

    /// Whether there is one of a deployment.
    pub(crate) fn has(&self, deployment: &Deployment) -> bool {
        self.by_deployment.contains_key(&deployment.id)
    }

    /// A deployment's.
    pub(crate) fn of(&self, deployment: &Deployment) -> Authorization {
        self.by_deployment.get(&deployment.id).cloned().unwrap_or_default()
    }

    /// Begins to fetch every token and key; once for all workers.
    pub(crate) fn start(&self, client: &Arc<Client>) {
        if self.is_started.load(Ordering::Relaxed) || self.is_started.swap(true, Ordering::Relaxed) {
            return;
        }
        for authorization in self.by_deployment.values() {
            authorization.start(client);
        }
    }

    fn make(
        &mut self,
        deployment: &Deployment,
        surroundings: &Surroundings,
        previous: Option<&Self>,
    ) -> Result<Authorization, CredentialError> {
        match deployment.provider.wire {
            Wire::Bedrock | Wire::SageMaker if deployment.api_key.is_none() => {
                let service = if deployment.provider.wire == Wire::Bedrock { "bedrock" } else { "sagemaker" };
                let made = AwsSource::new(&aws_parameters(&deployment.cloud), surroundings)?;
                let source = self.shared_keys(made, previous);
                let named = crate::address::region_in_model(&deployment.model);
                let region = named.or(deployment.cloud.get("aws_region_name")).or(source.region());
                let region = region.unwrap_or(AWS_REGION_DEFAULT).to_owned();
                Ok(Authorization::Aws { source, region, service })
            }
            Wire::Vertex if deployment.api_key.is_none() => {
                let credential = google_credential(deployment.cloud.get("vertex_credentials"));
                let made = TokenSource::google(&credential, surroundings)?;
                Ok(Authorization::Token(self.shared_token(made, previous)))
            }
            Wire::Watsonx => {
                let Some(key) = &deployment.api_key else { return Ok(Authorization::Fixed) };
                let made = TokenSource::ibm(
                    &Secret::new(key.expose()),
                    (surroundings.variables)("WATSONX_IAM_URL").as_deref(),
                )?;
                Ok(Authorization::Token(self.shared_token(made, previous)))
            }
            Wire::OpenAi if deployment.provider.name == "databricks" && deployment.api_key.is_none() => {
                let read = |name: &str| (surroundings.variables)(name);
                match (read("DATABRICKS_CLIENT_ID"), read("DATABRICKS_CLIENT_SECRET"), &deployment.api_base) {
                    (Some(id), Some(secret), Some(base)) => {
                        let workspace = base.split("/serving-endpoints").next().unwrap_or(base);
                        let made = TokenSource::databricks(workspace, &id, &Secret::new(secret))?;
                        Ok(Authorization::Token(self.shared_token(made, previous)))
                    }
                    _ => Ok(Authorization::Fixed),
                }
            }
            _ => self.entra(deployment, previous),
        }
    }

    fn entra(
        &mut self,
        deployment: &Deployment,
        previous: Option<&Self>,
    ) -> Result<Authorization, CredentialError> {
        let Some(auth) = &deployment.azure else { return Ok(Authorization::Fixed) };
        let (Some(tenant_id), Some(client_id), Some(secret)) =
            (auth.tenant_id.clone(), auth.client_id.clone(), &auth.client_secret)
        else {
            return Ok(Authorization::Fixed);
        };
        let made = TokenSource::entra(&EntraPrincipal {
            tenant_id,
            client_id,
            client_secret: Secret::new(secret.expose()),
            authority: auth.authority.clone(),
            scope: auth.scope.clone(),
        })?;
        Ok(Authorization::Token(self.shared_token(made, previous)))
    }

    fn shared_token(&mut self, made: Arc<TokenSource>, previous: Option<&Self>) -> Arc<TokenSource> {
        let kept = previous.and_then(|all| all.tokens.get(made.identity())).map(Arc::clone);
        let identity = made.identity().to_owned();
        Arc::clone(self.tokens.entry(identity).or_insert_with(|| kept.unwrap_or(made)))
    }

    fn shared_keys(&mut self, made: Arc<AwsSource>, previous: Option<&Self>) -> Arc<AwsSource> {
        let kept = previous.and_then(|all| all.keys.get(made.identity())).map(Arc::clone);
        let identity = made.identity().to_owned();
        Arc::clone(self.keys.entry(identity).or_insert_with(|| kept.unwrap_or(made)))
    }
}

/// The process's files, clock and variables, the configuration's own variables before those.
pub(crate) fn surroundings(config: &Config) -> Surroundings {
    let process = Surroundings::of_process();
    let own: HashMap<String, String> =
        config.environment.iter().map(|(name, value)| (name.clone(), value.expose().to_owned())).collect();
    let outer = Arc::clone(&process.variables);
    let variables = move |name: &str| own.get(name).cloned().or_else(|| outer(name));
    Surroundings { variables: Arc::new(variables), ..process }
}

fn aws_parameters(cloud: &CloudParams) -> AwsParameters {
    let text = |name: &str| cloud.get(name).map(str::to_owned);
    let secret = |name: &str| cloud.get(name).map(Secret::new);
    AwsParameters {
        access_key_id: text("aws_access_key_id"),
        secret_access_key: secret("aws_secret_access_key"),
        session_token: secret("aws_session_token"),
        region_name: text("aws_region_name"),
        session_name: text("aws_session_name"),
        profile_name: text("aws_profile_name"),
        role_name: text("aws_role_name"),
        web_identity_token: secret("aws_web_identity_token"),
        sts_endpoint: text("aws_sts_endpoint"),
        external_id: text("aws_external_id"),
    }
}

/// JSON, the path of a file with it, or what Google's own libraries would find.
fn google_credential(written: Option<&str>) -> GoogleCredential {
    match written.map(str::trim) {
        None | Some("") => GoogleCredential::ApplicationDefault,
        Some(text) if text.starts_with('{') => GoogleCredential::Json(Secret::new(text)),
        Some(path) => GoogleCredential::File(PathBuf::from(path)),
    }
}
