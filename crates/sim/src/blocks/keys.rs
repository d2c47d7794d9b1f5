//! Identities of prompt blocks, without token ids.

use std::collections::BTreeMap;

use slotune_serving::RequestSpec;
use slotune_serving::random;

/// A number for the contents of each full block of each prompt, counted from 0.
///
/// As in vLLM a block's key covers the whole prompt up to its end, so equal keys mean equal
/// prefixes. A block is shareable only if it lies wholly inside the shared segments; any other is
/// unlike every block of every other prompt.
#[derive(Clone, Debug, Default)]
pub(crate) struct PromptKeys {
    keys: Vec<u32>,
    /// Where the keys of each request begin; one more entry than requests.
    starts: Vec<usize>,
    distinct: u32,
}

impl PromptKeys {
    /// Keys of the prompts of `requests` in blocks of `block_size` tokens. Requests that `is_served`
    /// denies get none.
    pub(crate) fn new(
        requests: &[RequestSpec],
        block_size: u32,
        is_served: impl Fn(usize) -> bool,
    ) -> Self {
        let mut keys = Self { starts: vec![0], ..Self::default() };
        let mut shared = BTreeMap::new();
        for (index, request) in requests.iter().enumerate() {
            if is_served(index) {
                keys.add(request, block_size, &mut shared);
            }
            keys.starts.push(keys.keys.len());
        }
        keys
    }

    /// Keys of the full blocks of the prompt of `request`, in order.
    pub(crate) fn of(&self, request: usize) -> &[u32] {
        &self.keys[self.starts[request]..self.starts[request + 1]]
    }

    /// Number of distinct keys.
    pub(crate) fn distinct(&self) -> u32 {
        self.distinct
    }

    fn add(&mut self, request: &RequestSpec, block_size: u32, shared: &mut BTreeMap<u64, u32>) {
        let mut full_blocks = request.prompt_tokens / block_size;
        let mut chain = 0;
        let mut block_room = block_size;
        for segment in &request.shared_prefix {
            let mut offset = 0;
            while offset < segment.tokens && full_blocks > 0 {
                let taken = block_room.min(segment.tokens - offset);
                // Where a segment is entered and left tells its tokens apart.
                chain = random::derive(chain, "segment", segment.id);
                chain = random::derive(chain, "from", u64::from(offset));
                chain = random::derive(chain, "tokens", u64::from(taken));
                offset += taken;
                block_room -= taken;
                if block_room == 0 {
                    let fresh = self.distinct;
                    let key = *shared.entry(chain).or_insert(fresh);
                    self.distinct += u32::from(key == fresh);
                    self.keys.push(key);
                    block_room = block_size;
                    full_blocks -= 1;
                }
            }
        }
        for _ in 0..full_blocks {
            self.keys.push(self.distinct);
            self.distinct += 1;
        }
    }
}
