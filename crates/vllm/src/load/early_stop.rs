//! Whether a run need not go on: its outcome is decided, or the server does not keep up.

use std::collections::BTreeMap;

use slotune_serving::{Caveat, CaveatClass, GiveUp, Latency, Load, Schedule};

use super::{Options, Report};

/// Ends that a rate of completion is taken from, at least.
const LEAST_ENDS: usize = 10;

/// Hears what happens to requests and says when the run need not go on. Times are seconds from
/// the origin.
#[derive(Debug)]
pub(super) struct EarlyStop {
    scheduled: usize,
    watches: Vec<Watch>,
    overrun: Option<Overrun>,
    sent: usize,
    /// When requests ended, in order.
    ends_s: Vec<f64>,
}

/// What is known of a limit.
#[derive(Debug)]
struct Watch {
    give_up: GiveUp,
    /// Of how many of the first requests.
    counted: usize,
    /// Requests that ended beyond it.
    exceeded: usize,
    /// Intended times of requests under way that may yet exceed it.
    awaited: BTreeMap<u32, f64>,
}

/// When an open loop must have ended.
#[derive(Clone, Copy, Debug)]
struct Overrun {
    last_arrival_s: f64,
    limit_s: f64,
}

impl EarlyStop {
    pub(super) fn new(schedule: &Schedule, options: &Options) -> Self {
        let arrivals = schedule.requests.iter().map(|request| request.arrival_s);
        let last_arrival_s = arrivals.fold(0.0, f64::max);
        let overrun = Overrun { last_arrival_s, limit_s: options.overrun_limit_s };
        let scheduled = schedule.requests.len();
        let watch = |give_up: &GiveUp| Watch {
            give_up: *give_up,
            counted: give_up.counted(scheduled),
            exceeded: 0,
            awaited: BTreeMap::new(),
        };
        Self {
            scheduled,
            watches: options.give_up.iter().map(watch).collect(),
            overrun: (schedule.load == Load::Open).then_some(overrun),
            sent: 0,
            ends_s: vec![],
        }
    }

    pub(super) fn hear(&mut self, report: &Report) {
        self.watches.iter_mut().for_each(|watch| watch.hear(report));
        match report {
            Report::Sent { .. } => self.sent += 1,
            Report::FirstToken { .. } => {}
            Report::Ended { at_s, .. } => self.ends_s.push(*at_s),
        }
    }

    /// Why the run need not go on, if so.
    pub(super) fn verdict(&self, now_s: f64) -> Option<Caveat> {
        let decided = self.watches.iter().find(|watch| watch.is_decided(now_s, self.scheduled));
        decided
            .map(|watch| watch.give_up.caveat(now_s, self.scheduled))
            .or_else(|| self.overload(now_s))
    }

    fn overload(&self, now_s: f64) -> Option<Caveat> {
        let Overrun { last_arrival_s, limit_s } = self.overrun?;
        let backlog = self.sent - self.ends_s.len();
        if now_s > last_arrival_s + limit_s && self.ends_s.len() < self.scheduled {
            let message = format!(
                "stopped {limit_s:.0} s after the last arrival: {backlog} of {} requests had not ended",
                self.scheduled,
            );
            return Some(Caveat::new(CaveatClass::Overload, message));
        }
        if 4 * self.sent < self.scheduled {
            return None;
        }
        let rate_per_s = self.completion_rate_per_s(now_s)?;
        let drain_s = backlog as f64 / rate_per_s;
        (now_s + drain_s > last_arrival_s + limit_s).then(|| {
            let message = format!(
                "stopped after {now_s:.1} s: {backlog} requests under way at {rate_per_s:.2} completions/s take {drain_s:.0} s, which is more than {limit_s:.0} s after the last arrival at {last_arrival_s:.1} s",
            );
            Caveat::new(CaveatClass::Overload, message)
        })
    }

