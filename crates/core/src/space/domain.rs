//! The values that one parameter may take.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Value;
use crate::objective::Scale;

/// Integers with at most this many values are searched by level index, larger ones by value.
const INDEXED_LEVELS: u64 = 20;

/// The values that one parameter may take.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Domain {
    /// Real numbers from `low` to `high`, both included.
    Float {
        /// Smallest value.
        low: f64,
        /// Largest value.
        high: f64,
        /// How distance between values is measured.
        #[serde(default)]
        scale: Scale,
    },
    /// Whole numbers from `low` to `high`, both included.
    Integer {
        /// Smallest value.
        low: i64,
        /// Largest value.
        high: i64,
        /// How distance between values is measured.
        #[serde(default)]
        scale: Scale,
    },
    /// Listed values whose order means something, such as 256, 512, 1024.
    Levels {
        /// The values, smallest first.
        values: Vec<Value>,
    },
    /// Names without order.
    Categorical {
        /// The names.
        values: Vec<String>,
    },
    /// On or off.
    Boolean,
}

impl Domain {
    /// What is wrong with the domain and how to mend it, if anything.
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Self::Float { low, high, scale } => {
                if !(low.is_finite() && high.is_finite()) {
                    return Err(format!("bounds {low} to {high} are not finite; give numbers"));
                }
                check_bounds(*low, *high, *scale)
            }
            Self::Integer { low, high, scale } => check_bounds(*low as f64, *high as f64, *scale)
                .and_then(|()| {
                    // Values are handled as f64; beyond 2^53 neighbours would merge.
                    const EXACT: u64 = 1 << 53;
                    match low.unsigned_abs().max(high.unsigned_abs()) {
                        0..=EXACT => Ok(()),
                        _ => Err(format!("bounds {low} to {high} exceed ±2^53; scale the unit")),
                    }
                }),
            Self::Levels { values } => check_levels(values),
            Self::Categorical { values } => {
                if values.is_empty() {
                    return Err("no categories; list at least one".to_owned());
                }
                match values.iter().enumerate().find(|(i, value)| values[..*i].contains(value)) {
                    Some((_, twice)) => Err(format!("category `{twice}` is listed twice")),
                    None => Ok(()),
                }
            }
            Self::Boolean => Ok(()),
        }
    }

    /// Number of values; `None` for a continuous domain.
    pub fn size(&self) -> Option<u128> {
        match self {
            Self::Float { low, high, .. } => (low >= high).then_some(1),
            Self::Integer { low, high, .. } => {
                Some((i128::from(*high) - i128::from(*low) + 1).unsigned_abs())
            }
            Self::Levels { values } => Some(values.len() as u128),
            Self::Categorical { values } => Some(values.len() as u128),
            Self::Boolean => Some(2),
        }
    }

    /// Whether the value belongs to the domain.
    pub fn contains(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Float { low, high, .. }, value) => {
                value.number().is_some_and(|number| (*low..=*high).contains(&number))
            }
            (Self::Integer { low, high, .. }, Value::Integer(value)) => {
                (low..=high).contains(&value)
            }
            (Self::Levels { values }, value) => values.contains(value),
            (Self::Categorical { values }, Value::Text(value)) => values.contains(value),
            (Self::Boolean, Value::Boolean(_)) => true,
            _ => false,
        }
    }

    /// All values of a discrete domain, in order; only the bound of a continuous one.
    pub(super) fn values(&self) -> Box<dyn Iterator<Item = Value> + '_> {
        match self {
            Self::Float { low, .. } => Box::new(std::iter::once(Value::Float(*low))),
            Self::Integer { low, high, .. } => Box::new((*low..=*high).map(Value::Integer)),
            Self::Levels { values } => Box::new(values.iter().cloned()),
            Self::Categorical { values } => Box::new(values.iter().map(|v| Value::Text(v.clone()))),
            Self::Boolean => Box::new([false, true].into_iter().map(Value::Boolean)),
        }
    }

    /// Whether order and distance between values mean something.
    pub fn is_ordered(&self) -> bool {
        !matches!(self, Self::Categorical { .. } | Self::Boolean)
    }

    /// The largest value that is not above `number`, of a domain of numbers.
    pub(super) fn largest_up_to(&self, number: f64) -> Option<Value> {
        match self {
            Self::Float { low, high, .. } => {
                (*low <= number).then(|| Value::Float(number.min(*high)))
            }
            Self::Integer { low, high, .. } => (*low as f64 <= number)
                .then(|| Value::Integer(whole(number.floor().min(*high as f64)))),
            Self::Levels { values } => {
                let fits = |value: &&Value| value.number().is_some_and(|value| value <= number);
                values.iter().rev().find(fits).cloned()
            }
            Self::Categorical { .. } | Self::Boolean => None,
        }
    }

    /// The smallest value that is not below `number`, of a domain of numbers.
    pub(super) fn smallest_from(&self, number: f64) -> Option<Value> {
        match self {
            Self::Float { low, high, .. } => {
                (number <= *high).then(|| Value::Float(number.max(*low)))
            }
            Self::Integer { low, high, .. } => (number <= *high as f64)
                .then(|| Value::Integer(whole(number.ceil().max(*low as f64)))),
            Self::Levels { values } => {
                let fits = |value: &&Value| value.number().is_some_and(|value| value >= number);
                values.iter().find(fits).cloned()
            }
            Self::Categorical { .. } | Self::Boolean => None,
        }
    }

    /// Number of levels when the axis is indexed by level; `None` when it is scaled by value.
    pub(crate) fn levels(&self) -> Option<u64> {
        match self {
            Self::Float { .. } => None,
            Self::Integer { .. } => {
                self.size().and_then(|n| u64::try_from(n).ok()).filter(|&n| n <= INDEXED_LEVELS)
            }
            Self::Levels { .. } | Self::Categorical { .. } | Self::Boolean => {
                self.size().and_then(|n| u64::try_from(n).ok())
            }
        }
    }

    /// The value at `u` in [0, 1] when every level owns an equal share of the axis.
    pub(crate) fn at(&self, u: f64) -> Value {
        let u = u.clamp(0.0, 1.0);
        match (self, self.levels()) {
            (_, Some(levels)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 <= u <= 1"
                )]
                let index = ((u * levels as f64) as u64).min(levels - 1);
                self.level(index)
            }
            _ => self.nearest(u),
        }
    }

    /// The value whose coordinate is nearest to `u` in [0, 1].
    pub(crate) fn nearest(&self, u: f64) -> Value {
        let u = u.clamp(0.0, 1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "bounded by the domain"
        )]
        match (self, self.levels()) {
            (_, Some(levels)) => self.level((u * (levels - 1) as f64).round() as u64),
            (Self::Float { low, high, scale }, _) => {
                Value::Float(unscale(u, *low, *high, *scale).clamp(*low, *high))
            }
            (Self::Integer { low, high, scale }, _) => {
                let value = unscale(u, *low as f64, *high as f64, *scale).round() as i64;
                Value::Integer(value.clamp(*low, *high))
            }
            _ => unreachable!("every other domain is indexed by level"),
        }
    }

    /// The coordinate of a value in [0, 1], or `None` if the domain does not hold it.
    pub(crate) fn encode(&self, value: &Value) -> Option<f64> {
        if !self.contains(value) {
            return None;
        }
        let index = |position: Option<usize>| position.map(|p| p as f64);
        let level = match (self, value) {
            (Self::Float { low, high, scale }, value) => {
                return value.number().map(|number| rescale(number, *low, *high, *scale));
            }
            (Self::Integer { low, high, scale }, Value::Integer(value))
                if self.levels().is_none() =>
            {
                return Some(rescale(*value as f64, *low as f64, *high as f64, *scale));
            }
            (Self::Integer { low, .. }, Value::Integer(value)) => Some((value - low) as f64),
            (Self::Levels { values }, value) => index(values.iter().position(|v| v == value)),
            (Self::Categorical { values }, Value::Text(value)) => {
                index(values.iter().position(|v| v == value))
            }
            (Self::Boolean, Value::Boolean(value)) => Some(f64::from(u8::from(*value))),
            _ => None,
        }?;
        let top = self.levels()?.saturating_sub(1).max(1);
        Some(level / top as f64)
    }

    /// The value of that position in order, which is below the number of levels.
    fn level(&self, index: u64) -> Value {
        let position = usize::try_from(index).expect("levels are listed, or few");
        match self {
            Self::Float { .. } => unreachable!("a continuous axis has no levels"),
            Self::Integer { low, .. } => Value::Integer(low + index.cast_signed()),
            Self::Levels { values } => values[position].clone(),
            Self::Categorical { values } => Value::Text(values[position].clone()),
            Self::Boolean => Value::Boolean(index == 1),
        }
    }
}

