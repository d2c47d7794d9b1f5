//! Answers to completions: whole or streamed, as the script wants or a fault spoils them.

use std::{io, time::Instant};

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream, select, time::sleep_until};

use super::{http, request::Asked, script::Fault, server::Server};
use crate::clock::now;

/// How an answer left its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Fit for another request.
    Usable,
    /// To be cut.
    Broken,
}

/// The text of one token.
const TOKEN_TEXT: &str = " a";

/// What vLLM says to a request whose engine died.
pub(super) fn dead_engine() -> Value {
    json!({ "error": { "message": "EngineCore encountered an issue.", "type": "InternalServerError", "param": null, "code": 500 } })
}

/// Sends the whole answer at its end.
pub(super) async fn whole(server: &Server, stream: &mut TcpStream, asked: Asked) -> io::Result<()> {
    let begun = now();
    server.count(|counters| {
        counters.first_tokens += 1;
        counters.ttft += server.script.first_token;
    });
    let last = server.script.first_token + server.script.token * (asked.output_tokens - 1);
    sleep_until((begun + last).into()).await;
    server.count(|counters| {
        counters.events += u64::from(asked.output_tokens);
        counters.output_tokens += u64::from(asked.output_tokens);
    });
    let text = TOKEN_TEXT.repeat(asked.output_tokens as usize);
    let choice = if asked.is_chat {
        json!({ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "length" })
    } else {
        json!({ "index": 0, "text": text, "finish_reason": "length" })
    };
    let body = json!({
        "id": "cmpl-stub", "object": "text_completion", "created": 0,
        "model": server.script.model, "choices": [choice],
        "usage": usage(asked, asked.output_tokens),
    });
    http::answer(stream, 200, "application/json", &body.to_string()).await
}