    /// Requests that ended per second, lately: in the second half of the time so far, and not
    /// before the first end, since nothing can end sooner than it takes. `None` while there are
    /// too few to tell.
    fn completion_rate_per_s(&self, now_s: f64) -> Option<f64> {
        let from_s = self.ends_s.first()?.max(0.5 * now_s);
        let before = self.ends_s.partition_point(|&end_s| end_s <= from_s);
        let ends = self.ends_s.len() - before;
        (ends >= LEAST_ENDS && now_s > from_s).then(|| ends as f64 / (now_s - from_s))
    }
}

impl Watch {
    fn hear(&mut self, report: &Report) {
        match report {
            Report::Sent { index, intended_s } => {
                if (*index as usize) < self.counted {
                    self.awaited.insert(*index, *intended_s);
                }
            }
            Report::FirstToken { index } => {
                // What follows the first token does not change how late that was: it is told with
                // the record, if the request completes.
                if self.give_up.latency == Latency::Ttft {
                    self.awaited.remove(index);
                }
            }
            Report::Ended { record, .. } => {
                self.awaited.remove(&record.index);
                let counts = (record.index as usize) < self.counted;
                self.exceeded += usize::from(counts && self.give_up.is_exceeded_by(record));
            }
        }
    }

    fn is_decided(&self, now_s: f64, scheduled: usize) -> bool {
        let above_s = self.give_up.above_s;
        let waiting = self.awaited.values().filter(|&&since_s| now_s - since_s > above_s).count();
        self.exceeded + waiting > self.give_up.tolerated(scheduled)
    }
}

#[cfg(test)]
mod tests {
    use slotune_serving::{RequestRecord, RequestSpec, RequestStatus};

    use super::*;

    /// Ten requests a second for a hundred seconds.
    fn schedule(load: Load) -> Schedule {
        let request = |i| RequestSpec {
            arrival_s: 0.1 * f64::from(i),
            prompt_tokens: 8,
            output_tokens: 2,
            shared_prefix: vec![],
        };
        Schedule { load, requests: (0..1000).map(request).collect() }
    }

    fn early_stop(load: Load, give_up: Option<GiveUp>) -> EarlyStop {
        let give_up = give_up.into_iter().collect();
        let options = Options { give_up, overrun_limit_s: 30.0, ..Options::new("m", 0..9) };
        EarlyStop::new(&schedule(load), &options)
    }

    fn ended(index: u32, intended_s: f64, e2e_s: f64, status: RequestStatus) -> Report {
        let at_s = intended_s + e2e_s;
        let record = RequestRecord {
            index,
            prompt_tokens: 8,
            output_tokens: 2,
            intended_s,
            sent_s: intended_s,
            first_token_s: Some(intended_s + 0.5 * e2e_s),
            last_token_s: Some(at_s),
            queue_time_s: None,
            chunk_times_s: vec![],
            status,
        };
        Report::Ended { record, lacks_usage: false, at_s }
    }

    /// Plays the schedule against a server with this time for each request and so many at once;
    /// when and why the run was stopped.
    fn play(mut early_stop: EarlyStop, service_s: f64, slots: usize) -> Option<(f64, Caveat)> {
        let mut free_s = vec![0.0; slots];
        let mut events = vec![];
        for index in 0..1000 {
            let arrival_s = 0.1 * f64::from(index);
            let slot = free_s.iter_mut().min_by(|a: &&mut f64, b| a.total_cmp(b)).expect("a slot");
            *slot = slot.max(arrival_s) + service_s;
            let e2e_s = *slot - arrival_s;
            events.push((arrival_s, Report::Sent { index, intended_s: arrival_s }));
            events.push((*slot, ended(index, arrival_s, e2e_s, RequestStatus::Completed)));
        }
        events.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (mut events, mut now_s) = (events.iter().peekable(), 0.0);
        while events.peek().is_some() {
            while let Some((_, report)) = events.next_if(|(at_s, _)| *at_s <= now_s) {
                early_stop.hear(report);
            }
            if let Some(caveat) = early_stop.verdict(now_s) {
                return Some((now_s, caveat));
            }
            now_s += 0.1;
        }
        None
    }

