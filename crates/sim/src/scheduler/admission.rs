//! When a waiting request may join the running ones.

use crate::InputError;

/// When a waiting request may join the running ones. The default is vLLM's.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Admission {
    /// Whether all its tokens so far must fit into the free KV-cache blocks, not only those of its
    /// first step; vLLM's `scheduler_reserve_full_isl`.
    pub reserves_full_prompt: bool,
    /// Share of all blocks, 0 to below 1, that it must leave free unless nothing else runs; vLLM's
    /// `watermark`.
    pub watermark: f64,
}

impl Default for Admission {
    fn default() -> Self {
        Self { reserves_full_prompt: true, watermark: 0.0 }
    }
}

impl Admission {
    pub(crate) fn check(&self) -> Result<(), InputError> {
        let (field, value) = ("watermark", self.watermark);
        if (0.0..1.0).contains(&value) {
            Ok(())
        } else {
            Err(InputError::Number { field, value, allowed: "at least 0 and below 1" })
        }
    }

    /// Blocks that an admission leaves free, of a cache with `usable` ones and vLLM's unused one.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a u32")]
    pub(super) fn watermark_blocks(&self, usable: u32) -> u32 {
        (self.watermark * (f64::from(usable) + 1.0)) as u32
    }
}
