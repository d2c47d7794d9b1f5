//! What a completion request asks for, and vLLM's words where it asks for the impossible.

use serde::Deserialize;
use serde_json::json;

use super::script::Script;

/// A completion request that can be served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) is_chat: bool,
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
    pub(super) streams: bool,
    pub(super) wants_usage: bool,
}

/// A refusal: status and body.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) body: String,
}

impl Refusal {
    fn new(status: u16, message: &str) -> Self {
        let kind = if status == 404 { "NotFoundError" } else { "BadRequestError" };
        let error = json!({ "message": message, "type": kind, "param": null, "code": status });
        Self { status, body: json!({ "error": error }).to_string() }
    }
}

/// Reads the body of a request to `/v1/completions` or `/v1/chat/completions`.
pub(super) fn read(script: &Script, is_chat: bool, body: &[u8]) -> Result<Asked, Refusal> {
    let refuse = |message: String| Err(Refusal::new(400, &message));
    let body: Body = match serde_json::from_slice(body) {
        Ok(body) => body,
        Err(error) => return refuse(format!("1 validation error:\n  {error}")),
    };
    if body.model != script.model {
        let (asked, own) = (body.model, &script.model);
        let message = format!("The model `{asked}` does not exist. Valid aliases: {own}.");
        return Err(Refusal::new(404, &message));
    }
    let prompt_tokens = match (is_chat, body.prompt, body.messages) {
        (false, Some(Prompt::Tokens(tokens)), _) => {
            if let Some(token) = tokens.iter().find(|&&token| token >= script.vocabulary) {
                return refuse(format!("Token id {token} is out of vocabulary"));
            }
            tokens.len()
        }
        (false, Some(Prompt::Text(text)), _) => words(&text),
        (true, _, Some(messages)) => messages.iter().map(|message| words(&message.content)).sum(),
        _ => 0,
    };
    let (longest, asked) = (script.max_model_len, body.max_tokens.unwrap_or(16));
    let prompt_tokens = u32::try_from(prompt_tokens).unwrap_or(u32::MAX);
    if prompt_tokens == 0 {
        return refuse(
            "Either prompt or prompt_embeds must be provided and non-empty. (parameter=prompt)"
                .to_owned(),
        );
    }
    if prompt_tokens > longest {
        return refuse(format!(
            "This model's maximum context length is {longest} tokens. However, your prompt contains {prompt_tokens} input tokens, which exceeds this limit even without any output tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value={prompt_tokens})"
        ));
    }
    let output_tokens = asked.min(longest - prompt_tokens);
    if output_tokens == 0 {
        return refuse(
            "max_tokens must be at least 1, got 0. (parameter=max_tokens, value=0)".into(),
        );
    }
    let wants_usage = body.stream_options.is_some_and(|options| options.include_usage);
    Ok(Asked { is_chat, prompt_tokens, output_tokens, streams: body.stream, wants_usage })
}

/// A word is a token here.
fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

#[derive(Deserialize)]
struct Body {
    model: String,
    prompt: Option<Prompt>,
    messages: Option<Vec<Message>>,
    max_tokens: Option<u32>,
    #[serde(default)]
    stream: bool,
    stream_options: Option<StreamOptions>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Prompt {
    Text(String),
    Tokens(Vec<u32>),
}

#[derive(Deserialize)]
struct Message {
    content: String,
}

#[derive(Deserialize)]
struct StreamOptions {
    #[serde(default)]
    include_usage: bool,
}
