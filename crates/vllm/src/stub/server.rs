//! Connections and routes of a stub.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::Semaphore,
    time::timeout,
};

use super::{
    Served,
    answer::{self, Left},
    counters::Counters,
    http,
    request::{self, Asked},
    script::{Fault, Script},
};
use crate::clock::now;

/// Most answers whose send times are kept.
const SERVED_LIMIT: usize = 100_000;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) script: Script,
    started: Instant,
    slots: Semaphore,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    connections: u64,
    /// Completions that arrived.
    arrived: u64,
    counters: Counters,
    served: VecDeque<Served>,
}

impl Server {
    pub(super) fn new(script: Script) -> Self {
        let slots = Semaphore::new(script.slots.clamp(1, Semaphore::MAX_PERMITS));
        Self { script, started: now(), slots, state: Mutex::default() }
    }

    pub(super) fn counters(&self) -> Counters {
        self.state().counters
    }

    pub(super) fn served(&self) -> Vec<Served> {
        self.state().served.iter().cloned().collect()
    }

    pub(super) fn connections(&self) -> u64 {
        self.state().connections
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut self.state().counters);
    }

    pub(super) fn keep(&self, prompt_tokens: u32, sent: Vec<Instant>) {
        if self.script.keep_send_times {
            let served = &mut self.state().served;
            if served.len() == SERVED_LIMIT {
                served.pop_front();
            }
            served.push_back(Served { prompt_tokens, sent });
        }
    }

    /// Counts are whole at any time, so a panic elsewhere spoils nothing.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Accepts connections for ever.
    pub(super) async fn accept(self: &Arc<Self>, listener: &TcpListener) {
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                // Out of files, say: let those under way end.
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
                continue;
            };
            stream.set_nodelay(true).ok();
            self.state().connections += 1;
            let server = Arc::clone(self);
            // A connection that breaks is the client's to notice.
            tokio::spawn(async move { server.serve(stream).await.ok() });
        }
    }

    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut rest = vec![];
        for served in 1_u32.. {
            let next = timeout(self.script.idle_limit, http::read(&mut stream, &mut rest)).await;
            let Ok(Some(request)) = next.unwrap_or(Ok(None)) else { return Ok(()) };
            if self.route(&mut stream, &request).await? == Left::Broken {
                return Ok(());
            }
            if self.script.requests_per_connection.is_some_and(|most| served >= most) {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn route(&self, stream: &mut TcpStream, request: &http::Request) -> io::Result<Left> {
        let (json_type, text_type) = ("application/json", "text/plain; version=1.0.0");
        let script = &self.script;
        let path = request.path.as_str();
        let (status, kind, body) = if self.started.elapsed() < script.start_up {
            (503, json_type, r#"{"detail":"starting"}"#.to_owned())
        } else if path.starts_with("/v1") && !self.admits(request) {
            (401, json_type, r#"{"error":"Unauthorized"}"#.to_owned())
        } else {
            match (request.method.as_str(), path) {
                ("GET", "/health" | "/ping") => {
                    (if self.engine_is_dead() { 503 } else { 200 }, json_type, String::new())
                }
                ("GET", "/version") => {
                    (200, json_type, json!({ "version": script.version }).to_string())
                }
                ("GET", "/v1/models") => (200, json_type, self.models()),
                ("GET", "/metrics") => {
                    (200, text_type, self.counters().page(&script.model, script.slots))
                }
                ("POST", "/v1/completions") => return self.complete(stream, request, false).await,
                ("POST", "/v1/chat/completions") => {
                    return self.complete(stream, request, true).await;
                }
                (_, "/health" | "/version" | "/v1/models" | "/v1/completions") => {
                    (405, json_type, r#"{"detail":"Method Not Allowed"}"#.to_owned())
                }
                _ => (404, json_type, r#"{"detail":"Not Found"}"#.to_owned()),
            }
        };
        http::answer(stream, status, kind, &body).await?;
        Ok(Left::Usable)
    }

    pub(super) fn engine_is_dead(&self) -> bool {
        let dies_after = self.script.engine_dies_after;
        dies_after.is_some_and(|requests| self.counters().scheduled >= requests)
    }

    fn admits(&self, request: &http::Request) -> bool {
        let shown =
            request.authorization.as_deref().and_then(|value| value.strip_prefix("Bearer "));
        self.script.api_key.as_deref().is_none_or(|key| shown == Some(key))
    }

    fn models(&self) -> String {
        let script = &self.script;
        let model = json!({
            "id": script.model, "object": "model", "created": 0, "owned_by": "vllm",
            "root": script.model, "parent": null, "max_model_len": script.max_model_len,
        });
        json!({ "object": "list", "data": [model] }).to_string()
    }

    async fn complete(
        &self,
        stream: &mut TcpStream,
        request: &http::Request,
        is_chat: bool,
    ) -> io::Result<Left> {
        let arrived = now();
        let number = {
            let mut state = self.state();
            state.arrived += 1;
            state.arrived - 1
        };
        let fault = self.script.faults.get(&number);
        if let Some(Fault::Refused { status, body }) = fault {
            http::answer(stream, *status, "application/json", body).await?;
            return Ok(Left::Usable);
        }
        if let Some(Fault::Redirected { location }) = fault {
            http::redirect(stream, location).await?;
            return Ok(Left::Usable);
        }
        if self.engine_is_dead() {
            let error = answer::dead_engine().to_string();
            http::answer(stream, 500, "application/json", &error).await?;
            return Ok(Left::Usable);
        }
        let asked = match request::read(&self.script, is_chat, &request.body) {
            Ok(asked) => asked,
            Err(refusal) => {
                http::answer(stream, refusal.status, "application/json", &refusal.body).await?;
                return Ok(Left::Usable);
            }
        };
        let mut stay = Stay::begin(self);
        let slot = select! {
            slot = self.slots.acquire() => slot.map_err(io::Error::other)?,
            () = http::closed(stream) => return Ok(Left::Broken),
        };
        stay.schedule(asked, arrived);
        let left = if asked.streams {
            answer::streamed(self, stream, asked, arrived, fault).await?
        } else {
            answer::whole(self, stream, asked).await?;
            Left::Usable
        };
        drop(slot);
        stay.finish(arrived, left);
        Ok(left)
    }
}

/// A request's stay in the server, which the counters show.
struct Stay<'a> {
    server: &'a Server,
    state: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Waiting,
    Running,
    Finished,
}

impl<'a> Stay<'a> {
    fn begin(server: &'a Server) -> Self {
        server.count(|counters| counters.waiting += 1);
        Self { server, state: Stage::Waiting }
    }

    fn schedule(&mut self, asked: Asked, arrived: Instant) {
        self.state = Stage::Running;
        self.server.count(|counters| {
            counters.waiting -= 1;
            counters.running += 1;
            counters.scheduled += 1;
            counters.queue_time += arrived.elapsed();
            counters.prompt_tokens += u64::from(asked.prompt_tokens);
        });
    }

    fn finish(mut self, arrived: Instant, left: Left) {
        if left == Left::Usable {
            self.state = Stage::Finished;
            self.server.count(|counters| {
                counters.running -= 1;
                counters.finished += 1;
                counters.e2e += arrived.elapsed();
            });
        }
    }
}

/// A stay that did not finish was aborted.
impl Drop for Stay<'_> {
    fn drop(&mut self) {
        self.server.count(|counters| match self.state {
            Stage::Waiting => {
                counters.waiting -= 1;
                counters.aborted += 1;
            }
            Stage::Running => {
                counters.running -= 1;
                counters.aborted += 1;
            }
            Stage::Finished => {}
        });
    }
}
