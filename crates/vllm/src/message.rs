//! What the other side says, in words that are short and hold no secret: bodies, refusals, errors.

use std::error::Error;

use reqwest::{Response, header::LOCATION};
use serde::Deserialize;
use url::Url;

/// Most bytes of a refusal that are read to find its message.
const REFUSAL_LIMIT: usize = 64 << 10;

/// Most characters of a message that are kept.
const MESSAGE_LIMIT: usize = 500;

/// An answer read up to a limit.
pub(crate) enum Read {
    Whole(Vec<u8>),
    /// There was more.
    Cut(Vec<u8>),
}

pub(crate) async fn read(mut response: Response, limit: usize) -> Result<Read, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = limit - body.len();
        if chunk.len() > room {
            body.extend_from_slice(&chunk[..room]);
            return Ok(Read::Cut(body));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Read::Whole(body))
}

/// Why the server refused, in its own words, or where it wants to send us.
pub(crate) async fn refusal(response: Response) -> String {
    let status = response.status();
    if status.is_redirection() {
        let to = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
        let to = to.and_then(|to| Url::parse(to).ok()).map(|to| format!(" to {}", bare(&to)));
        let to = to.unwrap_or_default();
        return format!("redirects{to} are not followed; give the server's own address");
    }
    let body = match read(response, REFUSAL_LIMIT).await {
        Ok(Read::Whole(body) | Read::Cut(body)) => body,
        Err(error) => return describe(error),
    };
    let message = message(&body);
    if message.is_empty() {
        status.canonical_reason().unwrap_or("no message").to_owned()
    } else {
        message
    }
}

/// The message in the body of a refusal: vLLM's `error.message`, a router's `detail`, or the text.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Refusal {
        Error { error: ServerMessage },
        Detail { detail: String },
    }
    match serde_json::from_slice(body) {
        Ok(Refusal::Error { error }) => error.shortened(),
        Ok(Refusal::Detail { detail }) => shortened(&detail),
        Err(_) => shortened(&String::from_utf8_lossy(body)),
    }
}

/// What stands under `error` in an answer or an event.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum ServerMessage {
    /// vLLM's.
    Object {
        /// The text.
        message: String,
    },
    /// That of some proxies.
    Text(String),
    /// Anything else.
    Other(serde_json::Value),
}

impl ServerMessage {
    /// The text, bounded.
    pub(crate) fn shortened(&self) -> String {
        match self {
            Self::Object { message } | Self::Text(message) => shortened(message),
            Self::Other(value) => shortened(&value.to_string()),
        }
    }
}

fn shortened(text: &str) -> String {
    let text = text.trim();
    match text.char_indices().nth(MESSAGE_LIMIT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The error and its causes in one line, without the URL, which may not be repeated as it stands.
pub(crate) fn describe(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut texts = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !texts.iter().any(|known| known.contains(&text)) {
            texts.push(text);
        }
        cause = error.source();
    }
    shortened(&texts.join(": "))
}

/// Without what may hold a secret.
pub(crate) fn bare(url: &Url) -> Url {
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    bare
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_of_a_refusal_is_found_and_bounded() {
        let cases: [(&[u8], &str); 6] = [
            (
                br#"{"error":{"message":"too long","type":"BadRequestError","code":400}}"#,
                "too long",
            ),
            (br#"{"detail":"Not Found"}"#, "Not Found"),
            (br#"{"error":"unauthorised"}"#, "unauthorised"),
            (br#"{"error":3}"#, "3"),
            (b"<html>", "<html>"),
            (b"\xff", "\u{fffd}"),
        ];
        for (body, expected) in cases {
            assert_eq!(message(body), expected);
        }
        let long = message("ä".repeat(10_000).as_bytes());
        assert_eq!(long.chars().count(), MESSAGE_LIMIT + 1);
    }
}