/// Streams the answer, or what the fault leaves of it. `arrived` is when the request came.
pub(super) async fn streamed(
    server: &Server,
    stream: &mut TcpStream,
    asked: Asked,
    arrived: Instant,
    fault: Option<&Fault>,
) -> io::Result<Left> {
    let script = &server.script;
    let mut writer = Writer { stream, bytewise: matches!(fault, Some(Fault::ByteByByte)) };
    http::stream_head(writer.stream).await?;
    let event = Event::new(&script.model, asked.is_chat);
    if asked.is_chat {
        let role = r#"{"role":"assistant","content":""}"#;
        writer.write(&event.with(&format!(r#""delta":{role}"#), false)).await?;
    }
    let (middle, last) = (event.token(script.tokens_per_event, false), event.token(1, true));
    let middle_chunk = http::chunk(&middle);
    let begun = now();
    let (mut sent, mut events) = (vec![], 0);
    let mut tokens = 0;
    while tokens < asked.output_tokens {
        let due = begun + script.first_token + script.token * tokens;
        if due > now() {
            select! {
                () = sleep_until(due.into()) => {}
                () = http::closed(writer.stream) => return Err(io::ErrorKind::BrokenPipe.into()),
            }
        }
        match fault {
            Some(Fault::Disconnect { after }) if events >= *after => return Ok(Left::Broken),
            Some(Fault::Silence { after }) if events >= *after => {
                http::closed(writer.stream).await;
                return Ok(Left::Broken);
            }
            Some(Fault::ErrorEvent { after }) if events >= *after => {
                let error = dead_engine();
                writer.write(format!("data: {error}\n\ndata: [DONE]\n\n").as_bytes()).await?;
                writer.write_raw(http::END).await?;
                return Ok(Left::Usable);
            }
            Some(Fault::EndlessLine) if events > 0 => return endless_line(writer).await,
            _ => {}
        }
        let count = script.tokens_per_event.max(1).min(asked.output_tokens - tokens);
        tokens += count;
        if script.keep_send_times {
            sent.push(now());
        }
        if events == 0 {
            server.count(|counters| {
                counters.first_tokens += 1;
                counters.ttft += now().saturating_duration_since(arrived);
            });
        }
        if tokens == asked.output_tokens {
            writer.write(&last).await?;
        } else if writer.bytewise {
            writer.write(&middle).await?;
        } else {
            writer.write_raw(&middle_chunk).await?;
        }
        events += 1;
        server.count(|counters| {
            counters.output_tokens += u64::from(count);
            counters.events += 1;
        });
    }
    server.keep(asked.prompt_tokens, sent);
    finish(writer, &event, asked, fault).await
}

/// What follows the tokens: usage, `[DONE]`, the end of the body.
async fn finish(
    mut writer: Writer<'_>,
    event: &Event<'_>,
    asked: Asked,
    fault: Option<&Fault>,
) -> io::Result<Left> {
    if asked.wants_usage && fault != Some(&Fault::NoUsage) {
        let tokens = match fault {
            Some(Fault::WrongUsage { completion_tokens }) => *completion_tokens,
            _ => asked.output_tokens,
        };
        writer.write(&event.usage(asked, tokens)).await?;
    }
    let done: &[u8] = match fault {
        Some(Fault::NoDone) => b"",
        Some(Fault::TwiceDone) => b"data: [DONE]\n\ndata: [DONE]\n\n: and more\n\n",
        _ => b"data: [DONE]\n\n",
    };
    if !done.is_empty() {
        writer.write(done).await?;
    }
    if fault == Some(&Fault::NoEnd) {
        http::closed(writer.stream).await;
        return Ok(Left::Broken);
    }
    writer.write_raw(http::END).await?;
    Ok(Left::Usable)
}

async fn endless_line(mut writer: Writer<'_>) -> io::Result<Left> {
    let text = vec![b'a'; 64 << 10];
    writer.write(b"data: ").await?;
    loop {
        writer.write(&text).await?;
    }
}

/// Writes pieces as chunks of the body.
struct Writer<'a> {
    stream: &'a mut TcpStream,
    bytewise: bool,
}

impl Writer<'_> {
    async fn write(&mut self, piece: &[u8]) -> io::Result<()> {
        if !self.bytewise {
            return self.write_raw(&http::chunk(piece)).await;
        }
        for byte in piece {
            self.write_raw(&http::chunk(&[*byte])).await?;
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    async fn write_raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }
}

/// Events as vLLM writes them.
struct Event<'a> {
    model: &'a str,
    is_chat: bool,
}

impl<'a> Event<'a> {
    fn new(model: &'a str, is_chat: bool) -> Self {
        Self { model, is_chat }
    }

    fn token(&self, tokens: u32, is_last: bool) -> Vec<u8> {
        let text = TOKEN_TEXT.repeat(tokens as usize);
        let content = if self.is_chat {
            format!(r#""delta":{{"content":"{text}"}}"#)
        } else {
            format!(r#""text":"{text}""#)
        };
        self.with(&content, is_last)
    }

    fn with(&self, content: &str, is_last: bool) -> Vec<u8> {
        let finish = if is_last { r#""length""# } else { "null" };
        self.of(&format!(
            r#""choices":[{{"index":0,{content},"logprobs":null,"finish_reason":{finish},"stop_reason":null,"prompt_token_ids":null,"token_ids":null}}]"#
        ))
    }

    fn usage(&self, asked: Asked, tokens: u32) -> Vec<u8> {
        self.of(&format!(r#""choices":[],"usage":{}"#, usage(asked, tokens)))
    }

    fn of(&self, fields: &str) -> Vec<u8> {
        let object = if self.is_chat { "chat.completion.chunk" } else { "text_completion" };
        let model = self.model;
        let id = "cmpl-0123456789abcdef";
        let event = format!(
            r#"{{"id":"{id}","object":"{object}","created":1795508469,"model":"{model}",{fields}}}"#
        );
        format!("data: {event}\n\n").into_bytes()
    }
}

fn usage(asked: Asked, tokens: u32) -> serde_json::Value {
    let prompt_tokens = asked.prompt_tokens;
    json!({
        "prompt_tokens": prompt_tokens,
        "total_tokens": prompt_tokens + tokens,
        "completion_tokens": tokens,
    })
}
