//! A server that answers: whether it is ready, what it is, and what it serves.

use std::{ops::Range, time::Duration};

use serde::Deserialize;
use serde_json::json;
use slotune_serving::EngineArguments;
use tokio::time::sleep;

use crate::{
    client::{Client, ClientError},
    resolved,
    telemetry::{self, Counters},
};

/// Time between two looks at a server that starts, and at one that becomes idle.
const LOOK: Duration = Duration::from_millis(200);

/// Longest wait for a small answer.
const WITHIN: Duration = Duration::from_secs(10);

/// Longest wait for the first real request, which may compile.
const FIRST_REQUEST: Duration = Duration::from_mins(5);

/// Token ids that prompts are drawn from, the first range that the model has. Every model has its
/// plain tokens there: special ones stand at the start or beyond (Llama 2 and Mistral have 32,000,
/// later ones more), and models made for tests are small.
const VOCABULARIES: [Range<u32>; 2] = [1000..32_000, 100..1000];

/// A server that answered.
#[derive(Clone, Debug)]
pub(super) struct Service {
    pub(super) client: Client,
    /// The model's name in requests.
    pub(super) model: String,
    pub(super) version: String,
    /// The arguments as the server resolved them, as far as it tells.
    pub(super) arguments: EngineArguments,
    /// Token ids that prompts may hold.
    pub(super) vocabulary: Range<u32>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    /// Path or name that the server was started with.
    root: Option<String>,
    max_model_len: Option<u32>,
}

impl Service {
    /// Waits until the server is healthy; the caller limits the time.
    pub(super) async fn until_healthy(client: &Client) {
        while client.get("/health", WITHIN).await.is_err() {
            sleep(LOOK).await;
        }
    }

    /// Looks at a healthy server, and has it serve one real request.
    ///
    /// # Errors
    /// When it does not serve `model`, or answers otherwise than vLLM does.
    pub(super) async fn meet(client: &Client, model: &str) -> Result<Self, ServiceError> {
        let models: Models = client.get_json("/v1/models", WITHIN).await?;
        let served =
            models.data.iter().find(|served| served.id == model).or_else(|| {
                models.data.iter().find(|served| served.root.as_deref() == Some(model))
            });
        let Some(served) = served else {
            return Err(ServiceError::OtherModel {
                model: model.to_owned(),
                served: models.data.into_iter().map(|served| served.id).collect(),
            });
        };
        let vocabulary = vocabulary(client, &served.id).await?;
        Ok(Self {
            client: client.clone(),
            model: served.id.clone(),
            version: version(client).await?,
            arguments: arguments(client, served.max_model_len).await?,
            vocabulary,
        })
    }

    /// Waits until nothing runs or waits; whether that came about within the limit. A server that
    /// does not tell is taken for idle.
    pub(super) async fn drain(&self, within: Duration) -> bool {
        let idle = async {
            loop {
                match telemetry::scrape(&self.client).await {
                    Ok(counters) if counters.is_idle() == Some(false) => sleep(LOOK).await,
                    // A front end that is too busy to answer is not idle.
                    Err(ClientError::NoAnswer { no_connection: false, .. }) => sleep(LOOK).await,
                    _ => return,
                }
            }
        };
        tokio::time::timeout(within, idle).await.is_ok()
    }

    /// Empties the prefix cache where the server lets one: in development mode only. Prompts are
    /// unlike any earlier ones anyway.
    pub(super) async fn reset_prefix_cache(&self) {
        let _ = self.client.post_json("/reset_prefix_cache", &json!({}), WITHIN).await;
    }

    /// The counters now; those of a server without `/metrics` are empty.
    pub(super) async fn counters(&self) -> Counters {
        telemetry::scrape(&self.client).await.unwrap_or_default()
    }
}

/// The version that the server tells.
pub(super) async fn version(client: &Client) -> Result<String, ClientError> {
    #[derive(Deserialize)]
    struct Version {
        version: String,
    }
    Ok(client.get_json::<Version>("/version", WITHIN).await?.version)
}

/// The first of [`VOCABULARIES`] whose largest token the server takes in a real request.
async fn vocabulary(client: &Client, model: &str) -> Result<Range<u32>, ClientError> {
    let mut refusal = None;
    for vocabulary in VOCABULARIES {
        let request = json!({
            "model": model,
            "prompt": [vocabulary.start, vocabulary.end - 1],
            "max_tokens": 2,
            "ignore_eos": true,
            "temperature": 0,
        });
        match client.post_json("/v1/completions", &request, FIRST_REQUEST).await {
            Ok(_) => return Ok(vocabulary),
            Err(error @ ClientError::Refused { status: 400, .. }) => refusal = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(refusal.expect("there is a vocabulary to try"))
}

async fn arguments(
    client: &Client,
    max_model_len: Option<u32>,
) -> Result<EngineArguments, ClientError> {
    match client.get_json("/server_info?config_format=json", WITHIN).await {
        Ok(info) => Ok(resolved::from_server_info(&info)),
        Err(ClientError::Refused { .. } | ClientError::Unexpected { .. }) => {
            let exposition = telemetry::exposition(client).await.unwrap_or_default();
            Ok(resolved::from_metrics(&exposition, max_model_len))
        }
        Err(error) => Err(error),
    }
}

/// Why a healthy server cannot be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServiceError {
    /// It serves something else.
    #[error("the server does not serve `{model}`; it serves: {}", served.join(", "))]
    OtherModel { model: String, served: Vec<String> },
    /// It does not answer as it should.
    #[error(transparent)]
    Client(#[from] ClientError),
}
