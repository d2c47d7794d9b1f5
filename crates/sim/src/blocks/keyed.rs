//! The block pool with prefix caching, after vLLM's `v1/core/block_pool.py`.

use std::collections::BTreeMap;

use slotune_serving::workload::PromptSegment;

use super::{PrefixHit, keys::shared_keys};

/// Stands for no block.
const NONE: u32 = u32::MAX;

/// Blocks with reference counts. Those that no request holds wait in a queue, least recently used
/// first, and keep their contents findable until they are given out again.
///
/// Where two blocks have equal contents only the first is findable.
#[derive(Clone, Debug)]
pub(crate) struct KeyedPool {
    block_size: u32,
    /// Blocks that were never given out. They come before all others, so the list of blocks is
    /// only as long as it must be.
    fresh: u32,
    blocks: Vec<Block>,
    /// The block with each shared contents.
    shared: BTreeMap<u64, u32>,
    /// What each slot holds.
    holdings: Vec<Holding>,
    /// Emptied lists of blocks, to be used again.
    spare: Vec<Vec<u32>>,
    /// Blocks in the queue of those that were held before, with its ends.
    queued: u32,
    first: u32,
    last: u32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    holders: u32,
    contents: Contents,
    /// Neighbours in the queue of free blocks.
    previous: u32,
    next: u32,
}

/// What a block is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Contents {
    Nothing,
    /// A prefix that several prompts share.
    Shared(u64),
    /// A block of one prompt alone, which looks for it when it was preempted.
    Own {
        number: u32,
        index: u32,
    },
}

/// The blocks of one request.
#[derive(Clone, Debug, Default)]
struct Holding {
    number: u32,
    /// Full blocks of the prompt: no others are found again.
    full_blocks: u32,
    /// Keys of the first of them, as far as they are shared.
    keys: Vec<u64>,
    /// In order.
    blocks: Vec<u32>,
    /// What it held when it was preempted.
    former: Vec<u32>,
    /// Full blocks of the prompt that were made findable.
    published: u32,
}

impl KeyedPool {
    /// `usable` blocks of `block_size` tokens.
    pub(crate) fn new(usable: u32, block_size: u32) -> Self {
        Self {
            block_size,
            fresh: usable,
            blocks: Vec::new(),
            shared: BTreeMap::new(),
            holdings: Vec::new(),
            spare: Vec::new(),
            queued: 0,
            first: NONE,
            last: NONE,
        }
    }

    pub(crate) fn register(
        &mut self,
        slot: usize,
        number: u32,
        prompt: u32,
        segments: &[PromptSegment],
    ) {
        if slot >= self.holdings.len() {
            self.holdings.resize(slot + 1, Holding::default());
        }
        let holding = &mut self.holdings[slot];
        debug_assert!(holding.blocks.is_empty(), "the slot is free");
        holding.number = number;
        holding.full_blocks = prompt / self.block_size;
        holding.keys = shared_keys(prompt, segments, self.block_size);
        holding.former.clear();
    }

    pub(crate) fn free(&self) -> u32 {
        self.fresh + self.queued
    }

    pub(crate) fn prefix_hit(&self, slot: usize, most: u32) -> PrefixHit {
        let mut hit = PrefixHit::default();
        while hit.blocks < most
            && let Some(block) = self.cached(slot, hit.blocks)
        {
            hit.blocks += 1;
            hit.idle += u32::from(self.blocks[block as usize].holders == 0);
        }
        hit
    }

    pub(crate) fn take_hit(&mut self, slot: usize, blocks: u32) {
        debug_assert!(self.holdings[slot].blocks.is_empty(), "a request takes its hit first");
        self.holdings[slot].blocks = self.spare.pop().unwrap_or_default();
        for index in 0..blocks {
            let block = self.cached(slot, index).expect("the hit was just found");
            if self.blocks[block as usize].holders == 0 {
                self.remove_free(block);
            }
            self.blocks[block as usize].holders += 1;
            self.holdings[slot].blocks.push(block);
        }
        self.holdings[slot].published = blocks;
    }

    pub(crate) fn allocate(&mut self, slot: usize, blocks: u32) {
        for _ in 0..blocks {
            let block = self.take_free();
            self.holdings[slot].blocks.push(block);
        }
    }

    pub(crate) fn publish(&mut self, slot: usize, full_blocks: u32) {
        let holding = &mut self.holdings[slot];
        while holding.published < full_blocks.min(holding.full_blocks) {
            let index = holding.published;
            let block = holding.blocks[index as usize];
            self.blocks[block as usize].contents = match holding.keys.get(index as usize) {
                None => Contents::Own { number: holding.number, index },
                Some(key) if self.shared.contains_key(key) => Contents::Nothing,
                Some(&key) => {
                    self.shared.insert(key, block);
                    Contents::Shared(key)
                }
            };
            holding.published += 1;
        }
    }

    pub(crate) fn release(&mut self, slot: usize) {
        let mut blocks = std::mem::take(&mut self.holdings[slot].blocks);
        self.let_go(&blocks);
        blocks.clear();
        self.spare.push(blocks);
    }

    pub(crate) fn preempt(&mut self, slot: usize) {
        let former = std::mem::take(&mut self.holdings[slot].blocks);
        self.let_go(&former);
        self.holdings[slot].former = former;
    }

    /// The block that holds block `index` of the prompt in `slot`, if any does.
    fn cached(&self, slot: usize, index: u32) -> Option<u32> {
        let holding = &self.holdings[slot];
        if let Some(key) = holding.keys.get(index as usize) {
            return self.shared.get(key).copied();
        }
        let own = Contents::Own { number: holding.number, index };
        let block = *holding.former.get(index as usize)?;
        (self.blocks[block as usize].contents == own).then_some(block)
    }

    /// Last block first, so that the start of a prompt, which others may share, lives longest.
    fn let_go(&mut self, blocks: &[u32]) {
        for &block in blocks.iter().rev() {
            let holders = &mut self.blocks[block as usize].holders;
            *holders -= 1;
            if *holders == 0 {
                self.push_free(block);
            }
        }
    }

    /// A block for one holder, whose contents are forgotten.
    fn take_free(&mut self) -> u32 {
        if self.fresh > 0 {
            self.fresh -= 1;
            let contents = Contents::Nothing;
            self.blocks.push(Block { holders: 1, contents, previous: NONE, next: NONE });
            return u32::try_from(self.blocks.len() - 1).expect("as many as usable ones at most");
        }
        let block = self.first;
        self.remove_free(block);
        let entry = &mut self.blocks[block as usize];
        entry.holders = 1;
        if let Contents::Shared(key) = std::mem::replace(&mut entry.contents, Contents::Nothing) {
            self.shared.remove(&key);
        }
        block
    }

    fn push_free(&mut self, block: u32) {
        self.blocks[block as usize].previous = self.last;
        self.blocks[block as usize].next = NONE;
        match self.last {
            NONE => self.first = block,
            last => self.blocks[last as usize].next = block,
        }
        self.last = block;
        self.queued += 1;
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
        self.queued -= 1;
    }

    /// Distinct blocks that requests hold, for the tests of conservation.
    #[cfg(test)]
    pub(crate) fn held_blocks(&self) -> usize {
        let held = || self.holdings.iter().map(|holding| &holding.blocks);
        let all: std::collections::BTreeSet<u32> = held().flatten().copied().collect();
        for &block in &all {
            let holders = held().filter(|held| held.contains(&block)).count();
            assert_eq!(self.blocks[block as usize].holders as usize, holders);
        }
        all.len()
    }
}
