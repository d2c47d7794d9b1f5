//! Problems with formulas and known optima, those of the peers' `problems.py`.
//!
//! A constraint g is met when g <= 0. Costs and weights are modelled on a log scale, as positive
//! outcomes are; what may be zero or negative on a linear one.

use std::f64::consts::{FRAC_1_SQRT_2, PI};

use slotune_core::{Configuration, Constraint, Objective, Parameter, Problem, SearchSpace};

use crate::benchmark::{Benchmark, Truth};

/// A formula of the parameters' values, in their order: the objective and the constraints.
type Formula = fn(&[f64]) -> (f64, Vec<f64>);

const HARTMANN_OPTIMUM: f64 = -3.322_368_011_391_339;

/// All of them.
pub(crate) fn problems() -> Vec<Benchmark> {
    let unit = |d| cube(d, 0.0, 1.0);
    let spring_of = |coils| vec![float("d", 0.05, 2.0), float("D", 0.25, 1.3), coils];
    vec![
        linear(
            "branin2",
            vec![float("x1", -5.0, 10.0), float("x2", 0.0, 15.0)],
            0.397_887_357_729_738_16,
            0,
            branin,
        ),
        linear("hartmann6", unit(6), HARTMANN_OPTIMUM, 0, |x| (hartmann(x), vec![])),
        linear("rosenbrock4", cube(4, -2.0, 2.0), 0.0, 0, rosenbrock),
        linear("levy8", cube(8, -10.0, 10.0), 0.0, 0, levy),
        linear("ackley5", cube(5, -5.0, 10.0), 0.0, 0, |x| (ackley(x), vec![])),
        mixed_ackley(),
        linear("gramacy2", unit(2), 0.599_788_05, 2, gramacy),
        linear("gardner1", cube(2, 0.0, 6.0), -2.0, 1, gardner_1),
        linear("gardner2", cube(2, 0.0, 6.0), 0.95_f64.asin() - 1.0, 1, gardner_2),
        linear("hartmann6_ball", unit(6), HARTMANN_OPTIMUM, 1, |x| {
            (hartmann(x), vec![x.iter().map(|x| x * x).sum::<f64>().sqrt() - 1.0])
        }),
        positive(
            "pressure_vessel4",
            vec![
                integer("k1", 1, 99),
                integer("k2", 1, 99),
                float("R", 10.0, 200.0),
                float("L", 10.0, 200.0),
            ],
            6_059.714_335,
            4,
            pressure_vessel,
        ),
        positive(
            "welded_beam4",
            vec![
                float("h", 0.1, 2.0),
                float("l", 0.1, 10.0),
                float("t", 0.1, 10.0),
                float("b", 0.1, 2.0),
            ],
            1.724_852_308_6,
            7,
            welded_beam,
        ),
        positive(
            "tension_compression3",
            spring_of(float("N", 2.0, 15.0)),
            0.012_665_232_8,
            4,
            spring,
        ),
        positive("spring3", spring_of(integer("N", 2, 15)), 0.012_666_021, 4, spring),
        positive(
            "speed_reducer7",
            vec![
                float("x1", 2.6, 3.6),
                float("x2", 0.7, 0.8),
                integer("x3", 17, 28),
                float("x4", 7.3, 8.3),
                float("x5", 7.8, 8.3),
                float("x6", 2.9, 3.9),
                float("x7", 5.0, 5.5),
            ],
            2_996.348_165,
            11,
            speed_reducer,
        ),
        serving(),
    ]
}

/// Problems of so many parameters that the search keeps to a region (Eriksson et al. 2019 have the first
/// two in 10 to 200 dimensions). Of the last, six parameters matter.
pub(crate) fn large_problems() -> Vec<Benchmark> {
    vec![
        linear("ackley24", cube(24, -5.0, 10.0), 0.0, 0, |x| (ackley(x), vec![])),
        linear("levy24", cube(24, -10.0, 10.0), 0.0, 0, levy),
        linear("hartmann6_of24", cube(24, 0.0, 1.0), HARTMANN_OPTIMUM, 0, |x| {
            (hartmann(&x[..6]), vec![])
        }),
    ]
}

