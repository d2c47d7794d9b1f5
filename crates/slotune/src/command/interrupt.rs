//! Ctrl-C: once ends after the trial under way, twice at once.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use super::INTERRUPTED;

/// Sets what is returned at the first Ctrl-C, and ends the process at the second. A server that was
/// started ends with the process. Must be called within a runtime.
pub(super) fn listen() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&stop);
    tokio::spawn(async move {
        // Where there are no signals, Ctrl-C ends the process as it always did.
        if tokio::signal::ctrl_c().await.is_ok() {
            flag.store(true, Ordering::Relaxed);
            eprintln!("\nending after this trial, which is kept; Ctrl-C again ends at once");
            if tokio::signal::ctrl_c().await.is_ok() {
                end();
            }
        }
    });
    stop
}

#[expect(clippy::exit, reason = "a trial may take hours, and its thread cannot be asked")]
fn end() {
    std::process::exit(INTERRUPTED.into());
}
