//! What the events of a streamed answer say: tokens and when they came, usage, the end.
//!
//! An event holds tokens if it has a choice. In completions that is so even if its text is empty,
//! since a token may add no whole character. In a chat, the first event, which only says who
//! speaks, holds none. Nothing promises one token an event, so tokens are counted by `usage`.

use std::fmt;

use serde::{Deserialize, Deserializer, de};
use slotune_serving::RequestStatus;

use crate::message::ServerMessage;

/// What has been heard of one answer. Times are seconds from the start of the run.
#[derive(Debug, Default)]
pub(super) struct Answer {
    pub(super) first_token_s: Option<f64>,
    pub(super) last_token_s: Option<f64>,
    /// When each event with tokens arrived; empty unless wanted.
    pub(super) chunk_times_s: Vec<f64>,
    keeps_chunk_times: bool,
    token_events: u32,
    usage: Option<Usage>,
    /// A reason to finish was given.
    finished: bool,
    /// `[DONE]` was said.
    done: bool,
    /// The server said that it failed, or something that cannot be understood.
    problem: Option<String>,
}

impl Answer {
    pub(super) fn new(keeps_chunk_times: bool) -> Self {
        Self { keeps_chunk_times, ..Self::default() }
    }

    /// Takes the data of an event that was read at this time. What comes after `[DONE]` or a
    /// problem says nothing any more.
    pub(super) fn take(&mut self, data: &[u8], at_s: f64) {
        if self.is_over() {
            return;
        }
        if data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return;
        }
        match serde_json::from_slice::<Event>(data) {
            Ok(event) => self.take_event(event, at_s),
            Err(error) => self.problem = Some(format!("an event is not what vLLM sends: {error}")),
        }
    }

    fn take_event(&mut self, event: Event, at_s: f64) {
        if let Some(message) = event.error.or(event.message.filter(|_| event.choices.is_empty())) {
            self.problem = Some(format!("the server broke off: {}", message.shortened()));
            return;
        }
        if event.choices.iter().any(|choice| !choice.only_says_who_speaks()) {
            self.token_events += 1;
            self.first_token_s.get_or_insert(at_s);
            self.last_token_s = Some(at_s);
            if self.keeps_chunk_times {
                self.chunk_times_s.push(at_s);
            }
        }
        self.finished |= event.choices.iter().any(|choice| choice.finish_reason.is_some());
        self.usage = event.usage.or(self.usage);
    }

    /// Whether nothing that may still come matters.
    pub(super) fn is_over(&self) -> bool {
        self.done || self.problem.is_some()
    }

    /// Whether `[DONE]` was said, so that only the end of the body is to come.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// Prompt tokens that the server counted, if it told.
    pub(super) fn prompt_tokens(&self) -> Option<u32> {
        self.usage.map(|usage| usage.prompt_tokens)
    }

    /// Output tokens that the server counted; events with tokens where it does not tell.
    pub(super) fn output_tokens(&self) -> u32 {
        self.usage.map_or(self.token_events, |usage| usage.completion_tokens)
    }

    /// Whether the stream gave tokens but no count of them.
    pub(super) fn lacks_usage(&self) -> bool {
        self.usage.is_none() && self.token_events > 0
    }

    /// How the request ended once its stream did. It completed if the tokens that were asked for
    /// arrived, and `[DONE]` said so or, where a proxy swallowed it, both a reason to finish and
    /// the usage.
    pub(super) fn status(&self, asked_tokens: u32) -> RequestStatus {
        let failed = |text: String| RequestStatus::Failed(text);
        if let Some(problem) = &self.problem {
            return failed(problem.clone());
        }
        if !(self.done || self.finished && self.usage.is_some()) {
            return failed("the stream ended before the answer did".to_owned());
        }
        let tokens = self.output_tokens();
        if tokens == asked_tokens && self.first_token_s.is_some() {
            return RequestStatus::Completed;
        }
        let why = if self.usage.is_none() {
            "; the server counted none, and an event may hold several"
        } else if tokens < asked_tokens {
            "; vLLM cuts max_tokens to what fits into max_model_len"
        } else {
            ""
        };
        failed(format!("{tokens} output tokens came instead of {asked_tokens}{why}"))
    }
}

/// The parts of an event that matter.
#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<ServerMessage>,
    /// Versions before `error` had the message at the top.
    message: Option<ServerMessage>,
}

