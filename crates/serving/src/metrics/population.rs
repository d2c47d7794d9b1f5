//! Sorted values, each owned by a request, whose statistics follow from how often each request is
//! counted.

use super::{Statistic, statistics::Rank};

/// Values of requests, sorted once, so that a resample of the requests costs one walk and no sort.
#[derive(Debug)]
pub(super) struct Population {
    values: Vec<f64>,
    /// For each value, the position of its request.
    owners: Vec<u32>,
}

/// The statistics that are wanted of a population.
const PERCENTS: [(Statistic, f64); 3] =
    [(Statistic::P50, 50.0), (Statistic::P95, 95.0), (Statistic::P99, 99.0)];

impl Population {
    /// Values with the positions of their requests.
    pub(super) fn new(values: impl Iterator<Item = (u32, f64)>) -> Self {
        let mut pairs: Vec<(u32, f64)> = values.collect();
        pairs.sort_by(|(_, a), (_, b)| a.total_cmp(b));
        let (owners, values) = pairs.into_iter().unzip();
        Self { values, owners }
    }

    /// Hands `emit` all statistics of the values, each counted as often as its request; nothing
    /// where no value is counted.
    pub(super) fn statistics(&self, counts: &[u32], mut emit: impl FnMut(Statistic, f64)) {
        let (total, sum) = self.total(counts);
        if total == 0 {
            return;
        }
        emit(Statistic::Mean, sum / total as f64);
        self.percentiles(counts, total, &PERCENTS, emit);
    }

    /// The 95th percentile of the values, each counted as often as its request.
    pub(super) fn p95(&self, counts: &[u32]) -> Option<f64> {
        let (total, _) = self.total(counts);
        let mut p95 = None;
        self.percentiles(counts, total, &[(Statistic::P95, 95.0)], |_, value| p95 = Some(value));
        p95
    }

    /// How many values are counted, and their sum.
    fn total(&self, counts: &[u32]) -> (u64, f64) {
        self.values.iter().zip(&self.owners).fold((0, 0.0), |(total, sum), (value, &owner)| {
            let count = counts[owner as usize];
            (total + u64::from(count), sum + f64::from(count) * value)
        })
    }

    /// Percentiles in rising order, in one walk: the value at a rank is the first at which the
    /// running count passes it.
    fn percentiles(
        &self,
        counts: &[u32],
        total: u64,
        percents: &[(Statistic, f64)],
        mut emit: impl FnMut(Statistic, f64),
    ) {
        let mut walk = self.values.iter().zip(&self.owners);
        let mut passed = 0;
        let mut value = f64::NAN;
        let mut value_at = |position: u64| {
            while passed <= position {
                let Some((next, &owner)) = walk.next() else { break };
                passed += u64::from(counts[owner as usize]);
                value = *next;
            }
            value
        };
        // Two percentiles of few values may lie between the same two, which the walk has passed.
        let mut last = None;
        for &(statistic, percent) in percents {
            let Some(rank) = Rank::of(percent, total) else { return };
            let (below, above) = match last {
                Some((position, pair)) if position == rank.below => pair,
                _ => (value_at(rank.below), value_at(rank.above)),
            };
            last = Some((rank.below, (below, above)));
            emit(statistic, rank.interpolate(below, above));
        }
    }
}
