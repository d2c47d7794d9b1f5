//! How soon the search is as good as the documents' grid, and how it compares with random search,
//! over many seeds of the Week-3 scenario.
//!
//! ```text
//! cargo run --release -p slotune-benches --bin week3_search -- --seeds 0..20
//! ```

#![expect(clippy::print_stdout, reason = "a bench talks to its user")]

use std::{ops::Range, thread};

use clap::Parser;
use serde_json::json;
use slotune::{
    core::sampler::{Bayesian, Random, Sampler},
    serving::metrics::percentile,
};
use slotune_benches::{Standing, incumbents, objective, parse_seeds};
use slotune_examples::{Error, RATE_PER_S, Scenario};

/// Compares the search with the grid and with random search on the Week-3 scenario.
#[derive(Debug, Parser)]
struct Options {
    /// Seeds, FIRST..END
    #[arg(long, default_value = "0..20", value_parser = parse_seeds)]
    seeds: Range<u64>,
    /// Trials after which the search is compared with random search
    #[arg(long, default_value_t = 30)]
    trials: usize,
    /// Mean arrival rate, requests/s
    #[arg(long, default_value_t = RATE_PER_S)]
    rate: f64,
    /// Prune the search's trials by an opening of so many requests
    #[arg(long, value_name = "REQUESTS")]
    pruning: Option<u32>,
    /// Prints one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

/// What one seed gave.
struct Comparison {
    seed: u64,
    /// Trials until the search was as good as the grid's best; `None` if it was not within a third
    /// of the grid's trials.
    trials_to_reach_grid: Option<usize>,
    /// Server time until then, seconds.
    server_s_to_reach_grid: Option<f64>,
    /// Server time of a third of the grid's trials, seconds.
    server_s: f64,
    /// How many of them were pruned.
    pruned: usize,
    search: f64,
    random: f64,
}

fn main() -> Result<(), Error> {
    let options = Options::parse();
    let scenario = Scenario::new(None, options.rate)?;
    let objective = objective(&scenario)?;
    let grid = scenario.grid()?;
    let grid_trials = scenario.size(&grid, &objective)?;
    let best = |curve: &[Standing]| curve.last().and_then(|s| s.best).unwrap_or(f64::INFINITY);
    let third = grid_trials / 3;
    let trials = options.trials.max(third);
    // The default, given to every study, is not of the grid: one trial more.
    let grid = incumbents(&scenario, &objective, Box::new(grid), 0, grid_trials + 1, None)?;
    let grid_best = best(&grid);

    let compare = |seed: u64| -> Result<Comparison, Error> {
        let run = |sampler: Box<dyn Sampler>, trials, pruning| {
            incumbents(&scenario, &objective, sampler, seed, trials, pruning)
        };
        let search = run(Box::<Bayesian>::default(), trials, options.pruning)?;
        let reached = |at: &Standing| at.best.is_some_and(|value| value <= grid_best);
        Ok(Comparison {
            seed,
            trials_to_reach_grid: search.iter().position(reached).map(|position| position + 1),
            server_s_to_reach_grid: search.iter().find(|at| reached(at)).map(|at| at.cost_s),
            server_s: search.last().map_or(0.0, |at| at.cost_s),
            pruned: search.last().map_or(0, |at| at.pruned),
            search: best(&search[..options.trials.min(search.len())]),
            random: best(&run(Box::new(Random), options.trials, None)?),
        })
    };
    let seeds: Vec<u64> = options.seeds.clone().collect();
    let halves = seeds.split_at(seeds.len().div_ceil(2));
    let comparisons: Vec<Comparison> = thread::scope(|scope| {
        let second = scope.spawn(|| halves.1.iter().map(|&seed| compare(seed)).collect());
        let first: Result<Vec<_>, Error> = halves.0.iter().map(|&seed| compare(seed)).collect();
        let second: Result<Vec<_>, Error> = second.join().map_err(|_| "a thread panicked")?;
        Ok::<_, Error>(first?.into_iter().chain(second?).collect())
    })?;

    let sorted = |value: fn(&Comparison) -> f64| {
        let mut values: Vec<f64> = comparisons.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let to_reach = sorted(|c| c.trials_to_reach_grid.map_or(f64::INFINITY, |trials| trials as f64));
    let within_third = to_reach.iter().filter(|&&trials| trials <= third as f64).count();
    let wins = comparisons.iter().filter(|c| c.search < c.random).count();
    let (search, random) = (sorted(|c| c.search), sorted(|c| c.random));
    let median = |values: &[f64]| percentile(values, 50.0);
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;

    if options.json {
        let rows: Vec<_> = comparisons
            .iter()
            .map(|c| {
                json!({
                    "seed": c.seed,
                    "trials_to_reach_grid": c.trials_to_reach_grid,
                    "server_s_to_reach_grid": c.server_s_to_reach_grid,
                    "server_s": c.server_s,
                    "pruned": c.pruned,
                    "search_e2e_p95_s": c.search,
                    "random_e2e_p95_s": c.random,
                })
            })
            .collect();
        let value = json!({
            "trials": options.trials,
            "grid_trials": grid_trials,
            "grid_e2e_p95_s": grid_best,
            "within_a_third_of_the_grid": within_third,
            "search_beats_random": wins,
            "search_median_e2e_p95_s": median(&search),
            "random_median_e2e_p95_s": median(&random),
            "seeds": rows,
        });
        println!("{value:#}");
        return Ok(());
    }
    println!("grid: {grid_trials} trials, best P95 {grid_best:.2} s that meets the targets\n");
    println!(
        "{:>5} {:>22} {:>17} {:>17}",
        "seed", "trials to reach grid", "search P95, s", "random P95, s"
    );
    for c in &comparisons {
        let reached =
            c.trials_to_reach_grid.map_or(format!("> {third}"), |trials| trials.to_string());
        println!("{:>5} {reached:>22} {:>17.2} {:>17.2}", c.seed, c.search, c.random);
    }
    let n = comparisons.len();
    println!(
        "\nas good as the grid within a third of its trials ({third}): {within_third} of {n} seeds"
    );
    let quartile = |percent| percentile(&to_reach, percent).unwrap_or(f64::NAN);
    println!(
        "trials to reach the grid: minimum {}, quartiles {} {} {}, maximum {}",
        quartile(0.0),
        quartile(25.0),
        quartile(50.0),
        quartile(75.0),
        quartile(100.0)
    );
    let server_s = sorted(|c| c.server_s_to_reach_grid.unwrap_or(f64::INFINITY));
    println!(
        "server time to reach the grid: median {:.0} s, mean {:.0} s; of {trials} trials: mean {:.0} s, {:.1} of them pruned; of the grid: {:.0} s",
        median(&server_s).unwrap_or(f64::NAN),
        mean(&server_s),
        mean(&sorted(|c| c.server_s)),
        mean(&sorted(|c| c.pruned as f64)),
        grid.last().map_or(f64::NAN, |at| at.cost_s)
    );
    println!(
        "after {} trials: search better than random in {wins} of {n} seeds; median P95 {:.2} s against {:.2} s",
        options.trials,
        median(&search).unwrap_or(f64::NAN),
        median(&random).unwrap_or(f64::NAN)
    );
    Ok(())
}