#[derive(Deserialize)]
struct Choice {
    delta: Option<Delta>,
    finish_reason: Option<de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Delta {
    role: Option<de::IgnoredAny>,
    #[serde(default)]
    content: Content,
}

#[derive(Clone, Copy, Debug, Deserialize)]
struct Usage {
    prompt_tokens: u32,
    #[serde(default)]
    completion_tokens: u32,
}

impl Choice {
    fn only_says_who_speaks(&self) -> bool {
        let delta = self.delta.as_ref();
        delta.is_some_and(|delta| delta.role.is_some() && delta.content.is_empty)
    }
}

/// Whether there is text, without keeping it.
struct Content {
    is_empty: bool,
}

impl Default for Content {
    fn default() -> Self {
        Self { is_empty: true }
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Look;
        impl de::Visitor<'_> for Look {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text or null")
            }

            fn visit_str<E>(self, text: &str) -> Result<Content, E> {
                Ok(Content { is_empty: text.is_empty() })
            }

            fn visit_unit<E>(self) -> Result<Content, E> {
                Ok(Content::default())
            }
        }
        deserializer.deserialize_any(Look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(events: &[&str]) -> Answer {
        let mut answer = Answer::new(true);
        for (time, event) in events.iter().enumerate() {
            answer.take(event.as_bytes(), time as f64);
        }
        answer
    }

    const TOKEN: &str = r#"{"choices":[{"index":0,"text":"","finish_reason":null}]}"#;
    const LAST: &str = r#"{"choices":[{"index":0,"text":"a","finish_reason":"length"}]}"#;
    const USAGE: &str =
        r#"{"choices":[],"usage":{"prompt_tokens":5,"total_tokens":7,"completion_tokens":2}}"#;

    fn failure(answer: &Answer, asked: u32) -> String {
        match answer.status(asked) {
            RequestStatus::Failed(text) => text,
            status => panic!("{status:?}"),
        }
    }

    #[test]
    fn an_event_with_a_choice_holds_tokens_even_without_text() {
        let answer = answer(&[TOKEN, LAST, USAGE, "[DONE]"]);
        assert_eq!(answer.status(2), RequestStatus::Completed);
        assert_eq!(answer.chunk_times_s, [0.0, 1.0]);
        assert_eq!((answer.prompt_tokens(), answer.output_tokens()), (Some(5), 2));
    }

    #[test]
    fn the_first_event_of_a_chat_holds_no_token() {
        let who = r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#;
        let word = r#"{"choices":[{"delta":{"content":"a"},"finish_reason":null}]}"#;
        let empty = r#"{"choices":[{"delta":{"content":null},"finish_reason":"length"}]}"#;
        let both = r#"{"choices":[{"delta":{"role":"assistant","content":"b"}}]}"#;
        assert_eq!(answer(&[who, word, empty, both, "[DONE]"]).chunk_times_s, [1.0, 2.0, 3.0]);
    }

    #[test]
    fn a_swallowed_done_does_no_harm_if_all_else_came() {
        assert_eq!(answer(&[TOKEN, LAST, USAGE]).status(2), RequestStatus::Completed);
        assert!(failure(&answer(&[TOKEN, USAGE]), 2).contains("ended before"));
        assert!(failure(&answer(&[TOKEN, LAST]), 2).contains("ended before"));
    }

    #[test]
    fn other_tokens_than_asked_for_are_a_failure_with_the_reason() {
        let whole = [TOKEN, LAST, USAGE, "[DONE]"];
        assert!(
            failure(&answer(&whole), 8).contains("2 output tokens came instead of 8; vLLM cuts")
        );
        assert!(failure(&answer(&whole), 1).ends_with("2 output tokens came instead of 1"));
        let uncounted = answer(&[TOKEN, LAST, "[DONE]"]);
        assert!(uncounted.lacks_usage());
        assert_eq!(uncounted.status(2), RequestStatus::Completed);
        assert!(failure(&uncounted, 3).contains("counted none"));
        assert!(failure(&answer(&["[DONE]"]), 0).contains("0 output tokens"));
    }

    #[test]
    fn an_error_in_the_stream_is_told_and_ends_it() {
        let error = r#"{"error":{"message":"engine died","type":"Internal","code":500}}"#;
        let answered = answer(&[TOKEN, error, LAST, USAGE, "[DONE]"]);
        assert!(failure(&answered, 2).contains("engine died"));
        let old = r#"{"object":"error","message":"engine died"}"#;
        assert!(failure(&answer(&[old]), 2).contains("engine died"));
        assert!(failure(&answer(&["{"]), 2).contains("not what vLLM sends"));
    }

    #[test]
    fn nothing_counts_after_done() {
        let answer = answer(&[TOKEN, LAST, USAGE, "[DONE]", TOKEN, "{", "[DONE]"]);
        assert_eq!(answer.status(2), RequestStatus::Completed);
        assert_eq!(answer.chunk_times_s.len(), 2);
    }
}
