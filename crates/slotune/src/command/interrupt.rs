//! Ctrl-C: once ends after the trial under way, twice at once.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::{
    runtime::Builder,
    signal::unix::{SignalKind, signal},
};

use super::INTERRUPTED;

/// Sets what is returned at the first Ctrl-C, and ends the process at the second; at the first too
/// where what was returned is gone, since then no trial is under way. A server that was started ends
/// with the process.
pub(super) fn listen() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let watched = Arc::downgrade(&stop);
    // On a thread of its own: what trials run on ends before the page is written.
    thread::spawn(move || {
        // Where there are no signals, Ctrl-C ends the process as it always did.
        let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return };
        runtime.block_on(async {
            // One stream for all of them: one pressed between two would be missed.
            let Ok(mut presses) = signal(SignalKind::interrupt()) else { return };
            while presses.recv().await.is_some() {
                match pressed(&watched) {
                    Ending::AfterTheTrial => eprintln!(
                        "\nending after this trial, which is kept; Ctrl-C again ends at once"
                    ),
                    Ending::AtOnce => end(),
                }
            }
        });
    });
    stop
}

/// When a command ends that Ctrl-C was pressed in.
#[derive(Debug, PartialEq)]
enum Ending {
    AfterTheTrial,
    AtOnce,
}

fn pressed(watched: &Weak<AtomicBool>) -> Ending {
    match watched.upgrade() {
        Some(stop) if !stop.swap(true, Ordering::Relaxed) => Ending::AfterTheTrial,
        _ => Ending::AtOnce,
    }
}

#[expect(clippy::exit, reason = "a trial may take hours, and its thread cannot be asked")]
fn end() {
    std::process::exit(INTERRUPTED.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_asks_the_trial_to_end_and_the_second_or_one_after_the_trials_does_not_wait() {
        let stop = Arc::new(AtomicBool::new(false));
        let watched = Arc::downgrade(&stop);
        assert_eq!(pressed(&watched), Ending::AfterTheTrial);
        assert!(stop.load(Ordering::Relaxed));
        assert_eq!(pressed(&watched), Ending::AtOnce);
        stop.store(false, Ordering::Relaxed);
        drop(stop);
        assert_eq!(pressed(&watched), Ending::AtOnce, "nobody is asked any more");
    }
}
