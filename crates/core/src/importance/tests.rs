//! Shares of formulas that are known, and what is told of few or noisy trials.

use rand::RngExt;

use super::*;
use crate::{Parameter, Rule, random::stream};

/// So many random points of a space, each with the value of `metric` there.
fn trials(
    space: &SearchSpace,
    count: usize,
    metric: impl Fn(&Configuration) -> f64,
) -> Vec<(Configuration, f64)> {
    let mut random = stream(11, "trials", 0);
    let mut unit = || -> Vec<f64> { space.parameters().iter().map(|_| random.random()).collect() };
    (0..count)
        .map(|_| {
            let configuration = space.configuration_at(&unit());
            let value = metric(&configuration);
            (configuration, value)
        })
        .collect()
}

fn space(parameters: Vec<Parameter>) -> SearchSpace {
    SearchSpace::new(parameters, vec![]).expect("the space is valid")
}

fn float(configuration: &Configuration, name: &str) -> f64 {
    configuration.float(name).expect("it is set")
}

fn of<'i>(importance: &'i Importance, name: &str) -> &'i ParameterImportance {
    importance.parameters.iter().find(|p| p.parameter == name).expect("it has a row")
}

fn assert_near(seen: f64, expected: f64, most: f64, what: &str) {
    assert!((seen - expected).abs() <= most, "{what}: {seen} is not {expected} within {most}");
}

/// 4a + 2b + c: the variances are as 16 to 4 to 1, and nothing is done together.
fn additive() -> SearchSpace {
    let unit = |name: &str| Parameter::float(name, 0.0, 1.0);
    space(vec![unit("idle"), unit("c"), unit("b"), unit("a"), Parameter::boolean("spare")])
}

fn sum(configuration: &Configuration) -> f64 {
    10.0 + 4.0 * float(configuration, "a")
        + 2.0 * float(configuration, "b")
        + float(configuration, "c")
}

#[test]
fn shares_are_those_of_a_sum_that_is_known() {
    let space = additive();
    let importance = Importance::new(&space, &trials(&space, 150, sum), Scale::Linear, 0).unwrap();
    assert_eq!(importance.configurations, 150);
    assert!(importance.predicted > 0.85, "{}", importance.predicted);
    for (name, share) in [("a", 16.0 / 21.0), ("b", 4.0 / 21.0), ("c", 1.0 / 21.0)] {
        let found = of(&importance, name);
        assert_near(found.alone.value, share, 0.07, name);
        assert_near(found.share.value, share, 0.1, name);
        assert!(found.share.value >= found.alone.value - 0.01, "{name}");
    }
    let order: Vec<&str> = importance.parameters.iter().map(|p| p.parameter.as_str()).collect();
    assert_eq!(order[..3], ["a", "b", "c"]);
    assert!(of(&importance, "a").is_told && of(&importance, "b").is_told);
    for idle in ["idle", "spare"] {
        let found = of(&importance, idle);
        assert!(!found.is_told && found.share.value < 0.03, "{found:?}");
    }
    assert!(importance.chance.value < 0.03);
}

#[test]
fn an_effect_is_the_mean_over_the_others() {
    let space = additive();
    let importance = Importance::new(&space, &trials(&space, 150, sum), Scale::Linear, 0).unwrap();
    let effect = &of(&importance, "a").effect;
    assert_eq!(effect.len(), 24);
    for point in effect {
        let a = point.value.number().unwrap();
        assert_near(point.mean, 11.5 + 4.0 * a, 0.45, "the line of a");
        assert!(point.low <= point.mean && point.mean <= point.high);
    }
    let spare: Vec<&Value> = of(&importance, "spare").effect.iter().map(|p| &p.value).collect();
    assert_eq!(spare, [&Value::Boolean(false), &Value::Boolean(true)]);
}

#[test]
fn what_two_do_together_counts_for_both() {
    // Each alone has 0.3 of the variance, their product 0.4.
    let unit = |name: &str| Parameter::float(name, 0.0, 1.0);
    let space = space(vec![unit("a"), unit("idle"), unit("b")]);
    let metric = |configuration: &Configuration| {
        let (a, b) = (float(configuration, "a"), float(configuration, "b"));
        a + b + 4.0 * (a - 0.5) * (b - 0.5)
    };
    let importance =
        Importance::new(&space, &trials(&space, 200, metric), Scale::Linear, 0).unwrap();
    for name in ["a", "b"] {
        assert_near(of(&importance, name).alone.value, 0.3, 0.06, name);
        assert_near(of(&importance, name).share.value, 0.7, 0.08, name);
    }
    let pair = importance.pair.as_ref().unwrap();
    let mut names = [pair.first.as_str(), pair.second.as_str()];
    names.sort_unstable();
    assert_eq!(names, ["a", "b"]);
    assert_near(pair.share.value, 1.0, 0.06, "together");
    assert_near(pair.interaction.value, 0.4, 0.08, "interaction");
    let corner = pair.means[11][11].unwrap();
    // The middle of the last of twelve parts of each axis.
    assert_near(corner, 2.75, 0.4, "both large");
    assert!(!of(&importance, "idle").is_told);
}

