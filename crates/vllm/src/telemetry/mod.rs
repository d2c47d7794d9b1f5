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

/// One scrape.
///
/// # Errors
/// When the server does not answer; an answer that is no exposition has no counters.
pub(crate) async fn scrape(client: &Client) -> Result<Counters, ClientError> {
    let body = client.get("/metrics", WITHIN).await?;
    Ok(Counters::read(&Exposition::parse(&String::from_utf8_lossy(&body))))
}
