//! Seven constrained problems on four measured tables (`storm/README.md` says where they are from):
//! minimise latency subject to throughput >= T, a quantile of the table's throughput.

use std::collections::BTreeMap;

use slotune_core::{Configuration, Constraint, Objective, Parameter, Problem, SearchSpace};

use crate::benchmark::{Benchmark, Truth};

/// Problem, table, and the quantile of its throughputs that is the target.
const PROBLEMS: [(&str, &str, f64); 7] = [
    ("E75", include_str!("storm/SS-E.csv"), 0.75),
    ("E90", include_str!("storm/SS-E.csv"), 0.90),
    ("I90", include_str!("storm/SS-I.csv"), 0.90),
    ("J50", include_str!("storm/SS-J.csv"), 0.50),
    ("J75", include_str!("storm/SS-J.csv"), 0.75),
    ("K75", include_str!("storm/SS-K.csv"), 0.75),
    ("K90", include_str!("storm/SS-K.csv"), 0.90),
];

/// All seven.
pub(crate) fn problems() -> Vec<Benchmark> {
    PROBLEMS.iter().map(|&(name, table, quantile)| problem(name, table, quantile)).collect()
}

fn problem(name: &'static str, table: &str, quantile: f64) -> Benchmark {
    let mut lines = table.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let rows: Vec<Vec<f64>> = lines
        .map(|line| line.split(',').map(|cell| cell.trim().parse().expect("a number")).collect())
        .collect();
    let (dimensions, throughput, latency) = (header.len() - 2, header.len() - 2, header.len() - 1);
    assert_eq!(&header[dimensions..], ["Throughput+", "Latency-"], "columns of {name}");

    let parameters = (0..dimensions).map(|column| {
        let mut levels: Vec<f64> = rows.iter().map(|row| row[column]).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        Parameter::levels(header[column], levels)
    });
    let space = SearchSpace::new(parameters.collect(), vec![]).expect("a full grid");
    let configurations: Vec<Configuration> = rows
        .iter()
        .map(|row| {
            let cells = header.iter().zip(row).take(dimensions);
            cells.fold(Configuration::new(), |configuration, (name, &value)| {
                configuration.with(*name, value)
            })
        })
        .collect();
    let target = numpy_quantile(rows.iter().map(|row| row[throughput]).collect(), quantile);
    let truths: BTreeMap<String, Truth> = configurations
        .iter()
        .zip(&rows)
        .map(|(configuration, row)| {
            let truth = Truth { objective: row[latency], constraints: vec![row[throughput]] };
            (configuration.to_string(), truth)
        })
        .collect();
    assert_eq!(truths.len(), rows.len(), "rows of {name} are distinct");
    let objective =
        Objective::minimise("latency").subject_to(Constraint::at_least("throughput", target));
    let problem = Problem::new(space, objective);
    Benchmark::of_table(name, problem, configurations, move |configuration| {
        truths.get(&configuration.to_string()).cloned()
    })
}

/// numpy's default quantile: linear between the sorted values.
fn numpy_quantile(mut values: Vec<f64>, quantile: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let position = quantile * (values.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within the table")]
    let below = position.floor() as usize;
    let above = (below + 1).min(values.len() - 1);
    // numpy's `_lerp`: from the nearer end.
    let (share, gap) = (position - below as f64, values[above] - values[below]);
    if share >= 0.5 { values[above] - gap * (1.0 - share) } else { values[below] + gap * share }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows, feasible rows, optimum, and rows within 1 % and 5 % of it, as the peers' README has
    /// them.
    #[test]
    fn problems_are_those_of_the_peers() {
        let expected = [
            ("E75", 756, 189, 15.94, 1, 3),
            ("E90", 756, 76, 117.56, 1, 1),
            ("I90", 1080, 108, 47.387, 4, 16),
            ("J50", 3840, 1920, 1.928, 1, 12),
            ("J75", 3840, 967, 168.78, 1, 24),
            ("K75", 2880, 720, 17.336, 2, 13),
            ("K90", 2880, 288, 18.181, 1, 2),
        ];
        for (benchmark, (name, rows, feasible, best, within_1, within_5)) in
            problems().iter().zip(expected)
        {
            let table = benchmark.protocol_design(0, usize::MAX);
            let optimum = benchmark.optimum();
            let regrets = table.iter().map(|row| benchmark.regret(row, optimum));
            let regrets: Vec<f64> = regrets.filter(|regret| regret.is_finite()).collect();
            let within = |share| regrets.iter().filter(|&&regret| regret <= share).count();
            assert_eq!((benchmark.name, table.len(), regrets.len()), (name, rows, feasible));
            assert_eq!((within(0.01), within(0.05)), (within_1, within_5), "{name}");
            assert!((benchmark.optimum() / best - 1.0).abs() < 1e-3, "{name}");
        }
    }
}
