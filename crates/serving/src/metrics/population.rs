//! Sorted values, each owned by a request, whose statistics follow from how often each request is
//! counted.

use super::{Statistic, statistics::Rank};

/// Values of requests, sorted once, so that a resample of the requests costs one walk and no sort.
#[derive(Debug)]
pub(super) struct Population {
    values: Vec<f64>,
    /// For each value, the position of its request.
    owners: Vec<u32>,
    /// Requests that own values, which may be many fewer than these.
    shares: Vec<Share>,
}

/// What one request brings to a population.
#[derive(Debug)]
struct Share {
    owner: u32,
    values: u64,
    sum: f64,
}

/// The statistics that are wanted of a population.
const PERCENTS: [(Statistic, f64); 3] =
    [(Statistic::P50, 50.0), (Statistic::P95, 95.0), (Statistic::P99, 99.0)];

impl Population {
    /// Values with the positions of their requests, request by request.
    pub(super) fn new(values: impl Iterator<Item = (u32, f64)>) -> Self {
        let mut pairs: Vec<(u32, f64)> = values.collect();
        let shares = pairs
            .chunk_by(|(a, _), (b, _)| a == b)
            .map(|own| Share {
                owner: own[0].0,
                values: own.len() as u64,
                sum: own.iter().map(|(_, value)| value).sum(),
            })
            .collect();
        pairs.sort_unstable_by(|(a, x), (b, y)| x.total_cmp(y).then(a.cmp(b)));
        let (owners, values) = pairs.into_iter().unzip();
        Self { values, owners, shares }
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
        self.shares.iter().fold((0, 0.0), |(total, sum), share| {
            let count = counts[share.owner as usize];
            (total + u64::from(count) * share.values, sum + f64::from(count) * share.sum)
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
        let (mut passed, mut walked) = (0, 0);
        let mut value_at = |position: u64| {
            while passed <= position {
                passed += u64::from(counts[self.owners[walked] as usize]);
                walked += 1;
            }
            self.values[walked - 1]
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
