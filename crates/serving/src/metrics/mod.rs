//! Metrics made from request records: every formula once.

/// x
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let rank = last as f64 * percent / 100.0;
    let k = (rank.floor() as usize).min(last);
    let next = sorted[(k + 1).min(last)];
    Some(sorted[k] + (rank - k as f64) * (next - sorted[k]))
}