/// A number that is whole and within ±2^53.
#[expect(clippy::cast_possible_truncation, reason = "integers of a domain are exact in f64")]
fn whole(number: f64) -> i64 {
    number as i64
}

fn check_bounds(low: f64, high: f64, scale: Scale) -> Result<(), String> {
    if low > high {
        return Err(format!("lower bound {low} is above upper bound {high}; swap them"));
    }
    if !(high - low).is_finite() {
        return Err(format!("bounds {low} and {high} are too far apart; scale the unit"));
    }
    if scale == Scale::Log && low <= 0.0 {
        return Err(format!(
            "a log scale needs a lower bound above 0, got {low}; raise it or use a linear scale"
        ));
    }
    Ok(())
}

fn check_levels(values: &[Value]) -> Result<(), String> {
    let Some(first) = values.first() else {
        return Err("no levels; list at least one".to_owned());
    };
    for (i, value) in values.iter().enumerate() {
        if value.kind() != first.kind() {
            return Err(format!("levels mix {} and {}; use one type", first.kind(), value.kind()));
        }
        if value.number().is_some_and(|number| !number.is_finite()) {
            return Err(format!("level {value} is not finite; give numbers"));
        }
        if values[..i].contains(value) {
            return Err(format!("level {value} is listed twice"));
        }
        if i > 0 && value.number() < values[i - 1].number() {
            return Err(format!("level {value} follows {}; list smallest first", values[i - 1]));
        }
    }
    Ok(())
}

/// Where `value` lies between `low` (0) and `high` (1).
fn rescale(value: f64, low: f64, high: f64, scale: Scale) -> f64 {
    let (value, low, high) = (scale.forward(value), scale.forward(low), scale.forward(high));
    if high > low { ((value - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 }
}

/// The inverse of [`rescale`].
fn unscale(u: f64, low: f64, high: f64, scale: Scale) -> f64 {
    let (low, high) = (scale.forward(low), scale.forward(high));
    scale.backward(low + u * (high - low))
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list(f: &mut fmt::Formatter<'_>, values: &[impl fmt::Display]) -> fmt::Result {
            for (i, value) in values.iter().enumerate() {
                write!(f, "{}{value}", if i == 0 { "one of " } else { ", " })?;
            }
            Ok(())
        }
        match self {
            Self::Float { low, high, scale } => write!(f, "float from {low} to {high}{scale}"),
            Self::Integer { low, high, scale } => write!(f, "integer from {low} to {high}{scale}"),
            Self::Levels { values } => list(f, values),
            Self::Categorical { values } => list(f, values),
            Self::Boolean => f.write_str("true or false"),
        }
    }
}
