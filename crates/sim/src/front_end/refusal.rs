//! Requests that vLLM's front end refuses.

use slotune_serving::RequestSpec;

/// Why the front end refuses a request, in vLLM's words.
pub(super) fn refusal(spec: &RequestSpec, longest: u32) -> Option<String> {
    let (prompt, output) = (spec.prompt_tokens, spec.output_tokens);
    let total = u64::from(prompt) + u64::from(output);
    if prompt == 0 {
        Some("Either prompt or prompt_embeds must be provided and non-empty.".into())
    } else if output == 0 {
        Some("max_tokens must be at least 1, got 0.".into())
    } else if prompt > longest {
        Some(format!(
            "This model's maximum context length is {longest} tokens. However, your prompt \
             contains {prompt} input tokens, which exceeds this limit even without any output \
             tokens. Please reduce the length of the input prompt."
        ))
    } else if total > u64::from(longest) {
        Some(format!(
            "This model's maximum context length is {longest} tokens. However, you requested \
             {output} output tokens and your prompt contains {prompt} input tokens, for a total of \
             {total} tokens. Please reduce the length of the input prompt or the number of \
             requested output tokens."
        ))
    } else {
        None
    }
}
