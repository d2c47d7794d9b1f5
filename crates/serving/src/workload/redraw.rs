//! Other requests of the same workload.

use std::path::Path;

use rand::RngExt;
use slotune_core::random::{derive, stream};

use super::{Lengths, Replay, Schedule, Size, Synthetic, TraceSource, Workload, WorkloadError};

impl Workload {
    /// The requests of a draw of the workload: 0 is the workload itself, every further number has others.
    ///
    /// Where requests are drawn from laws, they are drawn with another seed. A replayed window of a
    /// trace moves on by as many of its lengths to the trace's end, then to what lies before it. Where the
    /// trace holds no further window, its windows come again, the first one first, and their requests change
    /// places: arrivals stay, and which request comes when is drawn.
    ///
    /// # Errors
    /// As [`schedule`](Self::schedule).
    pub fn draw(&self, number: u32) -> Result<Schedule, WorkloadError> {
        if number == 0 {
            return self.schedule();
        }
        match self {
            Self::Synthetic(synthetic) => {
                let seed = derive(synthetic.seed, "workload/draw", number.into());
                Self::Synthetic(Synthetic { seed, ..synthetic.clone() }).schedule()
            }
            Self::Replay(replay) => replay.draw(number),
            Self::OfEachTrial { .. } => self.schedule(),
        }
    }

    /// The same workload, its traces named as from `folder`: without the folder where they are in it.
    #[must_use]
    pub fn relative_to(&self, folder: &Path) -> Self {
        let mut workload = self.clone();
        let trace = match &mut workload {
            Self::Replay(replay) => Some(&mut replay.trace),
            Self::Synthetic(Synthetic { lengths: Lengths::Empirical { from }, .. }) => Some(from),
            Self::Synthetic(_) | Self::OfEachTrial { .. } => None,
        };
        if let Some(TraceSource::File(path)) = trace
            && let Ok(within) = path.strip_prefix(folder)
        {
            *path = within.to_owned();
        }
        workload
    }
}

impl Replay {
    /// The requests of the `number`-th other draw, from 1.
    fn draw(&self, number: u32) -> Result<Schedule, WorkloadError> {
        let windows = self.other_windows()?;
        let from = |start_s| Self { start_s, ..self.clone() }.schedule();
        let position = number as usize - 1;
        if let Some(&start_s) = windows.get(position) {
            return from(start_s);
        }
        let again = (position - windows.len()) % (windows.len() + 1);
        let mut schedule = from(if again == 0 { self.start_s } else { windows[again - 1] })?;
        let mut random = stream(0, "workload/places", number.into());
        for i in (1..schedule.requests.len()).rev() {
            let other = random.random_range(0..=i);
            let arrivals = [i, other].map(|place| schedule.requests[place].arrival_s);
            schedule.requests.swap(i, other);
            [schedule.requests[i].arrival_s, schedule.requests[other].arrival_s] = arrivals;
        }
        Ok(schedule)
    }

    /// Where the other windows of the same trace start, seconds.
    fn other_windows(&self) -> Result<Vec<f64>, WorkloadError> {
        let trace = self.trace.trace()?;
        Ok(match self.size {
            None => Vec::new(),
            Some(Size::Requests(length)) => {
                let requests = &trace.requests;
                let first = requests.partition_point(|request| request.arrival_s < self.start_s);
                let windows = windows(first as f64, length.into(), requests.len() as f64);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a whole number from 0 to the number of requests"
                )]
                let start_s = |position: f64| requests[position as usize].arrival_s;
                windows.map(start_s).collect()
            }
            Some(Size::DurationS(length_s)) => {
                windows(self.start_s, length_s, trace.span_s()).collect()
            }
        })
    }
}

/// Where the other windows of that length begin: those after the first, the last of them where it ends
/// with the trace, then those before it.
fn windows(first: f64, length: f64, end: f64) -> impl Iterator<Item = f64> {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    let has_others = positive(length) && positive(end - length);
    // More than anybody holds rounds of.
    let most = if has_others { 100_000 } else { 0 };
    let whole = ((end - first) / length - 1.0).floor().max(0.0);
    let after = (1..).map(f64::from).take_while(move |&k: &f64| k <= whole);
    let after = after.map(move |k| first + k * length);
    let last = Some(end - length).filter(|&last| last > first + whole * length);
    let before = (0..).map(move |k| f64::from(k) * length);
    let before = before.take_while(move |start| start + length <= first);
    after.chain(last).chain(before).take(most)
}
