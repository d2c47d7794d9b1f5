//! Looks at the server again and again while a run goes on.

use std::{
    convert::Infallible,
    time::{Duration, Instant},
};

use slotune_serving::ServerSample;
use tokio::time::{MissedTickBehavior, interval_at};

use super::{Counters, scrape};
use crate::{
    client::Client,
    clock::{now, seconds_between},
};

/// Time between two looks. A scrape costs the server a few milliseconds of its front end, so not
/// more often.
const EVERY: Duration = Duration::from_secs(2);

/// Most looks that are kept: half a day. A longer run keeps the first ones.
const MOST: usize = 20_000;

/// Samples the server from `origin`, time 0 of the run, until dropped; `samples` grows meanwhile.
/// A look that fails is left out.
pub(crate) async fn watch(
    client: &Client,
    before: &Counters,
    origin: Instant,
    samples: &mut Vec<ServerSample>,
) -> Infallible {
    let mut ticks = interval_at((origin + EVERY).into(), EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        ticks.tick().await;
        if let Ok(counters) = scrape(client).await
            && samples.len() < MOST
        {
            samples.push(counters.sample(before, seconds_between(origin, now())));
        }
    }
}
