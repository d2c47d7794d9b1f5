//! The same workload with other requests: what a repeat is measured under.

use slotune_core::random::derive;

use super::{Replay, Size, Synthetic, Workload, WorkloadError};

impl Workload {
    /// The same workload with other requests: 0 is the workload itself, every further number another
    /// draw of it.
    ///
    /// Where requests are drawn from laws, they are drawn with another seed. A replayed window of a
    /// trace moves on by as many of its lengths to the trace's end, then to what lies before it; where the
    /// trace holds too few windows, they come again. A replay of a whole trace has no other draw and stays
    /// as it is.
    ///
    /// # Errors
    /// [`WorkloadError`] when the trace cannot be read.
    pub fn redrawn(&self, draw: u32) -> Result<Self, WorkloadError> {
        Ok(match self {
            same if draw == 0 => same.clone(),
            Self::Synthetic(synthetic) => {
                let seed = derive(synthetic.seed, "workload/draw", draw.into());
                Self::Synthetic(Synthetic { seed, ..synthetic.clone() })
            }
            Self::Replay(replay) => Self::Replay(replay.moved(draw)?),
        })
    }
}

impl Replay {
    /// The `draw`-th other window of the same trace, from 1.
    fn moved(&self, draw: u32) -> Result<Self, WorkloadError> {
        let trace = self.trace.trace()?;
        let start_s = match self.size {
            None => None,
            Some(Size::Requests(length)) => {
                let requests = &trace.requests;
                let first = requests.partition_point(|request| request.arrival_s < self.start_s);
                let window = other_window(draw, first as f64, length.into(), requests.len() as f64);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a whole number from 0 to the number of requests"
                )]
                window.map(|position| requests[position as usize].arrival_s)
            }
            Some(Size::DurationS(length_s)) => {
                other_window(draw, self.start_s, length_s, trace.span_s())
            }
        };
        Ok(Self { start_s: start_s.unwrap_or(self.start_s), ..self.clone() })
    }
}

/// Where the `draw`-th other window of that length begins: those after the first, the last of them where
/// it ends with the trace, then those before it, and around again. `None` where there is no other.
fn other_window(draw: u32, first: f64, length: f64, end: f64) -> Option<f64> {
    let positive = |number: f64| number.is_finite() && number > 0.0;
    if !positive(length) || !positive(end - length) {
        return None;
    }
    let whole = ((end - first) / length - 1.0).floor().max(0.0);
    let after = (1..).map(f64::from).take_while(move |&k: &f64| k <= whole);
    let after = after.map(move |k| first + k * length);
    let last = Some(end - length).filter(|&last| last > first + whole * length);
    let before = (0..).map(move |k| f64::from(k) * length);
    let before = before.take_while(move |start| start + length <= first);
    after.chain(last).chain(before).cycle().nth(draw.saturating_sub(1) as usize)
}
