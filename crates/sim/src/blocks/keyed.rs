//! The block pool with prefix caching, after vLLM's `v1/core/block_pool.py`.

use super::{PrefixHit, PromptKeys};

/// Stands for no block and no key.
const NONE: u32 = u32::MAX;

/// Blocks with reference counts. Those that no request holds wait in a queue, least recently used
/// first, and keep their contents findable until they are given out again.
///
/// Where two blocks have equal contents only the first is findable.
#[derive(Clone, Debug)]
pub(crate) struct KeyedPool {
    blocks: Vec<Block>,
    /// The block with each key, or none.
    by_key: Vec<u32>,
    keys: PromptKeys,
    /// Blocks of each request, in order.
    held: Vec<Vec<u32>>,
    /// Full blocks of each request's prompt that were made findable.
    published: Vec<u32>,
    free: u32,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    holders: u32,
    key: u32,
    /// Neighbours in the queue of free blocks.
    previous: u32,
    next: u32,
}

impl KeyedPool {
    /// `usable` blocks for prompts with these keys, `requests` of them.
    pub(crate) fn new(usable: u32, keys: PromptKeys, requests: usize) -> Self {
        let mut pool = Self {
            blocks: vec![
                Block { holders: 0, key: NONE, previous: NONE, next: NONE };
                usable as usize
            ],
            by_key: vec![NONE; keys.distinct() as usize],
            keys,
            held: vec![Vec::new(); requests],
            published: vec![0; requests],
            free: 0,
            first: NONE,
            last: NONE,
        };
        for block in 0..usable {
            pool.push_free(block);
        }
        pool
    }

    pub(crate) fn free(&self) -> u32 {
        self.free
    }

    pub(crate) fn prefix_hit(&self, request: usize, most: u32) -> PrefixHit {
        let mut hit = PrefixHit::default();
        for &key in self.keys.of(request).iter().take(most as usize) {
            let block = self.by_key[key as usize];
            if block == NONE {
                break;
            }
            hit.blocks += 1;
            hit.idle += u32::from(self.blocks[block as usize].holders == 0);
        }
        hit
    }

    pub(crate) fn take_hit(&mut self, request: usize, blocks: u32) {
        debug_assert!(self.held[request].is_empty(), "a request takes its hit first");
        for index in 0..blocks {
            let block = self.by_key[self.keys.of(request)[index as usize] as usize];
            if self.blocks[block as usize].holders == 0 {
                self.remove_free(block);
            }
            self.blocks[block as usize].holders += 1;
            self.held[request].push(block);
        }
        self.published[request] = blocks;
    }

    pub(crate) fn allocate(&mut self, request: usize, blocks: u32) {
        for _ in 0..blocks {
            let block = self.first;
            self.remove_free(block);
            let entry = &mut self.blocks[block as usize];
            entry.holders = 1;
            let key = std::mem::replace(&mut entry.key, NONE);
            if key != NONE {
                self.by_key[key as usize] = NONE;
            }
            self.held[request].push(block);
        }
    }

    pub(crate) fn publish(&mut self, request: usize, full_blocks: u32) {
        let keys = self.keys.of(request);
        while self.published[request] < full_blocks
            && let Some(&key) = keys.get(self.published[request] as usize)
        {
            let block = self.held[request][self.published[request] as usize];
            if self.by_key[key as usize] == NONE {
                self.by_key[key as usize] = block;
                self.blocks[block as usize].key = key;
            }
            self.published[request] += 1;
        }
    }

    /// Last block first, so that the start of a prompt, which others may share, lives longest.
    pub(crate) fn release(&mut self, request: usize) {
        while let Some(block) = self.held[request].pop() {
            let holders = &mut self.blocks[block as usize].holders;
            *holders -= 1;
            if *holders == 0 {
                self.push_free(block);
            }
        }
        self.published[request] = 0;
    }

    fn push_free(&mut self, block: u32) {
        self.blocks[block as usize].previous = self.last;
        self.blocks[block as usize].next = NONE;
        match self.last {
            NONE => self.first = block,
            last => self.blocks[last as usize].next = block,
        }
        self.last = block;
        self.free += 1;
    }

    fn remove_free(&mut self, block: u32) {
        let Block { previous, next, .. } = self.blocks[block as usize];
        match previous {
            NONE => self.first = next,
            previous => self.blocks[previous as usize].next = next,
        }
        match next {
            NONE => self.last = previous,
            next => self.blocks[next as usize].previous = previous,
        }
        self.free -= 1;
    }

    /// Distinct blocks that requests hold, for the tests of conservation.
    #[cfg(test)]
    pub(crate) fn held_blocks(&self) -> usize {
        let all: std::collections::BTreeSet<u32> = self.held.iter().flatten().copied().collect();
        for &block in &all {
            let holders = self.held.iter().filter(|held| held.contains(&block)).count();
            assert_eq!(self.blocks[block as usize].holders as usize, holders);
        }
        all.len()
    }
}
