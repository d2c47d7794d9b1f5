//! Metrics of one request, as its client saw it.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::RequestRecord;

/// Latencies of a completed request, in seconds; `None` for one that did not complete.
impl RequestRecord {
    /// E2E latency: intended send to last token.
    pub fn e2e_s(&self) -> Option<f64> {
        self.since_intended(self.last_token_s)
    }

    /// Time to first token: intended send to first token.
    pub fn ttft_s(&self) -> Option<f64> {
        self.since_intended(self.first_token_s)
    }

    /// Time per output token after the first: (E2E − TTFT) / (output tokens − 1). `None` also for
    /// an output of one token.
    pub fn tpot_s(&self) -> Option<f64> {
        let gaps = self.output_tokens.checked_sub(1).filter(|&gaps| gaps > 0)?;
        Some((self.e2e_s()? - self.ttft_s()?) / f64::from(gaps))
    }

    /// Inter-token latencies: the gaps between successive chunks, in order. Empty for a request
    /// that did not complete, and where chunk times were not kept.
    pub fn inter_token_latencies_s(&self) -> impl Iterator<Item = f64> {
        let times = if self.is_completed() { self.chunk_times_s.as_slice() } else { &[] };
        times.windows(2).map(|pair| pair[1] - pair[0])
    }

    fn since_intended(&self, time_s: Option<f64>) -> Option<f64> {
        time_s.filter(|_| self.is_completed()).map(|time_s| time_s - self.intended_s)
    }
}

/// Limits that a good request meets, all of them; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Slo {
    /// Longest time to first token, seconds.
    pub ttft_s: Option<f64>,
    /// Longest time per output token, seconds; a request of one token meets it.
    pub tpot_s: Option<f64>,
    /// Longest E2E latency, seconds.
    pub e2e_s: Option<f64>,
}

impl Slo {
    /// Whether there is any limit.
    pub fn has_limits(&self) -> bool {
        self.limits().any(|(_, limit)| limit.is_some())
    }

    /// Whether the request completed within every limit.
    pub fn is_met(&self, request: &RequestRecord) -> bool {
        let within = |value: Option<f64>, limit: Option<f64>| match (value, limit) {
            (Some(value), Some(limit)) => value <= limit,
            _ => true,
        };
        request.is_completed()
            && within(request.ttft_s(), self.ttft_s)
            && within(request.tpot_s(), self.tpot_s)
            && within(request.e2e_s(), self.e2e_s)
    }

    /// These limits, and those of another where there is none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            ttft_s: self.ttft_s.or(other.ttft_s),
            tpot_s: self.tpot_s.or(other.tpot_s),
            e2e_s: self.e2e_s.or(other.e2e_s),
        }
    }

    /// Names and limits.
    pub(super) fn limits(&self) -> impl Iterator<Item = (&'static str, Option<f64>)> {
        [("ttft_s", self.ttft_s), ("tpot_s", self.tpot_s), ("e2e_s", self.e2e_s)].into_iter()
    }
}

/// One limit, as `e2e_s=2`.
impl FromStr for Slo {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let advice = || {
            "give a limit and seconds, such as e2e_s=2; the limits are ttft_s, tpot_s and e2e_s"
                .to_owned()
        };
        let (name, seconds) = text.split_once('=').ok_or_else(advice)?;
        let limit = Some(seconds.parse().map_err(|_| advice())?);
        match name {
            "ttft_s" => Ok(Self { ttft_s: limit, ..Self::default() }),
            "tpot_s" => Ok(Self { tpot_s: limit, ..Self::default() }),
            "e2e_s" => Ok(Self { e2e_s: limit, ..Self::default() }),
            _ => Err(advice()),
        }
    }
}
