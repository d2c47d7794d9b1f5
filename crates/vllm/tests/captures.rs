//! What a real vLLM sent, read by the load generator and the client as if it were sent now.

mod support;

use std::{fs, path::Path, time::Duration};

use slotune_serving::{RequestRecord, RequestStatus, Silent};
use slotune_vllm::{
    client::{Client, ClientError},
    clock::now,
    load::{self, Endpoint, Options},
};
use support::{closed, options, replay};

fn capture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Splits a response into its head, with the blank line, and its body.
fn split(response: &[u8]) -> (&[u8], &[u8]) {
    let end = response.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    response.split_at(end)
}

/// Frames the body again, in chunks of this many bytes that end anywhere.
fn framed(response: &[u8], size: usize) -> Vec<Vec<u8>> {
    let (head, body) = split(response);
    let chunks = body
        .chunks(size)
        .map(|chunk| [format!("{:x}\r\n", chunk.len()).as_bytes(), chunk, b"\r\n"].concat());
    [head.to_vec()].into_iter().chain(chunks).chain([b"0\r\n\r\n".to_vec()]).collect()
}

async fn record(pieces: Vec<Vec<u8>>, options: &Options, tokens: (u32, u32)) -> RequestRecord {
    let client = Client::new(&replay(pieces), None).expect("an address");
    let mut schedule = closed(1, 1);
    (schedule.requests[0].prompt_tokens, schedule.requests[0].output_tokens) = tokens;
    let never = std::future::pending();
    let outcome = load::run(&client, &schedule, options, now(), never, &Silent).await;
    outcome.expect("usable").records.remove(0)
}

#[tokio::test]
async fn streams_are_read_whole_however_they_are_cut() {
    let chat = Options { endpoint: Endpoint::Chat, ..options() };
    for (name, options, tokens) in [
        ("completions-short", options(), (5, 5)),
        ("completions-token-ids-usage", options(), (8, 8)),
        ("completions-continuous-usage", options(), (8, 4)),
        ("chat-short", chat.clone(), (5, 5)),
        ("chat-usage", chat, (20, 5)),
    ] {
        let response = capture(&format!("sse/{name}.http"));
        for size in [1, 7, 300, 100_000] {
            let record = record(framed(&response, size), &options, tokens).await;
            assert_eq!(record.status, RequestStatus::Completed, "{name} in pieces of {size}");
            assert_eq!((record.prompt_tokens, record.output_tokens), tokens, "{name}");
            assert_eq!(record.chunk_times_s.len(), tokens.1 as usize, "{name}");
        }
    }
}

#[tokio::test]
async fn the_framing_of_a_real_server_is_read() {
    let pieces = vec![capture("sse/completions-raw-chunked.http")];
    let record = record(pieces, &options(), (5, 3)).await;
    assert_eq!(record.status, RequestStatus::Completed);
    assert_eq!((record.prompt_tokens, record.output_tokens), (5, 3));
}

#[tokio::test]
async fn refusals_are_told_in_the_words_of_the_server() {
    for (name, expected) in [
        ("chat-max-tokens-too-large", "status 400: max_tokens=5000 cannot be greater than"),
        ("chat-unknown-model-stream", "status 404: The model `nope` does not exist."),
        ("completions-bad-json", "status 400: 1 validation error:\n  {'type': 'json_invalid'"),
        ("completions-method-not-allowed", "status 405: Method Not Allowed"),
        ("completions-prompt-too-long", "status 400: This model's maximum context length is 2048"),
        ("completions-token-id-out-of-vocab", "status 400: Token id 5000 is out of vocabulary"),
        ("completions-wrong-content-type", "status 400: 1 validation error:\n  Unsupported Media"),
        ("unknown-route", "status 404: Not Found"),
    ] {
        let pieces = vec![capture(&format!("errors/{name}.http"))];
        match record(pieces, &options(), (5, 4)).await.status {
            RequestStatus::Rejected(text) => assert!(text.starts_with(expected), "{name}: {text}"),
            status => panic!("{name}: {status:?}"),
        }
    }
}

/// A field that vLLM does not know is ignored: without `stream`, the answer is no stream.
#[tokio::test]
async fn an_answer_that_is_no_stream_is_a_failure() {
    let pieces = vec![capture("errors/completions-unknown-field.http")];
    let record = record(pieces, &options(), (1, 2)).await;
    let expected = "the stream ended before the answer did".to_owned();
    assert_eq!(record.status, RequestStatus::Failed(expected));
}

#[tokio::test]
async fn the_client_tells_a_refusal_from_silence_and_from_too_much() {
    let get = async |pieces| {
        let client = Client::new(&replay(pieces), None).expect("an address");
        client.get("/metrics", Duration::from_secs(2)).await
    };
    let refused = get(vec![capture("errors/unknown-route.http")]).await;
    assert!(matches!(refused, Err(ClientError::Refused { status: 404, .. })), "{refused:?}");

    let mut endless = vec![b"HTTP/1.1 200 OK\r\n\r\n".to_vec()];
    endless.extend(vec![vec![b'a'; 1 << 20]; 20]);
    let too_long = get(endless).await;
    assert!(matches!(too_long, Err(ClientError::TooLong { .. })), "{too_long:?}");

    let cut = get(vec![b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc".to_vec()]).await;
    assert!(matches!(cut, Err(ClientError::NoAnswer { no_connection: false, .. })), "{cut:?}");
}