#[test]
fn categories_need_no_order_and_a_log_scale_is_one() {
    let space = space(vec![
        Parameter::categorical("policy", ["first", "second", "third"]),
        Parameter::integer("size", 1, 1024).log(),
    ]);
    // On their scales: a step of variance 2 with the middle category, and a line of variance 1/12 · 36.
    let metric = |configuration: &Configuration| {
        let step = if configuration.text("policy") == Some("second") { 3.0 } else { 0.0 };
        step + 6.0 * (configuration.integer("size").unwrap() as f64).log2() / 10.0
    };
    let importance =
        Importance::new(&space, &trials(&space, 150, metric), Scale::Linear, 0).unwrap();
    assert_near(of(&importance, "policy").alone.value, 0.4, 0.06, "policy");
    assert_near(of(&importance, "size").alone.value, 0.6, 0.06, "size");
    let policy = &of(&importance, "policy").effect;
    let means: Vec<f64> = policy.iter().map(|point| point.mean).collect();
    for (mean, expected) in means.iter().zip([3.0, 6.0, 3.0]) {
        assert_near(*mean, expected, 0.4, "policy");
    }
}

#[test]
fn a_parameter_has_an_effect_only_where_it_exists() {
    // Off: 0.5. On: as large as the chunk. So the switch by itself does nothing.
    let space = space(vec![
        Parameter::boolean("chunked"),
        Parameter::float("chunk", 0.0, 1.0).only_if("chunked", true),
    ]);
    let metric = |configuration: &Configuration| configuration.float("chunk").unwrap_or(0.5);
    let importance =
        Importance::new(&space, &trials(&space, 150, metric), Scale::Linear, 0).unwrap();
    let (switch, chunk) = (of(&importance, "chunked"), of(&importance, "chunk"));
    assert_near(chunk.alone.value, 0.5, 0.07, "chunk alone");
    assert_near(chunk.share.value, 1.0, 0.05, "chunk");
    assert_near(switch.alone.value, 0.0, 0.03, "switch alone");
    assert_near(switch.share.value, 0.5, 0.07, "switch");
    for point in &chunk.effect {
        assert_near(point.mean, point.value.number().unwrap(), 0.06, "chunk where it exists");
    }
    let pair = importance.pair.unwrap();
    let at = pair.first_values.iter().position(|value| *value == Value::Boolean(false));
    let (first_is_switch, off) = (at.is_some(), at.unwrap_or(0));
    let cells = pair.means.iter().enumerate().flat_map(|(i, row)| {
        row.iter().enumerate().map(move |(j, cell)| (if first_is_switch { i } else { j }, cell))
    });
    for (switch, cell) in cells {
        assert_eq!(cell.is_none(), switch == off, "where it is off there is no chunk");
    }
}

#[test]
fn what_the_rules_forbid_is_left_empty() {
    let parameters =
        vec![Parameter::levels("seqs", [1, 2, 4]), Parameter::levels("tokens", [1, 2, 4])];
    let rule = Rule::at_least("tokens", "seqs");
    let space = SearchSpace::new(parameters, vec![rule]).unwrap();
    let metric = |configuration: &Configuration| float(configuration, "seqs");
    // The space has six configurations; it takes ten.
    let few: Vec<_> = space
        .enumerate(100)
        .unwrap()
        .into_iter()
        .map(|configuration| {
            let value = metric(&configuration);
            (configuration, value)
        })
        .collect();
    assert_eq!(
        Importance::new(&space, &few, Scale::Linear, 0),
        Err(Unknown::TooFew { configurations: 6, needed: 10 })
    );
    let wide = |name| Parameter::levels(name, [1, 2, 4, 8, 16]);
    let rule = Rule::at_least("tokens", "seqs");
    let space = SearchSpace::new(vec![wide("seqs"), wide("tokens")], vec![rule]).unwrap();
    let all: Vec<_> = space
        .enumerate(100)
        .unwrap()
        .into_iter()
        .map(|configuration| {
            let value = metric(&configuration);
            (configuration, value)
        })
        .collect();
    let pair = Importance::new(&space, &all, Scale::Log, 0).unwrap().pair.unwrap();
    let is_first = pair.first == "seqs";
    for (i, row) in pair.means.iter().enumerate() {
        for (j, cell) in row.iter().enumerate() {
            let (seqs, tokens) = if is_first { (i, j) } else { (j, i) };
            assert_eq!(cell.is_some(), tokens >= seqs, "{seqs} {tokens}");
        }
    }
}

