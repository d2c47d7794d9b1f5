//! What the server tells of itself through `/metrics`.

mod counters;
mod exposition;
mod timeline;

use std::time::Duration;

use crate::client::{Client, ClientError};

pub(crate) use counters::Counters;
pub(crate) use exposition::Exposition;
pub(crate) use timeline::watch;

/// Longest wait for a scrape: a busy front end answers late.
const WITHIN: Duration = Duration::from_secs(10);

/// The counters of one scrape.
///
/// # Errors
/// When the server does not answer; an answer that is no exposition has no counters.
pub(crate) async fn scrape(client: &Client) -> Result<Counters, ClientError> {
    Ok(Counters::read(&exposition(client).await?))
}

/// All samples of one scrape.
///
/// # Errors
/// When the server does not answer.
pub(crate) async fn exposition(client: &Client) -> Result<Exposition, ClientError> {
    let body = client.get("/metrics", WITHIN).await?;
    Ok(Exposition::parse(&String::from_utf8_lossy(&body)))
}
