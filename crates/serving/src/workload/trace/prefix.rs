//! Which prompts begin alike, rebuilt from how much of each prompt was seen before, and when.
//!
//! The reduced Mooncake format says of each request that its first r tokens had been seen, last in
//! a request that arrived a given time before. So the two begin with the same r tokens. Where
//! several requests arrived at that time, the trace does not tell which it was; one is taken whose
//! own prompt, or the part of it that was seen before, ends just there, else the one with the
//! shortest prompt, the latest first. However that falls out, each request finds exactly r tokens
//! of its prompt in an unlimited prefix cache, as recorded.

use std::collections::BTreeMap;

use super::{
    TraceError,
    format::{Reuse, Row},
};
use crate::workload::PromptSegment;

/// Tokens in a block of the trace (Qin et al., "Mooncake", FAST 2025).
const BLOCK_TOKENS: u32 = 512;

/// The shared beginning of each row's prompt, in blocks.
pub(super) fn rebuild(file: &str, rows: &[Row]) -> Result<Vec<Vec<PromptSegment>>, TraceError> {
    let mut arrived: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    // Blocks that each row takes over from an earlier one.
    let mut inherited: Vec<Vec<u64>> = Vec::with_capacity(rows.len());
    // How many of its blocks each row has in common with any other.
    let mut common: Vec<usize> = vec![0; rows.len()];
    for (i, row) in rows.iter().enumerate() {
        let arrival_s = row.arrival_s.unwrap_or_default();
        let mut blocks = Vec::new();
        if let Some(reuse) = row.reuse {
            let candidates =
                arrived.get(&milliseconds(arrival_s - reuse.age_s)).map_or(&[][..], Vec::as_slice);
            let Some(earlier) = source(rows, candidates, reuse) else {
                let (file, line) = (file.to_owned(), row.line);
                return Err(TraceError::Prefix {
                    file,
                    line,
                    tokens: reuse.tokens,
                    age_s: reuse.age_s,
                });
            };
            blocks = (0..shared_blocks(rows[earlier].lengths.prompt_tokens, reuse.tokens))
                .map(|block| id(&inherited, earlier, block))
                .collect();
            common[earlier] = common[earlier].max(blocks.len());
            common[i] = blocks.len();
        }
        inherited.push(blocks);
        arrived.entry(milliseconds(arrival_s)).or_default().push(i);
    }
    let segments = |(i, row): (usize, &Row)| {
        let tokens_left = |block| row.lengths.prompt_tokens - BLOCK_TOKENS * block;
        (0..common[i])
            .zip(0_u32..)
            .map(|(block, number)| PromptSegment {
                id: id(&inherited, i, block),
                tokens: tokens_left(number).min(BLOCK_TOKENS),
            })
            .collect()
    };
    Ok(rows.iter().enumerate().map(segments).collect())
}

/// The row among `candidates` that the tokens were last seen in.
fn source(rows: &[Row], candidates: &[usize], reuse: Reuse) -> Option<usize> {
    let prompt = |i: usize| rows[i].lengths.prompt_tokens;
    let ends_there = |i: usize| {
        let own_reuse = rows[i].reuse.map_or(0, |reuse| reuse.tokens);
        let whole_blocks = prompt(i) - prompt(i) % BLOCK_TOKENS;
        [prompt(i), whole_blocks, own_reuse].contains(&reuse.tokens)
    };
    candidates
        .iter()
        .rev()
        .copied()
        .filter(|&i| prompt(i) >= reuse.tokens)
        .min_by_key(|&i| (prompt(i) != reuse.tokens, !ends_there(i), prompt(i)))
}

/// How many blocks the first `tokens` tokens of a prompt are. A last, partial block is the same
/// only where the prompt ends with it.
fn shared_blocks(prompt_tokens: u32, tokens: u32) -> usize {
    let blocks =
        if prompt_tokens == tokens { tokens.div_ceil(BLOCK_TOKENS) } else { tokens / BLOCK_TOKENS };
    blocks as usize
}

/// The id of a row's block: inherited, or its own.
fn id(inherited: &[Vec<u64>], row: usize, block: usize) -> u64 {
    let own = || ((row as u64) << 32) | block as u64;
    inherited[row].get(block).copied().unwrap_or_else(own)
}

/// Arrivals and ages are written in milliseconds.
#[expect(
    clippy::cast_possible_truncation,
    reason = "a float casts to the nearest integer of the range"
)]
fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0).round() as i64
}
