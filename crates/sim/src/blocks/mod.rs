//! KV-cache blocks: a counter without prefix caching, and with it a pool that keeps the blocks of
//! finished requests until their room is needed.

mod keyed;
mod keys;

pub(crate) use keyed::KeyedPool;
use slotune_serving::workload::PromptSegment;

/// The KV-cache blocks of a server. It hands them out by number only; that a request never takes
/// more than are free is the scheduler's care.
#[derive(Clone, Debug)]
pub(crate) enum BlockPool {
    /// Blocks are all alike.
    Counted {
        /// Blocks that no request holds.
        free: u32,
    },
    /// Full blocks of prompts are found again by their contents.
    Keyed(KeyedPool),
}

/// Blocks at the start of a prompt that the cache holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PrefixHit {
    /// How many.
    pub(crate) blocks: u32,
    /// How many of them no request holds: taking them uses up free blocks.
    pub(crate) idle: u32,
}

impl BlockPool {
    /// A request takes `slot`: its number, unlike any other's, its prompt, and the parts of it that
    /// others share.
    pub(crate) fn register(
        &mut self,
        slot: usize,
        number: u32,
        prompt: u32,
        shared: &[PromptSegment],
    ) {
        if let Self::Keyed(pool) = self {
            pool.register(slot, number, prompt, shared);
        }
    }

    /// Blocks that no request holds, cached ones included.
    pub(crate) fn free(&self) -> u32 {
        match self {
            Self::Counted { free } => *free,
            Self::Keyed(pool) => pool.free(),
        }
    }

    /// The longest run of cached blocks at the start of the prompt of `request`, up to `most`.
    pub(crate) fn prefix_hit(&self, request: usize, most: u32) -> PrefixHit {
        match self {
            Self::Counted { .. } => PrefixHit::default(),
            Self::Keyed(pool) => pool.prefix_hit(request, most),
        }
    }

    /// Gives `request`, which holds nothing yet, the blocks of `hit`.
    pub(crate) fn take_hit(&mut self, request: usize, hit: PrefixHit) {
        if let Self::Keyed(pool) = self {
            pool.take_hit(request, hit.blocks);
        }
    }

    /// Gives `request` so many blocks more.
    pub(crate) fn allocate(&mut self, request: usize, blocks: u32) {
        match self {
            Self::Counted { free } => *free -= blocks,
            Self::Keyed(pool) => pool.allocate(request, blocks),
        }
    }

    /// Makes the full blocks of the prompt of `request` up to this many findable.
    pub(crate) fn publish(&mut self, request: usize, full_blocks: u32) {
        if let Self::Keyed(pool) = self {
            pool.publish(request, full_blocks);
        }
    }

    /// Takes back all blocks of `request`, which holds this many, for good.
    pub(crate) fn release(&mut self, request: usize, blocks: u32) {
        match self {
            Self::Counted { free } => *free += blocks,
            Self::Keyed(pool) => pool.release(request),
        }
    }

    /// The same of a request that will come back for those that are still there then.
    pub(crate) fn preempt(&mut self, request: usize, blocks: u32) {
        match self {
            Self::Counted { free } => *free += blocks,
            Self::Keyed(pool) => pool.preempt(request),
        }
    }
}

#[cfg(test)]
mod tests;