#[test]
fn values_are_seen_as_logarithms_on_the_log_scale() {
    let space = space(vec![Parameter::float("a", 0.0, 1.0), Parameter::float("b", 0.0, 1.0)]);
    let metric = |configuration: &Configuration| {
        (4.0 * float(configuration, "a") + 2.0 * float(configuration, "b")).exp()
    };
    let seen = trials(&space, 150, metric);
    let importance = Importance::new(&space, &seen, Scale::Log, 0).unwrap();
    assert_near(of(&importance, "a").alone.value, 0.8, 0.05, "a");
    for point in &of(&importance, "a").effect {
        let expected = (4.0 * point.value.number().unwrap() + 1.0).exp();
        assert_near((point.mean / expected).ln(), 0.0, 0.45, "a geometric mean");
        assert!(point.low > 0.0);
    }
    // A value that has no logarithm makes all linear.
    let mut with_zero = seen;
    with_zero[0].1 = 0.0;
    let linear = Importance::new(&space, &with_zero, Scale::Log, 0);
    assert_eq!(linear, Importance::new(&space, &with_zero, Scale::Linear, 0));
}

#[test]
fn fewer_trials_tell_less() {
    let space = additive();
    let of =
        |count| Importance::new(&space, &trials(&space, count, sum), Scale::Linear, 0).unwrap();
    let (few, many) = (of(15), of(150));
    assert!(few.parameters[0].share.standard_error > 2.0 * many.parameters[0].share.standard_error);
    let told = |importance: &Importance| importance.parameters.iter().filter(|p| p.is_told).count();
    assert!(told(&few) < told(&many));
}

#[test]
fn where_nothing_can_be_told_it_says_why() {
    let space = additive();
    let new = |trials: &[(Configuration, f64)]| Importance::new(&space, trials, Scale::Log, 0);
    let seen = trials(&space, 40, sum);
    assert_eq!(new(&[]), Err(Unknown::TooFew { configurations: 0, needed: 10 }));
    assert_eq!(new(&seen[..1]), Err(Unknown::TooFew { configurations: 1, needed: 10 }));
    // A configuration that was measured often is one.
    let often = vec![seen[0].clone(); 40];
    assert_eq!(new(&often), Err(Unknown::TooFew { configurations: 1, needed: 10 }));
    let level: Vec<_> = seen.iter().map(|(c, _)| (c.clone(), 2.0)).collect();
    assert_eq!(new(&level), Err(Unknown::NoVariance { configurations: 40 }));
    let mut random = stream(3, "values", 0);
    let noise: Vec<_> =
        seen.iter().map(|(c, _)| (c.clone(), 1.0 + random.random::<f64>())).collect();
    assert_eq!(new(&noise), Err(Unknown::Unpredictable { configurations: 40 }));
}

#[test]
fn noise_is_seldom_taken_for_an_effect() {
    // One parameter that matters, four that do not, and as much noise as effect.
    let space = additive();
    let mut false_alarms = 0;
    for case in 0..10 {
        let mut random = stream(case, "noise", 0);
        let mut seen = trials(&space, 40, |configuration| float(configuration, "a"));
        for (_, value) in &mut seen {
            *value += random.random_range(-0.5..0.5);
        }
        if let Ok(importance) = Importance::new(&space, &seen, Scale::Linear, case) {
            let idle = importance.parameters.iter().filter(|p| p.parameter != "a");
            false_alarms += idle.filter(|parameter| parameter.is_told).count();
        }
    }
    assert!(false_alarms <= 2, "{false_alarms} of 40");
}

#[test]
fn the_same_trials_give_the_same_numbers() {
    let space = additive();
    let seen = trials(&space, 30, sum);
    let new = |seed| Importance::new(&space, &seen, Scale::Log, seed).unwrap();
    assert_eq!(new(5), new(5));
    assert_ne!(new(5), new(6));
    // Repeats of a configuration count as one, at their mean.
    let (configuration, value) = seen[0].clone();
    let mut linear = seen.clone();
    linear[0].1 = value - 0.25;
    linear.push((configuration, value + 0.25));
    assert_eq!(
        Importance::new(&space, &linear, Scale::Linear, 5),
        Importance::new(&space, &seen, Scale::Linear, 5)
    );
}

#[test]
fn a_point_of_the_space_sets_every_parameter() {
    let space = space(vec![
        Parameter::boolean("chunked"),
        Parameter::levels("chunk", [1, 2]).only_if("chunked", true),
    ]);
    let on = Configuration::new().with("chunked", true);
    let off = Configuration::new().with("chunked", false);
    assert!(is_point(&space, &off) && is_point(&space, &on.clone().with("chunk", 2)));
    assert!(!is_point(&space, &Configuration::new()));
    assert!(!is_point(&space, &on) && !is_point(&space, &on.clone().with("chunk", 3)));
    assert!(!is_point(&space, &off.with("chunk", 1)));
    assert!(!is_point(&space, &on.with("chunk", 1).with("other", 1)));
}
