//! One thread or two.

use std::thread;

/// How many threads a suggestion may take; more than two are not used. What it comes to does not
/// depend on them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads(pub(super) usize);

impl Default for Threads {
    /// Two.
    fn default() -> Self {
        Self(2)
    }
}

impl Threads {
    /// What two computations come to: side by side where they are large and there is a thread for each.
    pub(super) fn both<A, B: Send>(
        self,
        are_large: bool,
        here: impl FnOnce() -> A,
        beside: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        if self.0 < 2 || !are_large {
            return (here(), beside());
        }
        thread::scope(|scope| {
            let beside = scope.spawn(beside);
            (here(), beside.join().expect("a computation does not panic"))
        })
    }
}
