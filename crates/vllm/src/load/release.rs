//! Releases requests when they are due.
//!
//! One thread writes bodies ahead, so that no request waits for its own. Another sleeps until each
//! arrival: a thread's sleep ends within some 0.1 ms, a tokio timer within 1 ms. In a closed loop
//! it starts as many lanes as requests may be in flight, each of which takes the next body as soon
//! as its last request has ended.

use std::{io, sync::Arc, sync::mpsc as threads, thread};

use slotune_serving::{Load, RequestSpec, Schedule};
use tokio::{
    runtime::Handle,
    sync::{Mutex, mpsc},
};

use super::{
    Options,
    exchange::{Exchange, Prepared},
    prompt,
};
use crate::clock::now;

/// Bodies that are written ahead: enough for a burst, and 20 MB of prompts of 32,000 tokens.
const AHEAD: usize = 128;

/// When it is dropped, no further request is sent. Those under way are not touched.
pub(super) struct Release {
    _stop: threads::Sender<()>,
}

/// Begins to release the requests of the schedule, on the runtime of the caller.
pub(super) fn start(
    schedule: &Schedule,
    options: &Options,
    exchange: Arc<Exchange>,
) -> io::Result<Release> {
    let (sender, prepared) = mpsc::channel(AHEAD);
    let (requests, options) = (schedule.requests.clone(), options.clone());
    let writer = move || write_bodies(&requests, &options, &sender);
    thread::Builder::new().name("slotune-bodies".to_owned()).spawn(writer)?;

    let (stop, stopped) = threads::channel();
    let (load, runtime) = (schedule.load, Handle::current());
    let releaser = move || match load {
        Load::Open => release_open(&exchange, prepared, &stopped, &runtime),
        Load::Closed { concurrency } => {
            release_closed(&exchange, prepared, concurrency, &stopped, &runtime);
        }
    };
    thread::Builder::new().name("slotune-release".to_owned()).spawn(releaser)?;
    Ok(Release { _stop: stop })
}

/// Writes bodies until all are taken or nobody wants more.
fn write_bodies(requests: &[RequestSpec], options: &Options, sender: &mpsc::Sender<Prepared>) {
    for (index, spec) in (0..).zip(requests) {
        let body = prompt::body(options, index, spec);
        let (prompt_tokens, output_tokens) = (spec.prompt_tokens, spec.output_tokens);
        let arrival_s = spec.arrival_s;
        let prepared = Prepared { index, prompt_tokens, output_tokens, arrival_s, body };
        if sender.blocking_send(prepared).is_err() {
            return;
        }
    }
}

fn release_open(
    exchange: &Arc<Exchange>,
    mut prepared: mpsc::Receiver<Prepared>,
    stopped: &threads::Receiver<()>,
    runtime: &Handle,
) {
    while let Some(request) = prepared.blocking_recv() {
        let intended_s = request.arrival_s;
        if !sleep_until(exchange, intended_s, stopped) {
            return;
        }
        let exchange = Arc::clone(exchange);
        runtime.spawn(async move { exchange.perform(request, intended_s).await });
    }
}

fn release_closed(
    exchange: &Arc<Exchange>,
    prepared: mpsc::Receiver<Prepared>,
    concurrency: u32,
    stopped: &threads::Receiver<()>,
    runtime: &Handle,
) {
    if !sleep_until(exchange, 0.0, stopped) {
        return;
    }
    let prepared = Arc::new(Mutex::new(prepared));
    for _ in 0..concurrency {
        runtime.spawn(lane(Arc::clone(exchange), Arc::clone(&prepared)));
    }
}

/// Sends one request after the other.
async fn lane(exchange: Arc<Exchange>, prepared: Arc<Mutex<mpsc::Receiver<Prepared>>>) {
    while !exchange.is_stopped() {
        let due_s = exchange.now_s();
        let request = prepared.lock().await.recv().await;
        let Some(request) = request else { return };
        exchange.perform(request, due_s).await;
    }
}

/// Sleeps until that many seconds after the origin; `false` if the run was stopped before.
fn sleep_until(exchange: &Exchange, at_s: f64, stopped: &threads::Receiver<()>) -> bool {
    let left = exchange.instant(at_s).saturating_duration_since(now());
    matches!(stopped.recv_timeout(left), Err(threads::RecvTimeoutError::Timeout))
}
