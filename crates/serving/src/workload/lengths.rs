//! How long prompts and outputs are.

use std::{collections::BTreeMap, fmt};

use rand::RngExt;
use rand_distr::{Distribution, LogNormal};
use serde::{Deserialize, Serialize};
use slotune_core::random::{Pcg64, stream};

use super::{LengthClass, TraceSource, WorkloadError, error::positive};

/// The joint law of prompt and output lengths.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Lengths {
    /// Prompts and outputs each by their own law.
    Independent {
        /// Law of prompt lengths.
        prompt: LengthLaw,
        /// Law of output lengths.
        output: LengthLaw,
    },
    /// Outputs by class: each class its share of the requests, lengths within it uniform.
    ByClass {
        /// Law of prompt lengths.
        prompt: LengthLaw,
        /// Share of the requests by class, 0 to 1; together 1.
        shares: BTreeMap<LengthClass, f64>,
        /// Longest output, which bounds the class of the longest, tokens.
        max_output_tokens: u32,
    },
    /// Pairs of lengths drawn from the rows of a file, so prompts and outputs keep their relation.
    Empirical {
        /// A trace, or a file of lengths only.
        from: TraceSource,
    },
}

/// The law of one length, in tokens.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LengthLaw {
    /// Always this many tokens.
    Fixed(u32),
    /// Each count between the two equally often.
    Uniform {
        /// Fewest tokens.
        min_tokens: u32,
        /// Most tokens.
        max_tokens: u32,
    },
    /// Lognormal, rounded, and put at the nearest end where it leaves 1 to `max_tokens`.
    Lognormal {
        /// Median, tokens.
        median_tokens: f64,
        /// Standard deviation of the natural logarithm.
        sigma: f64,
        /// Most tokens.
        max_tokens: u32,
    },
}

/// Lengths of one request, tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LengthPair {
    pub(super) prompt_tokens: u32,
    pub(super) output_tokens: u32,
}

/// Draws a length, in tokens.
type Draw = Box<dyn FnMut() -> u32>;

impl Lengths {
    /// Lengths of `count` requests. Prompts, outputs and classes each have their own stream.
    pub(super) fn draw(&self, count: usize, seed: u64) -> Result<Vec<LengthPair>, WorkloadError> {
        let prompts = || stream(seed, "workload/prompt_tokens", 0);
        let outputs = stream(seed, "workload/output_tokens", 0);
        let (mut prompt, mut output): (Draw, Draw) = match self {
            Self::Independent { prompt, output } => {
                (prompt.sampler("prompt", prompts())?, output.sampler("output", outputs)?)
            }
            Self::ByClass { prompt, shares, max_output_tokens } => {
                let classes = stream(seed, "workload/classes", 0);
                (
                    prompt.sampler("prompt", prompts())?,
                    by_class(shares, *max_output_tokens, classes, outputs)?,
                )
            }
            Self::Empirical { from } => {
                let rows = from.lengths()?;
                let mut generator = stream(seed, "workload/rows", 0);
                return Ok((0..count)
                    .map(|_| rows[generator.random_range(0..rows.len())])
                    .collect());
            }
        };
        Ok((0..count)
            .map(|_| LengthPair { prompt_tokens: prompt(), output_tokens: output() })
            .collect())
    }
}

fn by_class(
    shares: &BTreeMap<LengthClass, f64>,
    max_output_tokens: u32,
    mut classes: Pcg64,
    mut outputs: Pcg64,
) -> Result<Draw, WorkloadError> {
    let mut ranges = Vec::new();
    let mut total = 0.0;
    for (&class, &share) in shares {
        if !(0.0..=1.0).contains(&share) {
            return Err(WorkloadError::Share { class: class.name(), share });
        }
        let (least, most) = (*class.output_tokens().start(), *class.output_tokens().end());
        if share > 0.0 && max_output_tokens < least {
            return Err(WorkloadError::Number {
                field: "max_output_tokens",
                value: max_output_tokens.into(),
                allowed: "at least the fewest tokens of every class that has a share",
            });
        }
        total += share;
        if share > 0.0 {
            ranges.push((total, least..=most.min(max_output_tokens)));
        }
    }
    if (total - 1.0).abs() > 1e-6 {
        return Err(WorkloadError::Shares { total });
    }
    let last = ranges.len() - 1;
    Ok(Box::new(move || {
        let u: f64 = classes.random();
        // Rounding may leave the total a little below u.
        let class = ranges.iter().position(|(end, _)| u < *end).unwrap_or(last);
        outputs.random_range(ranges[class].1.clone())
    }))
}

impl LengthLaw {
    /// A source of lengths; `side` is `prompt` or `output`, for errors.
    fn sampler(self, side: &'static str, mut generator: Pcg64) -> Result<Draw, WorkloadError> {
        let none = WorkloadError::NoTokens { side };
        Ok(match self {
            Self::Fixed(0)
            | Self::Uniform { min_tokens: 0, .. }
            | Self::Lognormal { max_tokens: 0, .. } => {
                return Err(none);
            }
            Self::Fixed(tokens) => Box::new(move || tokens),
            Self::Uniform { min_tokens, max_tokens } => {
                if min_tokens > max_tokens {
                    return Err(WorkloadError::Crossed { side, min_tokens, max_tokens });
                }
                Box::new(move || generator.random_range(min_tokens..=max_tokens))
            }
            Self::Lognormal { median_tokens, sigma, max_tokens } => {
                let median = positive("median_tokens", median_tokens)?;
                let law = LogNormal::new(median.ln(), positive("sigma", sigma)?)
                    .expect("a positive finite sigma has a lognormal law");
                Box::new(move || {
                    let tokens =
                        law.sample(&mut generator).round().clamp(1.0, f64::from(max_tokens));
                    #[expect(
                        clippy::cast_possible_truncation,
                        clippy::cast_sign_loss,
                        reason = "a whole number between 1 and a u32"
                    )]
                    let tokens = tokens as u32;
                    tokens
                })
            }
        })
    }
}

impl fmt::Display for Lengths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Independent { prompt, output } => write!(f, "prompts {prompt}, outputs {output}"),
            Self::ByClass { prompt, shares, max_output_tokens } => {
                write!(f, "prompts {prompt}, outputs up to {max_output_tokens} tokens:")?;
                for (i, (class, share)) in shares.iter().enumerate() {
                    let separator = if i == 0 { "" } else { "," };
                    write!(f, "{separator} {}% {}", (share * 1000.0).round() / 10.0, class.name())?;
                }
                Ok(())
            }
            Self::Empirical { from } => write!(f, "lengths drawn from {from}"),
        }
    }
}

impl fmt::Display for LengthLaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(tokens) => write!(f, "{tokens} tokens"),
            Self::Uniform { min_tokens, max_tokens } => {
                write!(f, "{min_tokens} to {max_tokens} tokens")
            }
            Self::Lognormal { median_tokens, sigma, max_tokens } => {
                write!(
                    f,
                    "lognormal (median {median_tokens}, sigma {sigma}, up to {max_tokens} tokens)"
                )
            }
        }
    }
}
