//! One request, from the moment it is due to its record.

use std::{future::Future, pin::Pin, time::Duration, time::Instant};

use bytes::Bytes;
use reqwest::{Response, StatusCode};
use slotune_serving::{RequestRecord, RequestStatus};
use tokio::{
    pin, select,
    sync::{mpsc, watch},
    task::yield_now,
    time::{Sleep, sleep, timeout},
};

use super::{Options, Report, Stop, answer::Answer, sse::EventReader};
use crate::{
    client::Client,
    clock::{now, seconds_between},
    message::{describe, refusal},
};

/// Longest wait, after all has been said, for the end of the body that frees the connection.
const END_LIMIT: Duration = Duration::from_millis(250);

/// A request whose body is written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) index: u32,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
    /// When to send it, seconds from the origin; 0 in a closed loop.
    pub(super) arrival_s: f64,
    pub(super) body: Bytes,
}

/// What all requests of a run share.
pub(super) struct Exchange {
    client: Client,
    path: &'static str,
    record_chunk_times: bool,
    silence_limit: Duration,
    origin: Instant,
    report: mpsc::UnboundedSender<Report>,
    stop: watch::Receiver<Option<Stop>>,
}

impl Exchange {
    pub(super) fn new(
        client: &Client,
        options: &Options,
        origin: Instant,
        report: mpsc::UnboundedSender<Report>,
        stop: watch::Receiver<Option<Stop>>,
    ) -> Self {
        Self {
            client: client.clone(),
            path: options.endpoint.path(),
            record_chunk_times: options.record_chunk_times,
            silence_limit: Duration::from_secs_f64(options.silence_limit_s),
            origin,
            report,
            stop,
        }
    }

    /// Seconds from the origin to now.
    pub(super) fn now_s(&self) -> f64 {
        seconds_between(self.origin, now())
    }

    /// The instant that many seconds after the origin.
    pub(super) fn instant(&self, at_s: f64) -> Instant {
        self.origin + Duration::from_secs_f64(at_s)
    }

    /// Whether requests still to come are not wanted any more.
    pub(super) fn is_stopped(&self) -> bool {
        self.stop.borrow().is_some() || self.stop.has_changed().is_err()
    }

    /// Sends a request that is due since `intended_s`, receives its answer and reports its record.
    /// Returns when its connection is free again.
    pub(super) async fn perform(&self, request: Prepared, intended_s: f64) {
        let index = request.index;
        self.tell(Report::Sent { index, intended_s });
        let sent_s = self.now_s();
        let mut answer = Answer::new(self.record_chunk_times);
        let mut stop = self.stop.clone();
        let (status, response) = select! {
            biased;
            end = self.converse(&request, &mut answer) => end,
            stop = stop.wait_for(Option::is_some) => match stop.map(|stop| *stop) {
                Ok(Some(Stop::ServerGone)) => (failed("the server ended"), None),
                _ => (RequestStatus::Unfinished, None),
            },
        };
        let lacks_usage = answer.lacks_usage();
        let at_s = self.now_s();
        if let Some(response) = response {
            timeout(END_LIMIT, drain(response)).await.ok();
        }
        let record = RequestRecord {
            index,
            prompt_tokens: answer.prompt_tokens().unwrap_or(request.prompt_tokens),
            output_tokens: answer.output_tokens(),
            intended_s,
            sent_s,
            first_token_s: answer.first_token_s,
            last_token_s: answer.last_token_s,
            queue_time_s: None,
            chunk_times_s: answer.chunk_times_s,
            status,
        };
        self.tell(Report::Ended { record, lacks_usage, at_s });
    }

    /// Sends the request and reads the answer until it is over. Returns how it ended, and the
    /// response if its connection can be used again once the body has ended.
    async fn converse(
        &self,
        request: &Prepared,
        answer: &mut Answer,
    ) -> (RequestStatus, Option<Response>) {
        let silence = sleep(self.silence_limit);
        pin!(silence);
        let mut heard = now();
        let sent = self.client.stream(self.path, request.body.clone());
        let mut response = match self.unless_silent(sent, &mut heard, silence.as_mut()).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => return (failed(error.to_string()), None),
            None => return (self.silent(), None),
        };
        if response.status() != StatusCode::OK {
            let text = format!("status {}: ", response.status().as_u16());
            let refused = self.unless_silent(refusal(response), &mut heard, silence.as_mut()).await;
            return (RequestStatus::Rejected(text + &refused.unwrap_or_default()), None);
        }
        let mut reader = EventReader::default();
        loop {
            let piece = self.unless_silent(response.chunk(), &mut heard, silence.as_mut()).await;
            let piece = match piece {
                Some(Ok(Some(piece))) => piece,
                Some(Ok(None)) => return (answer.status(request.output_tokens), None),
                Some(Err(error)) => {
                    return (failed(format!("the stream broke: {}", describe(error))), None);
                }
                None => return (self.silent(), None),
            };
            let at_s = seconds_between(self.origin, heard);
            let had_token = answer.first_token_s.is_some();
            if let Err(error) = reader.read(&piece, |data| answer.take(data, at_s)) {
                return (failed(error.to_string()), None);
            }
            if !had_token && answer.first_token_s.is_some() {
                self.tell(Report::FirstToken { index: request.index });
            }
            if answer.is_over() {
                let reusable = answer.is_done().then_some(response);
                return (answer.status(request.output_tokens), reusable);
            }
        }
    }

    /// Awaits the next sign of the server, and notes when it came; `None` if none came in time.
    /// The timer is only moved when it fires, which costs nothing while signs keep coming.
    async fn unless_silent<T>(
        &self,
        sign: impl Future<Output = T>,
        heard: &mut Instant,
        mut silence: Pin<&mut Sleep>,
    ) -> Option<T> {
        pin!(sign);
        loop {
            select! {
                biased;
                sign = &mut sign => {
                    *heard = now();
                    return Some(sign);
                }
                () = silence.as_mut() => {
                    let limit = *heard + self.silence_limit;
                    if now() >= limit {
                        return None;
                    }
                    silence.as_mut().reset(limit.into());
                }
            }
        }
    }

    fn silent(&self) -> RequestStatus {
        failed(format!("no byte came for {:.1} s", self.silence_limit.as_secs_f64()))
    }

    /// The run may be over, its future dropped; then nobody listens.
    fn tell(&self, report: Report) {
        self.report.send(report).ok();
    }
}

fn failed(text: impl Into<String>) -> RequestStatus {
    RequestStatus::Failed(text.into())
}

/// Reads to the end of the body, and lets the connection's task see that it is free.
async fn drain(mut response: Response) {
    while let Ok(Some(_)) = response.chunk().await {}
    drop(response);
    yield_now().await;
}
