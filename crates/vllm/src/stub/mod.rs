//! A scripted server that speaks vLLM's protocol, on a thread of this process.
//!
//! It has no model: tokens come when the script says. It serves `/health`, `/version`,
//! `/v1/models`, `/v1/completions`, `/v1/chat/completions` and `/metrics`, whose counters agree
//! with what it served, and can misbehave in each way that a client must bear. Tests run against
//! it, and the doctor measures the client with it. It binds to the address it was given, and keeps
//! to raw sockets, since an HTTP library would not let it misbehave.
//!
//! ```
//! use slotune_vllm::{client::Client, stub::{Script, Stub}};
//!
//! let stub = Stub::start(Script::default())?;
//! let client = Client::new(&stub.base_url(), None)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod answer;
mod counters;
mod http;
mod request;
mod script;
mod server;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use tokio::{net::TcpListener, runtime, sync::oneshot};

use crate::clock::thread_cpu;
pub use counters::Counters;
pub use script::{Fault, Script};
use server::Server;

/// A running stub. Dropping it ends it and cuts all connections.
#[derive(Debug)]
pub struct Stub {
    address: SocketAddr,
    server: Arc<Server>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<Duration>>,
}

/// An answer that was streamed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// Length of its prompt.
    pub prompt_tokens: u32,
    /// When each event with tokens was handed to the socket.
    pub sent: Vec<Instant>,
}

impl Stub {
    /// Starts a stub on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When there is no socket or thread.
    pub fn start(script: Script) -> io::Result<Self> {
        Self::start_at(script, (Ipv4Addr::LOCALHOST, 0).into())
    }

    /// Starts a stub at this address; port 0 is any free one.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub fn start_at(script: Script, address: SocketAddr) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let server = Arc::new(Server::new(script));
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = Arc::clone(&server);
        let serve = move || {
            runtime.block_on(async move {
                let Ok(listener) = TcpListener::from_std(listener) else { return };
                tokio::select! {
                    () = serving.accept(&listener) => {}
                    _ = stopped => {}
                }
            });
            drop(runtime);
            thread_cpu()
        };
        let thread = thread::Builder::new().name("slotune-stub".to_owned()).spawn(serve)?;
        Ok(Self { address, server, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Root of its URLs.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it counted so far; `/metrics` tells the same.
    pub fn counters(&self) -> Counters {
        self.server.counters()
    }

    /// Whether its engine has died, as its script says.
    pub fn engine_is_dead(&self) -> bool {
        self.server.engine_is_dead()
    }

    /// The answers that were streamed to their end, in the order of their ends, if the script
    /// keeps send times.
    pub fn served(&self) -> Vec<Served> {
        self.server.served()
    }

    /// Connections that were accepted.
    pub fn connections(&self) -> u64 {
        self.server.connections()
    }

    /// Ends it and tells the CPU time that it took.
    pub fn stop(mut self) -> Duration {
        self.end()
    }

    fn end(&mut self) -> Duration {
        drop(self.stop.take());
        self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.end();
    }
}
