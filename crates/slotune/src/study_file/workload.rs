//! The workload of a study file.

use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use slotune_serving::{
    Workload,
    workload::{Arrivals, LengthLaw, Lengths, Replay, ReplayRate, Size, Synthetic, TraceSource},
};

use super::{FieldError, plan::positive};

/// What the clients send.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WorkloadTable {
    /// A recorded trace, played again.
    Trace(TraceTable),
    /// Drawn from laws.
    Synthetic(SyntheticTable),
}

/// A recorded trace, played again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceTable {
    /// `azure_llm_2023_conv`, which comes with slotune, or a CSV file of the Azure, BurstGPT or
    /// reduced Mooncake format; relative paths start at the study file.
    #[serde(default = "built_in_trace")]
    pub source: String,
    /// Mean arrival rate, requests/s; left out, the recorded one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// How many requests of the trace; left out, all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub requests: Option<u32>,
    /// Seconds of the trace that are passed over.
    #[serde(default)]
    pub start_s: f64,
}

/// Requests drawn from laws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["rate_per_s"] }, { "required": ["concurrency"] }]))]
pub struct SyntheticTable {
    /// Mean arrival rate of a Poisson process, requests/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_per_s: Option<f64>,
    /// Shape of gamma-distributed gaps instead of a Poisson process: below 1 burstier, above 1
    /// more even.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burstiness: Option<f64>,
    /// Requests in flight, the next sent when one ends, instead of arrivals at a rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub concurrency: Option<u32>,
    /// Length of prompts.
    pub prompt_tokens: Length,
    /// Length of outputs.
    pub output_tokens: Length,
    /// How many requests.
    #[schemars(range(min = 1))]
    pub requests: u32,
    /// Root of the random streams of arrivals and lengths; left out, the study's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A length in tokens, or a law of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a number of tokens, `[fewest, most]`, or `{ median = 200, sigma = 0.8, most = 4096 }`"
)]
pub enum Length {
    /// Always this many tokens.
    Fixed(u32),
    /// Each count from the first to the second equally often.
    Between([u32; 2]),
    /// A lognormal law.
    Lognormal(LognormalTable),
}

/// A lognormal law of lengths.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LognormalTable {
    /// Median, tokens.
    pub median: f64,
    /// Standard deviation of the logarithm.
    pub sigma: f64,
    /// Most tokens; longer draws count as this many.
    pub most: u32,
}

fn built_in_trace() -> String {
    "azure_llm_2023_conv".to_owned()
}

impl WorkloadTable {
    /// The workload; relative paths start at `folder`.
    pub(super) fn workload(&self, folder: &Path, seed: u64) -> Result<Workload, FieldError> {
        match self {
            Self::Trace(table) => table.replay(["workload", "trace"], folder).map(Workload::Replay),
            Self::Synthetic(table) => {
                table.synthetic(["workload", "synthetic"], seed).map(Workload::Synthetic)
            }
        }
    }
}

impl TraceTable {
    /// The replay; the table stands at this path, relative paths start at `folder`.
    pub(super) fn replay(&self, at: [&str; 2], folder: &Path) -> Result<Replay, FieldError> {
        let field = |name| [at[0], at[1], name];
        positive(&field("rate_per_s"), self.rate_per_s)?;
        check_count(&field("requests"), self.requests)?;
        if !(self.start_s.is_finite() && self.start_s >= 0.0) {
            let problem = format!("is {}, but must be a finite number, 0 or more", self.start_s);
            return Err(FieldError::new(field("start_s"), problem));
        }
        Ok(Replay {
            trace: if self.source == built_in_trace() {
                TraceSource::AzureConversation2023
            } else {
                TraceSource::File(folder.join(&self.source))
            },
            start_s: self.start_s,
            size: self.requests.map(Size::Requests),
            rate: self.rate_per_s.map_or(ReplayRate::Recorded, ReplayRate::MeanPerS),
        })
    }
}

impl SyntheticTable {
    /// The workload; the table stands at this path.
    pub(super) fn synthetic(&self, at: [&str; 2], seed: u64) -> Result<Synthetic, FieldError> {
        let field = |name| [at[0], at[1], name];
        let error = |name, problem: &str| Err(FieldError::of_name(field(name), problem));
        positive(&field("rate_per_s"), self.rate_per_s)?;
        positive(&field("burstiness"), self.burstiness)?;
        check_count(&field("concurrency"), self.concurrency)?;
        check_count(&field("requests"), Some(self.requests))?;
        self.prompt_tokens.check().map_err(|p| FieldError::new(field("prompt_tokens"), p))?;
        self.output_tokens.check().map_err(|p| FieldError::new(field("output_tokens"), p))?;
        let arrivals = match (self.rate_per_s, self.burstiness, self.concurrency) {
            (Some(rate_per_s), None, None) => Arrivals::Poisson { rate_per_s },
            (Some(rate_per_s), Some(burstiness), None) => {
                Arrivals::Gamma { rate_per_s, burstiness }
            }
            (None, None, Some(concurrency)) => Arrivals::Closed { concurrency },
            (_, Some(_), Some(_)) => {
                return error("burstiness", "needs arrivals at a rate; drop it or `concurrency`");
            }
            (Some(_), None, Some(_)) => {
                return error("concurrency", "stands beside `rate_per_s`; give one of the two");
            }
            (None, _, None) => {
                let problem = "says not when requests arrive; give `rate_per_s` or `concurrency`";
                return Err(FieldError::new(at, problem));
            }
        };
        Ok(Synthetic {
            arrivals,
            lengths: Lengths::Independent {
                prompt: self.prompt_tokens.law(),
                output: self.output_tokens.law(),
            },
            size: Size::Requests(self.requests),
            seed: self.seed.unwrap_or(seed),
        })
    }
}

/// A number of requests, where one is given, must not be 0.
pub(super) fn check_count(path: &[&str], count: Option<u32>) -> Result<(), FieldError> {
    match count {
        Some(0) => Err(FieldError::new(path.iter().copied(), "is 0; give 1 or more")),
        _ => Ok(()),
    }
}

impl Length {
    /// What is wrong with it, and the remedy, if anything.
    fn check(self) -> Result<(), &'static str> {
        match self {
            Self::Fixed(0) | Self::Between([0, _]) => Err("may be 0 tokens; give 1 or more"),
            Self::Between([fewest, most]) if fewest > most => {
                Err("has its ends swapped; give the fewest tokens first")
            }
            Self::Lognormal(LognormalTable { most: 0, .. }) => {
                Err("may be 0 tokens; let `most` be 1 or more")
            }
            Self::Lognormal(LognormalTable { median, sigma, .. })
                if !(median > 0.0 && sigma > 0.0 && (median + sigma).is_finite()) =>
            {
                Err("needs a `median` and a `sigma` that are finite and above 0")
            }
            _ => Ok(()),
        }
    }

    fn law(self) -> LengthLaw {
        match self {
            Self::Fixed(tokens) => LengthLaw::Fixed(tokens),
            Self::Between([min_tokens, max_tokens]) => {
                LengthLaw::Uniform { min_tokens, max_tokens }
            }
            Self::Lognormal(LognormalTable { median, sigma, most }) => {
                LengthLaw::Lognormal { median_tokens: median, sigma, max_tokens: most }
            }
        }
    }
}
