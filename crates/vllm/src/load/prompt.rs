//! Bodies of requests, with prompts that a seed decides.
//!
//! A prompt begins with its shared segments, whose tokens follow from their ids alone, and goes on
//! with tokens of its own. A prompt of a chat is text: as many common English words, each of which
//! most vocabularies hold as one token, as tokens are wanted. The chat template adds some, so the
//! server's own count, from `usage`, is what the record keeps.

use std::ops::Range;

use bytes::Bytes;
use rand::RngExt;
use serde::Serialize;
use slotune_serving::{RequestSpec, random};

use super::{Endpoint, Options};

/// The body of the request at `index` of the schedule.
pub(super) fn body(options: &Options, index: u32, spec: &RequestSpec) -> Bytes {
    let prompt = match options.endpoint {
        Endpoint::Completions => Prompt::Completions {
            prompt: draw(options, index, spec, |range, random| random.random_range(range)),
        },
        Endpoint::Chat => {
            let words: Vec<&str> =
                draw(options, index, spec, |_, random| WORDS[random.random_range(0..WORDS.len())]);
            Prompt::Chat { messages: [Message { role: "user", content: words.join(" ") }] }
        }
    };
    let body = Body {
        model: &options.model,
        prompt,
        max_tokens: spec.output_tokens,
        ignore_eos: true,
        temperature: 0.0,
        stream: true,
        stream_options: StreamOptions { include_usage: true },
    };
    serde_json::to_vec(&body).expect("text and numbers can be written as JSON").into()
}

/// Draws the tokens of a prompt: those of its shared segments from their own streams, the rest
/// from the request's.
fn draw<T>(
    options: &Options,
    index: u32,
    spec: &RequestSpec,
    one: impl Fn(Range<u32>, &mut random::Pcg64) -> T,
) -> Vec<T> {
    let length = spec.prompt_tokens as usize;
    let mut tokens = Vec::with_capacity(length);
    let mut extend = |name, counter, count: usize| {
        let mut random = random::stream(options.seed, name, counter);
        let count = count.min(length - tokens.len());
        tokens.extend((0..count).map(|_| one(options.vocabulary.clone(), &mut random)));
    };
    for segment in &spec.shared_prefix {
        extend("prompt segment", segment.id, segment.tokens as usize);
    }
    extend("prompt", u64::from(index), length);
    tokens
}

#[derive(Serialize)]
struct Body<'a> {
    model: &'a str,
    #[serde(flatten)]
    prompt: Prompt,
    max_tokens: u32,
    ignore_eos: bool,
    temperature: f64,
    stream: bool,
    stream_options: StreamOptions,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Prompt {
    Completions { prompt: Vec<u32> },
    Chat { messages: [Message; 1] },
}

#[derive(Serialize)]
struct Message {
    role: &'static str,
    content: String,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

const WORDS: [&str; 64] = [
    "about", "after", "again", "all", "also", "and", "any", "back", "because", "before", "both",
    "but", "can", "come", "could", "day", "even", "first", "for", "from", "get", "give", "good",
    "great", "hand", "have", "here", "home", "how", "into", "just", "know", "large", "last",
    "life", "like", "long", "look", "make", "many", "more", "most", "much", "new", "not", "now",
    "old", "one", "only", "other", "our", "over", "people", "place", "right", "same", "see",
    "small", "some", "still", "take", "than", "that", "time",
];

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use slotune_serving::workload::PromptSegment;

    use super::*;

    fn spec(prompt_tokens: u32, segments: &[(u64, u32)]) -> RequestSpec {
        let shared_prefix =
            segments.iter().map(|&(id, tokens)| PromptSegment { id, tokens }).collect();
        RequestSpec { arrival_s: 0.0, prompt_tokens, output_tokens: 7, shared_prefix }
    }

    fn written(options: &Options, index: u32, spec: &RequestSpec) -> Value {
        serde_json::from_slice(&body(options, index, spec)).expect("JSON")
    }

    fn tokens(index: u32, spec: &RequestSpec) -> Vec<u64> {
        let body = written(&Options::new("m", 3..1000), index, spec);
        let prompt = body["prompt"].as_array().expect("token ids");
        prompt.iter().map(|token| token.as_u64().expect("a number")).collect()
    }

    #[test]
    fn a_body_says_all_that_fixes_the_work_of_the_server() {
        let mut body = written(&Options::new("m", 3..1000), 0, &spec(5, &[]));
        let prompt = body.as_object_mut().and_then(|body| body.remove("prompt")).expect("a prompt");
        assert_eq!(prompt.as_array().map(Vec::len), Some(5));
        let expected = serde_json::json!({
            "model": "m", "max_tokens": 7, "ignore_eos": true, "temperature": 0.0, "stream": true,
            "stream_options": {"include_usage": true},
        });
        assert_eq!(body, expected);
    }

    #[test]
    fn tokens_are_of_the_vocabulary_and_unlike_those_of_others() {
        let (first, second) = (tokens(0, &spec(200, &[])), tokens(1, &spec(200, &[])));
        assert!(first.iter().all(|token| (3..1000).contains(token)));
        let equal = first.iter().zip(&second).filter(|(a, b)| a == b).count();
        assert!(equal < 10, "{equal} of 200 tokens are equal");
        assert_eq!(first, tokens(0, &spec(200, &[])));
    }

    #[test]
    fn prompts_share_a_prefix_as_far_as_their_segments_agree() {
        let first = tokens(0, &spec(100, &[(7, 30), (8, 20)]));
        let second = tokens(1, &spec(90, &[(7, 30), (9, 20)]));
        assert_eq!(first[..30], second[..30]);
        assert_ne!(first[30..50], second[30..50]);
        assert_eq!((first.len(), second.len()), (100, 90));
        assert_eq!(tokens(2, &spec(10, &[(7, 30)])), first[..10], "a prompt ends where it ends");
    }

    #[test]
    fn a_chat_gets_as_many_words_as_tokens() {
        let options = Options { endpoint: Endpoint::Chat, ..Options::new("m", 3..1000) };
        let body = written(&options, 0, &spec(40, &[]));
        let text = body["messages"][0]["content"].as_str().expect("text");
        assert_eq!(text.split(' ').count(), 40);
    }

    /// What a seed gives is a promise; a change here needs a line in the changelog.
    #[test]
    fn prompts_are_stable() {
        assert_eq!(tokens(0, &spec(6, &[(1, 3)])), [570, 673, 438, 412, 434, 637]);
    }
}