fn float(name: &str, low: f64, high: f64) -> Parameter {
    Parameter::float(name, low, high)
}

fn integer(name: &str, low: i64, high: i64) -> Parameter {
    Parameter::integer(name, low, high)
}

fn cube(dimensions: usize, low: f64, high: f64) -> Vec<Parameter> {
    (1..=dimensions).map(|j| float(&format!("x{j}"), low, high)).collect()
}

fn linear(
    name: &'static str,
    parameters: Vec<Parameter>,
    optimum: f64,
    constraints: usize,
    formula: Formula,
) -> Benchmark {
    of_numbers(name, parameters, Objective::minimise("f").linear(), optimum, constraints, formula)
}

fn positive(
    name: &'static str,
    parameters: Vec<Parameter>,
    optimum: f64,
    constraints: usize,
    formula: Formula,
) -> Benchmark {
    of_numbers(name, parameters, Objective::minimise("f"), optimum, constraints, formula)
}

fn of_numbers(
    name: &'static str,
    parameters: Vec<Parameter>,
    objective: Objective,
    optimum: f64,
    constraints: usize,
    formula: Formula,
) -> Benchmark {
    let names: Vec<String> = parameters.iter().map(|p| p.name().to_owned()).collect();
    benchmark(name, parameters, objective, optimum, constraints, move |configuration| {
        let x: Vec<f64> = names.iter().map(|name| number(configuration, name)).collect();
        Some(formula(&x))
    })
}

fn benchmark(
    name: &'static str,
    parameters: Vec<Parameter>,
    objective: Objective,
    optimum: f64,
    constraints: usize,
    formula: impl Fn(&Configuration) -> Option<(f64, Vec<f64>)> + Send + Sync + 'static,
) -> Benchmark {
    let space = SearchSpace::new(parameters, vec![]).expect("a plain space");
    let objective = (1..=constraints).fold(objective, |objective, j| {
        objective.subject_to(Constraint::at_most(format!("g{j}"), 0.0).linear())
    });
    Benchmark::of_formula(name, Problem::new(space, objective), optimum, move |configuration| {
        let (objective, constraints) = formula(configuration)?;
        Some(Truth { objective, constraints })
    })
}

fn number(configuration: &Configuration, name: &str) -> f64 {
    configuration.float(name).expect("a number of the space")
}

fn branin(x: &[f64]) -> (f64, Vec<f64>) {
    let [a, b] = [x[0], x[1]];
    let f = (b - 5.1 / (4.0 * PI * PI) * a * a + 5.0 / PI * a - 6.0).powi(2);
    (f + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * a.cos() + 10.0, vec![])
}