    #[test]
    fn a_server_that_ends_in_time_is_left_alone_however_slow_each_request_is() {
        for (service_s, slots) in [(0.05, 1), (2.0, 20), (29.0, 290), (29.0, 1000)] {
            assert_eq!(play(early_stop(Load::Open, None), service_s, slots), None, "{service_s}");
        }
    }

    #[test]
    fn a_server_that_drowns_is_stopped_long_before_the_end_and_in_numbers() {
        let (at_s, caveat) = play(early_stop(Load::Open, None), 1.0, 3).expect("stopped");
        assert_eq!(caveat.class, CaveatClass::Overload);
        assert!((25.0..70.0).contains(&at_s), "stopped after {at_s} s");
        assert!(caveat.message.contains("at 2.96 completions/s"), "{}", caveat.message);
    }

    #[test]
    fn a_run_past_its_overrun_limit_is_stopped() {
        let mut stop = early_stop(Load::Open, None);
        stop.hear(&Report::Sent { index: 0, intended_s: 0.0 });
        assert_eq!(stop.verdict(129.0), None);
        let caveat = stop.verdict(130.0).expect("stopped");
        assert!(caveat.message.contains("1 of 1000 requests had not ended"), "{}", caveat.message);
        assert_eq!(early_stop(Load::Closed { concurrency: 2 }, None).verdict(1e6), None);
    }

    #[test]
    fn a_percentile_is_decided_by_those_that_ended_and_those_still_waiting() {
        let give_up = GiveUp { of_first: None, latency: Latency::E2e, percent: 99.5, above_s: 1.0 };
        let tolerated = u32::try_from(give_up.tolerated(1000)).expect("few");
        let mut stop = early_stop(Load::Open, Some(give_up));
        for index in 0..=tolerated {
            stop.hear(&Report::Sent { index, intended_s: 0.0 });
        }
        assert_eq!(stop.verdict(1.0), None);
        let caveat = stop.verdict(1.01).expect("decided");
        assert_eq!(caveat.class, CaveatClass::Decided);
        assert!(
            caveat.message.contains("6 of 1000 requests took longer than 1.000 s"),
            "{}",
            caveat.message
        );

        stop.hear(&ended(0, 0.0, 1.5, RequestStatus::Completed));
        assert!(stop.verdict(1.6).is_some(), "ended beyond the limit");
        stop.hear(&ended(1, 0.0, 1.5, RequestStatus::Failed("broke".to_owned())));
        assert_eq!(stop.verdict(1.6), None, "a failure has no latency");
    }

    #[test]
    fn an_opening_is_decided_by_its_own_requests_alone() {
        let give_up =
            GiveUp { of_first: Some(20), latency: Latency::E2e, percent: 95.0, above_s: 1.0 };
        let mut stop = early_stop(Load::Open, Some(give_up));
        for index in 18..30 {
            stop.hear(&Report::Sent { index, intended_s: 0.0 });
        }
        stop.hear(&ended(25, 0.0, 0.5, RequestStatus::Completed));
        stop.hear(&ended(26, 0.0, 9.0, RequestStatus::Completed));
        assert_eq!(stop.verdict(1.0), None, "those after the first 20 do not count");
        let caveat = stop.verdict(1.1).expect("two of the first 20 wait too long");
        assert!(caveat.message.contains("2 of the first 20 requests"), "{}", caveat.message);
    }

    #[test]
    fn a_first_token_in_time_cannot_exceed_a_limit_of_ttft_any_more() {
        let give_up =
            GiveUp { of_first: None, latency: Latency::Ttft, percent: 100.0, above_s: 1.0 };
        let mut stop = early_stop(Load::Open, Some(give_up));
        stop.hear(&Report::Sent { index: 0, intended_s: 0.0 });
        stop.hear(&Report::FirstToken { index: 0 });
        assert_eq!(stop.verdict(5.0), None);
        stop.hear(&ended(0, 0.0, 3.0, RequestStatus::Completed));
        assert!(stop.verdict(5.0).is_some(), "TTFT was 1.5 s");
    }
}
