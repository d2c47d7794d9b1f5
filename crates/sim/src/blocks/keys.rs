//! Identities of the shared blocks of a prompt, without token ids.

use slotune_serving::{random, workload::PromptSegment};

/// Keys of the blocks of a prompt of `prompt` tokens that lie wholly inside its shared segments.
///
/// As in vLLM a block's key covers the whole prompt up to its end, so equal keys mean equal
/// prefixes. A block after those is unlike every block of every other prompt, and needs no key.
pub(super) fn shared_keys(prompt: u32, segments: &[PromptSegment], block_size: u32) -> Vec<u64> {
    let mut keys = Vec::new();
    let full_blocks = (prompt / block_size) as usize;
    let mut chain = 0;
    let mut block_room = block_size;
    for segment in segments {
        let mut offset = 0;
        while offset < segment.tokens && keys.len() < full_blocks {
            let taken = block_room.min(segment.tokens - offset);
            // Where a segment is entered and left tells its tokens apart.
            chain = random::derive(chain, "segment", segment.id);
            chain = random::derive(chain, "from", u64::from(offset));
            chain = random::derive(chain, "tokens", u64::from(taken));
            offset += taken;
            block_room -= taken;
            if block_room == 0 {
                keys.push(chain);
                block_room = block_size;
            }
        }
    }
    keys
}
