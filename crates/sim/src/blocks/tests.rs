//! Block accounting and prefix hits.

use slotune_serving::workload::PromptSegment;

use super::{keys::shared_keys, *};

const BLOCK_SIZE: u32 = 4;

/// The length of a prompt, and the segments at its start that others share.
type Prompt<'a> = (u32, &'a [(u64, u32)]);

fn segments(shared: &[(u64, u32)]) -> Vec<PromptSegment> {
    shared.iter().map(|&(id, tokens)| PromptSegment { id, tokens }).collect()
}

fn pool(usable: u32, prompts: &[Prompt<'_>]) -> KeyedPool {
    let mut pool = KeyedPool::new(usable, BLOCK_SIZE);
    for (number, &(prompt, shared)) in (0..).zip(prompts) {
        pool.register(number as usize, number, prompt, &segments(shared));
    }
    pool
}

/// Computes the whole prompt of `request`, after what the cache holds of it.
fn compute(pool: &mut KeyedPool, request: usize, prompt: u32) -> PrefixHit {
    let hit = pool.prefix_hit(request, (prompt - 1) / BLOCK_SIZE);
    pool.take_hit(request, hit.blocks);
    pool.allocate(request, prompt.div_ceil(BLOCK_SIZE) - hit.blocks);
    pool.publish(request, prompt / BLOCK_SIZE);
    hit
}

/// How many leading blocks two prompts share.
#[test]
fn prompts_share_blocks_as_far_as_their_segments_agree() {
    let check = |first: Prompt<'_>, second: Prompt<'_>, shared: usize| {
        let keys = |(prompt, shared)| shared_keys(prompt, &segments(shared), BLOCK_SIZE);
        let (one, other) = (keys(first), keys(second));
        let equal = one.iter().zip(&other).take_while(|(a, b)| a == b).count();
        assert_eq!(equal, shared, "{first:?} {second:?}");
        assert!(one.iter().skip(equal).all(|key| !other.contains(key)));
    };
    check((16, &[]), (16, &[]), 0);
    check((16, &[(1, 16)]), (16, &[(1, 16)]), 4);
    // A block that ends in what is not shared is not shareable.
    check((16, &[(1, 10)]), (16, &[(1, 10)]), 2);
    check((16, &[(1, 8)]), (16, &[(2, 8)]), 0);
    check((16, &[(1, 6), (2, 6)]), (16, &[(1, 6), (2, 6)]), 3);
    check((16, &[(1, 6), (2, 6)]), (16, &[(1, 6), (3, 6)]), 1);
    // The same tokens after another beginning are another prefix.
    check((16, &[(1, 4), (2, 8)]), (16, &[(3, 4), (2, 8)]), 0);
    // A longer stretch of the same segment begins with the shorter one.
    check((16, &[(1, 8)]), (16, &[(1, 16)]), 2);
    // Segments end with the prompt.
    check((10, &[(1, 100)]), (16, &[(1, 100)]), 2);
    check((16, &[(1, 0), (2, 8)]), (16, &[(2, 8)]), 2);
}

#[test]
fn cached_blocks_are_found_held_or_idle() {
    let mut pool = pool(10, &[(16, &[(1, 12)]), (16, &[(1, 12)])]);
    assert_eq!(compute(&mut pool, 0, 16), PrefixHit { blocks: 0, idle: 0 });
    assert_eq!(pool.prefix_hit(1, 3), PrefixHit { blocks: 3, idle: 0 });
    assert_eq!(pool.prefix_hit(1, 2), PrefixHit { blocks: 2, idle: 0 }, "no more than asked for");
    pool.release(0);
    assert_eq!(pool.prefix_hit(1, 3), PrefixHit { blocks: 3, idle: 3 });
    compute(&mut pool, 1, 16);
    assert_eq!((pool.free(), pool.held_blocks()), (6, 4));
    pool.release(1);
    assert_eq!((pool.free(), pool.held_blocks()), (10, 0));
}

#[test]
fn shared_blocks_are_free_when_their_last_holder_leaves() {
    let mut pool = pool(10, &[(8, &[(1, 8)]), (12, &[(1, 8)])]);
    compute(&mut pool, 0, 8);
    compute(&mut pool, 1, 12);
    assert_eq!(pool.free(), 7);
    pool.release(0);
    assert_eq!((pool.free(), pool.held_blocks()), (7, 3));
    pool.release(1);
    assert_eq!(pool.free(), 10);
}

/// Fresh blocks first, then the least recently used; of one request the last block first.
#[test]
fn the_least_recently_used_block_is_evicted_first() {
    let mut pool = pool(6, &[(12, &[(1, 12)]), (8, &[(2, 8)]), (4, &[])]);
    compute(&mut pool, 0, 12);
    compute(&mut pool, 1, 8);
    pool.release(0);
    pool.release(1);
    let cached = |pool: &KeyedPool| (pool.prefix_hit(0, 3).blocks, pool.prefix_hit(1, 2).blocks);
    for expected in [(3, 2), (2, 2), (1, 2), (0, 2), (0, 1), (0, 0)] {
        pool.allocate(2, 1);
        assert_eq!(cached(&pool), expected);
    }
    assert_eq!(pool.free(), 0);
}

#[test]
fn a_hit_makes_a_block_recently_used() {
    let mut pool = pool(4, &[(5, &[(1, 4)]), (5, &[(2, 4)]), (5, &[(1, 4)]), (8, &[])]);
    for request in [0, 1, 2] {
        compute(&mut pool, request, 5);
        pool.release(request);
    }
    // In the queue: 1's and 0's tails, 1's shared block, then what 2 touched.
    pool.allocate(3, 2);
    assert_eq!((pool.prefix_hit(0, 1).blocks, pool.prefix_hit(1, 1).blocks), (1, 0));
}

#[test]
fn of_equal_blocks_the_first_is_found() {
    let mut pool = pool(8, &[(8, &[(1, 8)]), (8, &[(1, 8)])]);
    for request in [0, 1] {
        pool.allocate(request, 2);
    }
    pool.publish(0, 2);
    pool.publish(1, 2);
    pool.release(1);
    assert_eq!(pool.prefix_hit(1, 2), PrefixHit { blocks: 2, idle: 0 });
}