fn hartmann(x: &[f64]) -> f64 {
    const ALPHA: [f64; 4] = [1.0, 1.2, 3.0, 3.2];
    const A: [[f64; 6]; 4] = [
        [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
        [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
        [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
        [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
    ];
    const P: [[f64; 6]; 4] = [
        [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
        [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
        [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
        [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
    ];
    let term = |i: usize| {
        let squares = (0..6).map(|j| A[i][j] * (x[j] - 1e-4 * P[i][j]).powi(2));
        ALPHA[i] * (-squares.sum::<f64>()).exp()
    };
    -(0..4).map(term).sum::<f64>()
}

fn rosenbrock(x: &[f64]) -> (f64, Vec<f64>) {
    let term =
        |pair: &[f64]| 100.0 * (pair[1] - pair[0] * pair[0]).powi(2) + (1.0 - pair[0]).powi(2);
    (x.windows(2).map(term).sum(), vec![])
}

fn levy(x: &[f64]) -> (f64, Vec<f64>) {
    let w: Vec<f64> = x.iter().map(|x| 1.0 + (x - 1.0) / 4.0).collect();
    let (last, others) = w.split_last().expect("at least one dimension");
    let middle: f64 = others
        .iter()
        .map(|w| (w - 1.0).powi(2) * (1.0 + 10.0 * (PI * w + 1.0).sin().powi(2)))
        .sum();
    let end = (last - 1.0).powi(2) * (1.0 + (2.0 * PI * last).sin().powi(2));
    ((PI * w[0]).sin().powi(2) + middle + end, vec![])
}

fn ackley(x: &[f64]) -> f64 {
    let mean = |term: fn(f64) -> f64| x.iter().map(|&x| term(x)).sum::<f64>() / x.len() as f64;
    -20.0 * (-0.2 * mean(|x| x * x).sqrt()).exp() - mean(|x| (2.0 * PI * x).cos()).exp()
        + 20.0
        + std::f64::consts::E
}

/// Ackley's function of five numbers, two of them whole, that each category shifts; the optimum is
/// at all 2 with category b.
fn mixed_ackley() -> Benchmark {
    let mut parameters = cube(3, -5.0, 10.0);
    parameters.extend([integer("k1", -5, 10), integer("k2", -5, 10)]);
    parameters.push(Parameter::categorical("c", ["a", "b", "c"]));
    let objective = Objective::minimise("f").linear();
    benchmark("mixed_ackley6", parameters, objective, 0.0, 0, |configuration| {
        let (shift, offset) = match configuration.text("c") {
            Some("a") => (0.0, 1.0),
            Some("b") => (2.0, 0.0),
            _ => (-1.0, 0.5),
        };
        let x = ["x1", "x2", "x3", "k1", "k2"].map(|name| number(configuration, name) - shift);
        Some((ackley(&x) + offset, vec![]))
    })
}

fn gramacy(x: &[f64]) -> (f64, Vec<f64>) {
    let [a, b] = [x[0], x[1]];
    let wave = 0.5 * (2.0 * PI * (a * a - 2.0 * b)).sin();
    (a + b, vec![1.5 - a - 2.0 * b - wave, a * a + b * b - 1.5])
}

fn gardner_1(x: &[f64]) -> (f64, Vec<f64>) {
    let [a, b] = [x[0], x[1]];
    ((2.0 * a).cos() * b.cos() + a.sin(), vec![(a + b).cos() - 0.5])
}

fn gardner_2(x: &[f64]) -> (f64, Vec<f64>) {
    let [a, b] = [x[0], x[1]];
    (a.sin() + b, vec![a.sin() * b.sin() + 0.95])
}

/// A tension/compression spring: wire diameter, mean coil diameter, number of coils.
fn spring(x: &[f64]) -> (f64, Vec<f64>) {
    let [wire, coil, coils] = [x[0], x[1], x[2]];
    let deflection = 1.0 - coil.powi(3) * coils / (71785.0 * wire.powi(4));
    let stress = (4.0 * coil * coil - wire * coil)
        / (12566.0 * (coil * wire.powi(3) - wire.powi(4)))
        + 1.0 / (5108.0 * wire * wire)
        - 1.0;
    let surge = 1.0 - 140.45 * wire / (coil * coil * coils);
    ((coils + 2.0) * coil * wire * wire, vec![deflection, stress, surge, (coil + wire) / 1.5 - 1.0])
}

/// Thicknesses in sixteenths of an inch, radius and length.
fn pressure_vessel(x: &[f64]) -> (f64, Vec<f64>) {
    let [shell, head, radius, length] = [x[0] / 16.0, x[1] / 16.0, x[2], x[3]];
    let cost = 0.6224 * shell * radius * length
        + 1.7781 * head * radius * radius
        + 3.1661 * shell * shell * length
        + 19.84 * shell * shell * radius;
    let volume = PI * radius * radius * length + 4.0 / 3.0 * PI * radius.powi(3);
    let constraints = vec![
        0.0193 * radius - shell,
        0.00954 * radius - head,
        1.0 - volume / 1_296_000.0,
        length / 240.0 - 1.0,
    ];
    (cost, constraints)
}

/// A weld of height h and length l on a bar of height t and width b.
fn welded_beam(x: &[f64]) -> (f64, Vec<f64>) {
    const LOAD: f64 = 6000.0;
    const LENGTH: f64 = 14.0;
    const YOUNG: f64 = 30e6;
    let [h, l, t, b] = [x[0], x[1], x[2], x[3]];
    let primary = LOAD * FRAC_1_SQRT_2 / (h * l);
    let moment = LOAD * (LENGTH + l / 2.0);
    let radius = (l * l / 4.0 + f64::midpoint(h, t).powi(2)).sqrt();
    let inertia = 2.0 * 2.0_f64.sqrt() * h * l * (l * l / 12.0 + f64::midpoint(h, t).powi(2));
    let secondary = moment * radius / inertia;
    let shear =
        (primary * primary + primary * secondary * l / radius + secondary * secondary).sqrt();
    let bending = 6.0 * LOAD * LENGTH / (b * t * t);
    let deflection = 4.0 * LOAD * LENGTH.powi(3) / (YOUNG * t.powi(3) * b);
    let buckling = 4.013 * YOUNG * t * b.powi(3) / 6.0 / LENGTH.powi(2)
        * (1.0 - t / (2.0 * LENGTH) * (YOUNG / (4.0 * 12e6)).sqrt());
    let bar = 0.04811 * t * b * (14.0 + l);
    let constraints = vec![
        shear / 13600.0 - 1.0,
        bending / 30000.0 - 1.0,
        h - b,
        (0.10471 * h * h + bar) / 5.0 - 1.0,
        0.125 - h,
        deflection / 0.25 - 1.0,
        1.0 - buckling / LOAD,
    ];
    (1.10471 * h * h * l + bar, constraints)
}

/// Golinski's speed reducer.
#[expect(clippy::approx_constant, reason = "0.7854 is the published coefficient")]
fn speed_reducer(x: &[f64]) -> (f64, Vec<f64>) {
    let [x1, x2, x3, x4, x5, x6, x7] = [x[0], x[1], x[2], x[3], x[4], x[5], x[6]];
    let weight = 0.7854 * x1 * x2 * x2 * (3.3333 * x3 * x3 + 14.9334 * x3 - 43.0934)
        - 1.508 * x1 * (x6 * x6 + x7 * x7)
        + 7.4777 * (x6.powi(3) + x7.powi(3))
        + 0.7854 * (x4 * x6 * x6 + x5 * x7 * x7);
    let constraints = vec![
        27.0 / (x1 * x2 * x2 * x3) - 1.0,
        397.5 / (x1 * x2 * x2 * x3 * x3) - 1.0,
        1.93 * x4.powi(3) / (x2 * x3 * x6.powi(4)) - 1.0,
        1.93 * x5.powi(3) / (x2 * x3 * x7.powi(4)) - 1.0,
        ((745.0 * x4 / (x2 * x3)).powi(2) + 16.9e6).sqrt() / (110.0 * x6.powi(3)) - 1.0,
        ((745.0 * x5 / (x2 * x3)).powi(2) + 157.5e6).sqrt() / (85.0 * x7.powi(3)) - 1.0,
        x2 * x3 / 40.0 - 1.0,
        5.0 * x2 / x1 - 1.0,
        x1 / (12.0 * x2) - 1.0,
        (1.5 * x6 + 1.9) / x4 - 1.0,
        (1.1 * x7 + 1.9) / x5 - 1.0,
    ];
    (weight, constraints)
}

/// P95 latency in ms of a server in miniature, at a throughput of at least 1200; too much memory
/// crashes it.
fn serving() -> Benchmark {
    let parameters = vec![
        integer("max_num_seqs", 1, 4096).log(),
        integer("max_num_batched_tokens", 256, 32768).log(),
        float("gpu_memory_utilization", 0.5, 0.97),
        Parameter::categorical("chunked", ["on", "off"]),
    ];
    benchmark("serving4", parameters, Objective::minimise("p95"), 513.757_044, 1, |configuration| {
        let sequences = number(configuration, "max_num_seqs");
        let tokens = number(configuration, "max_num_batched_tokens");
        let memory = number(configuration, "gpu_memory_utilization");
        let chunked = configuration.text("chunked") == Some("on");
        let limit = 0.985
            - 0.022 * (sequences / 64.0).max(1.0).log2()
            - 0.012 * (tokens / 4096.0).max(1.0).log2();
        if memory > limit {
            return None;
        }
        let cache = 900.0 * (memory - 0.35) / 0.60;
        let concurrency = (sequences.powi(-4) + cache.powi(-4)).powf(-0.25);
        let over = (sequences / cache).ln().max(0.0);
        let (half, share, per_token) =
            if chunked { (500.0, 0.96, 1.2) } else { (1500.0, 1.0, 4.0) };
        let throughput = 2300.0 * concurrency / (concurrency + 85.0) * tokens / (tokens + half)
            * share
            / (1.0 + 0.30 * over * over);
        let load = (1000.0 / throughput).min(0.985);
        let step = 14.0 + 0.16 * concurrency + per_token * (tokens / 1024.0).powf(1.15);
        let p95 = 6.0 * step * (1.0 + 0.35 * load * load / (1.0 - load)) + 180.0 * over;
        Some((p95, vec![1.0 - throughput / 1200.0]))
    })
}

#[cfg(test)]
mod tests {
    use slotune_core::Value;

    use super::*;

    /// Where the optimum is, from the peers' `check_problems.py`.
    const KNOWN: [(&str, &[f64], f64); 13] = [
        ("branin2", &[PI, 2.275], 1e-9),
        (
            "hartmann6",
            &[0.201_689_51, 0.150_010_69, 0.476_873_98, 0.275_332_43, 0.311_651_62, 0.657_300_54],
            1e-7,
        ),
        ("rosenbrock4", &[1.0; 4], 1e-12),
        ("levy8", &[1.0; 8], 1e-12),
        ("ackley5", &[0.0; 5], 1e-12),
        ("gramacy2", &[0.195_122_684, 0.404_665_369], 1e-7),
        ("gardner1", &[1.5 * PI, 0.0], 1e-12),
        (
            "hartmann6_ball",
            &[0.201_689_51, 0.150_010_69, 0.476_873_98, 0.275_332_43, 0.311_651_62, 0.657_300_54],
            1e-7,
        ),
        ("pressure_vessel4", &[13.0, 7.0, 42.098_445_595, 176.636_595_85], 1e-3),
        (
            "welded_beam4",
            &[0.205_729_639_8, 3.470_488_665_7, 9.036_623_910_4, 0.205_729_639_8],
            1e-7,
        ),
        (
            "tension_compression3",
            &[0.051_689_061_444_6, 0.356_717_748_503_4, 11.288_965_241_253],
            1e-9,
        ),
        ("spring3", &[0.051_897_322_666, 0.361_748_671_300, 11.0], 1e-9),
        ("speed_reducer7", &[3.5, 0.7, 17.0, 7.3, 7.8, 3.350_214_666, 5.286_683_23], 1e-4),
    ];

    fn check(benchmark: &Benchmark, configuration: &Configuration, tolerance: f64) {
        let truth = benchmark.truth(configuration).expect("no crash");
        let (found, optimum) = (truth.objective, benchmark.optimum());
        assert!((found - optimum).abs() <= tolerance, "{}: {found} {optimum}", benchmark.name);
        assert!(truth.constraints.iter().all(|&g| g <= 1e-6), "{}", benchmark.name);
        assert_eq!(truth.constraints.len(), benchmark.problem.objective().constraints.len());
    }

    #[test]
    fn optima_are_where_they_are_known_to_be() {
        let problems = problems();
        let named = |name| problems.iter().find(|p| p.name == name).expect("a known problem");
        for (name, at, tolerance) in KNOWN {
            let benchmark = named(name);
            let configuration = benchmark.problem.space().parameters().iter().zip(at).fold(
                Configuration::new(),
                |configuration, (parameter, &value)| {
                    configuration.with(parameter.name(), Value::Float(value))
                },
            );
            check(benchmark, &configuration, tolerance);
        }
        let gardner = Configuration::new().with("x1", 1.5 * PI).with("x2", 0.95_f64.asin());
        check(named("gardner2"), &gardner, 1e-12);
        let ackley = ["x1", "x2", "x3"]
            .iter()
            .fold(Configuration::new(), |configuration, &name| configuration.with(name, 2.0))
            .with("k1", 2)
            .with("k2", 2)
            .with("c", "b");
        check(named("mixed_ackley6"), &ackley, 1e-12);
        let serving = Configuration::new()
            .with("max_num_seqs", 189)
            .with("max_num_batched_tokens", 5032)
            .with("gpu_memory_utilization", 0.609_798)
            .with("chunked", "on");
        check(named("serving4"), &serving, 1e-5);
    }
}
