//! What the tests share: schedules, runs, stubs, and a server that answers with bytes of our choice.

#![expect(dead_code, reason = "each test file uses a part")]

use std::{
    future::{Future, pending},
    io::{Read, Write},
    net::TcpListener,
    path::PathBuf,
    thread,
    time::Duration,
};

use slotune_serving::{Load, RequestSpec, Run, Schedule, ServerFacts, Silent};
use slotune_vllm::{
    client::Client,
    clock::now,
    load::{self, Options, Outcome},
    stub::{Script, Stub},
};

/// Requests of 5 prompt and 4 output tokens, so many seconds apart.
pub(crate) fn open(count: u32, gap_s: f64) -> Schedule {
    schedule(Load::Open, count, gap_s)
}

/// Requests of 5 prompt and 4 output tokens, so many at a time.
pub(crate) fn closed(count: u32, concurrency: u32) -> Schedule {
    schedule(Load::Closed { concurrency }, count, 0.0)
}

fn schedule(load: Load, count: u32, gap_s: f64) -> Schedule {
    let requests = (0..count).map(|i| request(gap_s * f64::from(i), 5, 4));
    Schedule { load, requests: requests.collect() }
}

pub(crate) fn request(arrival_s: f64, prompt_tokens: u32, output_tokens: u32) -> RequestSpec {
    RequestSpec { arrival_s, prompt_tokens, output_tokens, shared_prefix: vec![] }
}

pub(crate) fn options() -> Options {
    Options { record_chunk_times: true, silence_limit_s: 10.0, ..Options::new("stub", 3..1000) }
}

/// A stub with this script on a port of its own.
pub(crate) fn start(script: Script) -> Stub {
    Stub::start(script).expect("a stub")
}

/// Path of an example, which cargo builds beside the folder of the test binaries.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("this test lies in target/PROFILE/deps");
    let path = test
        .parent()
        .expect("this test lies in target/PROFILE/deps")
        .parent()
        .expect("this test lies in target/PROFILE/deps")
        .join("examples")
        .join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --examples`", path.display());
    path
}

pub(crate) async fn run(stub: &Stub, schedule: &Schedule, options: &Options) -> Outcome {
    run_until(stub, schedule, options, pending()).await
}

pub(crate) async fn run_until(
    stub: &Stub,
    schedule: &Schedule,
    options: &Options,
    cancelled: impl Future<Output = ()>,
) -> Outcome {
    let client = Client::new(&stub.base_url(), None).expect("the stub's address");
    let origin = now() + Duration::from_millis(20);
    let outcome = load::run(&client, schedule, options, origin, cancelled, &Silent).await;
    outcome.expect("usable options")
}

pub(crate) fn as_run(outcome: Outcome) -> Run {
    Run {
        records: outcome.records,
        end_s: outcome.end_s,
        cost_s: outcome.end_s,
        server: ServerFacts::default(),
        timeline: vec![],
        client: Some(outcome.client),
        caveats: outcome.stopped.into_iter().collect(),
    }
}

/// Answers one request with these pieces, each a write of its own, and closes. Returns its URL.
pub(crate) fn replay(pieces: Vec<Vec<u8>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        let Ok((mut stream, _)) = listener.accept() else { return };
        stream.set_nodelay(true).ok();
        read_request(&mut stream);
        for piece in pieces {
            if stream.write_all(&piece).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

/// Reads until the JSON body of the request has come, or a request without one.
fn read_request(stream: &mut impl Read) {
    let (mut text, mut buffer) = (vec![], [0; 4096]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => text.extend_from_slice(&buffer[..count]),
        }
        let is_get = text.starts_with(b"GET") && text.ends_with(b"\r\n\r\n");
        if is_get || text.ends_with(b"}") {
            return;
        }
    }
}
