//! The one place that looks at clocks: a real server is measured in real time.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now, on the monotonic clock that all times of a run are taken from.
#[expect(clippy::disallowed_methods, reason = "a real server is measured in real time")]
pub fn now() -> Instant {
    Instant::now()
}

/// Seconds from `origin` to `instant`; negative before it.
pub fn seconds_between(origin: Instant, instant: Instant) -> f64 {
    match instant.checked_duration_since(origin) {
        Some(after) => after.as_secs_f64(),
        None => -origin.duration_since(instant).as_secs_f64(),
    }
}

/// CPU time of all threads of this process since its start.
pub(crate) fn process_cpu() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

/// CPU time of the calling thread since its start.
pub(crate) fn thread_cpu() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// CPU clocks begin at 0 and never run backwards, so both parts are in range.
fn duration(time: Timespec) -> Duration {
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_a_sign() {
        let (origin, later) = (now(), now() + Duration::from_millis(1500));
        assert!(seconds_between(origin, later) >= 1.5);
        assert!(seconds_between(later, origin) <= -1.5);
    }

    #[test]
    fn the_process_has_used_at_least_what_its_thread_has() {
        let thread = thread_cpu();
        assert!(process_cpu() >= thread);
    }
}
