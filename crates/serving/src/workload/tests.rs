//! Rates, lengths and windows of schedules.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn synthetic(arrivals: Arrivals, size: Size, seed: u64) -> Synthetic {
    let prompt = LengthLaw::Lognormal { median_tokens: 400.0, sigma: 0.8, max_tokens: 4000 };
    let output = LengthLaw::Uniform { min_tokens: 10, max_tokens: 300 };
    Synthetic { arrivals, lengths: Lengths::Independent { prompt, output }, size, seed }
}

fn schedule(synthetic: Synthetic) -> Result<Schedule, WorkloadError> {
    Workload::Synthetic(synthetic).schedule()
}

/// Mean gap, and coefficient of variation of the gaps.
fn gaps(schedule: &Schedule) -> (f64, f64) {
    let gaps: Vec<f64> =
        schedule.requests.windows(2).map(|pair| pair[1].arrival_s - pair[0].arrival_s).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    (mean, variance.sqrt() / mean)
}

#[test]
fn laws_of_arrival_have_their_rate_and_burstiness() {
    // With 20,000 gaps the standard error of the mean gap is 0.7 % for CV 1.
    let size = Size::Requests(20_000);
    let laws: [(Arrivals, f64); 4] = [
        (Arrivals::Poisson { rate_per_s: 8.0 }, 1.0),
        (Arrivals::Gamma { rate_per_s: 8.0, burstiness: 0.25 }, 2.0),
        (Arrivals::Gamma { rate_per_s: 8.0, burstiness: 4.0 }, 0.5),
        (Arrivals::Constant { rate_per_s: 8.0 }, 0.0),
    ];
    for (arrivals, cv) in laws {
        let (mean, measured) = gaps(&schedule(synthetic(arrivals, size, 1)).unwrap());
        assert!((mean * 8.0 - 1.0).abs() < 0.03 * cv.max(0.01), "{arrivals}: mean gap {mean}");
        assert!((measured - cv).abs() < 0.04 * cv.max(0.01), "{arrivals}: CV {measured}");
    }
}

#[test]
fn a_duration_holds_all_arrivals_before_it() {
    let even = |duration_s| {
        let arrivals = Arrivals::Constant { rate_per_s: 2.0 };
        schedule(synthetic(arrivals, Size::DurationS(duration_s), 1)).unwrap().requests.len()
    };
    assert_eq!((even(0.5), even(0.6), even(10.0)), (1, 2, 20));
    let poisson = Arrivals::Poisson { rate_per_s: 50.0 };
    let long = schedule(synthetic(poisson, Size::DurationS(20.0), 3)).unwrap();
    let by_count = schedule(synthetic(poisson, Size::Requests(100), 3)).unwrap();
    assert_eq!(long.requests[..100], by_count.requests, "the size cuts the same stream");
    assert!(long.requests.iter().all(|request| request.arrival_s < 20.0));
}

#[test]
fn a_closed_loop_has_no_arrival_times() {
    let closed =
        schedule(synthetic(Arrivals::Closed { concurrency: 16 }, Size::Requests(40), 1)).unwrap();
    assert_eq!(closed.load, Load::Closed { concurrency: 16 });
    assert!(closed.requests.iter().all(|request| request.arrival_s.abs() < f64::MIN_POSITIVE));
    assert_eq!(closed.summary().rate_per_s(), None);
}

#[test]
fn lengths_follow_their_laws() {
    let schedule =
        schedule(synthetic(Arrivals::Poisson { rate_per_s: 8.0 }, Size::Requests(10_001), 5))
            .unwrap();
    let mut prompts: Vec<u32> =
        schedule.requests.iter().map(|request| request.prompt_tokens).collect();
    prompts.sort_unstable();
    // The median's standard error is sigma sqrt(pi / 2n) = 1 %.
    assert!(prompts[5000].abs_diff(400) < 12, "median {}", prompts[5000]);
    assert!(prompts[0] >= 1 && prompts[10_000] <= 4000);
    let outputs = schedule.requests.iter().map(|request| request.output_tokens);
    assert_eq!((outputs.clone().min(), outputs.max()), (Some(10), Some(300)));
}

#[test]
fn classes_have_their_shares_and_lengths_within_them() {
    let shares: BTreeMap<LengthClass, f64> =
        LengthClass::ALL.into_iter().zip([0.1, 0.4, 0.3, 0.0, 0.2]).collect();
    let lengths = Lengths::ByClass {
        prompt: LengthLaw::Fixed(100),
        shares: shares.clone(),
        max_output_tokens: 800,
    };
    let arrivals = Arrivals::Poisson { rate_per_s: 1.0 };
    let schedule =
        schedule(Synthetic { arrivals, lengths, size: Size::Requests(10_000), seed: 2 }).unwrap();
    for class in LengthClass::ALL {
        let of_class = |request: &&RequestSpec| LengthClass::of(request.output_tokens) == class;
        let share = schedule.requests.iter().filter(of_class).count() as f64 / 10_000.0;
        assert!((share - shares[&class]).abs() < 0.015, "{}: {share}", class.name());
    }
    let longest = schedule.requests.iter().map(|request| request.output_tokens).max().unwrap();
    assert!((790..=800).contains(&longest));
}

#[test]
fn classes_cover_every_length_once() {
    for class in LengthClass::ALL {
        let bounds = class.output_tokens();
        assert_eq!(LengthClass::of(*bounds.start()), class);
        assert_eq!(LengthClass::of(*bounds.end()), class);
    }
    for pair in LengthClass::ALL.windows(2) {
        assert_eq!(pair[0].output_tokens().end() + 1, *pair[1].output_tokens().start());
    }
}

#[test]
fn an_empirical_law_draws_pairs_that_were_recorded() {
    let from = TraceSource::AzureConversation2023;
    let recorded: std::collections::BTreeSet<(u32, u32)> =
        from.trace().unwrap().requests.iter().map(|r| (r.prompt_tokens, r.output_tokens)).collect();
    let lengths = Lengths::Empirical { from };
    let arrivals = Arrivals::Poisson { rate_per_s: 1.0 };
    let schedule =
        schedule(Synthetic { arrivals, lengths, size: Size::Requests(500), seed: 2 }).unwrap();
    assert!(
        schedule.requests.iter().all(|r| recorded.contains(&(r.prompt_tokens, r.output_tokens)))
    );
}

/// What a seed gives is a promise; a change here needs a line in the changelog.
#[test]
fn schedules_are_stable() {
    let first = |arrivals| {
        let schedule = schedule(synthetic(arrivals, Size::Requests(3), 0)).unwrap();
        schedule
            .requests
            .iter()
            .map(|r| format!("{:.6} {} {}", r.arrival_s, r.prompt_tokens, r.output_tokens))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        first(Arrivals::Poisson { rate_per_s: 1.0 }),
        ["0.128041 315 297", "0.136046 1011 251", "0.459345 163 209"]
    );
    assert_eq!(
        first(Arrivals::Gamma { rate_per_s: 1.0, burstiness: 0.5 }),
        ["0.034656 315 297", "1.905385 1011 251", "2.432156 163 209"]
    );
}

#[test]
fn every_impossible_workload_is_refused_with_its_field() {
    let poisson = |rate_per_s| Arrivals::Poisson { rate_per_s };
    let with_lengths =
        |lengths| Synthetic { lengths, ..synthetic(poisson(1.0), Size::Requests(5), 0) };
    let independent =
        |prompt| with_lengths(Lengths::Independent { prompt, output: LengthLaw::Fixed(5) });
    let by_class = |shares: &[(LengthClass, f64)], max_output_tokens| {
        let shares = shares.iter().copied().collect();
        with_lengths(Lengths::ByClass { prompt: LengthLaw::Fixed(5), shares, max_output_tokens })
    };
    let sized = |arrivals, size| synthetic(arrivals, size, 0);
    let five = Size::Requests(5);
    let cases = [
        (sized(poisson(0.0), five), "`rate_per_s` is 0"),
        (sized(poisson(-1.0), five), "`rate_per_s` is -1"),
        (sized(poisson(f64::NAN), five), "`rate_per_s` is NaN"),
        (sized(poisson(f64::INFINITY), five), "`rate_per_s` is inf"),
        (sized(Arrivals::Constant { rate_per_s: 1e-320 }, five), "`arrival time` is inf"),
        (sized(Arrivals::Gamma { rate_per_s: 1.0, burstiness: 0.0 }, five), "`burstiness` is 0"),
        (
            sized(Arrivals::Gamma { rate_per_s: 1.0, burstiness: 1e-310 }, five),
            "`arrival time` is inf",
        ),
        (sized(Arrivals::Closed { concurrency: 0 }, five), "`concurrency` is 0"),
        (sized(Arrivals::Closed { concurrency: 1 }, Size::DurationS(1.0)), "closed loop"),
        (sized(poisson(1.0), Size::Requests(0)), "`size.requests` is 0"),
        (sized(poisson(1.0), Size::Requests(u32::MAX)), "more than 10000000 requests"),
        (sized(poisson(1.0), Size::DurationS(f64::INFINITY)), "`size.duration_s` is inf"),
        (sized(poisson(1e9), Size::DurationS(1e9)), "more than 10000000 requests"),
        (sized(poisson(1e-3), Size::DurationS(5.0)), "no request arrives within 5 s"),
        (independent(LengthLaw::Fixed(0)), "prompt lengths may be 0"),
        (
            independent(LengthLaw::Uniform { min_tokens: 0, max_tokens: 9 }),
            "prompt lengths may be 0",
        ),
        (independent(LengthLaw::Uniform { min_tokens: 9, max_tokens: 8 }), "swap them"),
        (
            independent(LengthLaw::Lognormal { median_tokens: 0.0, sigma: 1.0, max_tokens: 9 }),
            "`median_tokens` is 0",
        ),
        (
            independent(LengthLaw::Lognormal {
                median_tokens: 9.0,
                sigma: f64::NAN,
                max_tokens: 9,
            }),
            "`sigma` is NaN",
        ),
        (
            independent(LengthLaw::Lognormal { median_tokens: 9.0, sigma: 1.0, max_tokens: 0 }),
            "may be 0",
        ),
        (by_class(&[], 900), "come to 0"),
        (by_class(&[(LengthClass::Tiny, 0.5)], 900), "come to 0.5"),
        (by_class(&[(LengthClass::Tiny, f64::NAN)], 900), "`tiny` is NaN"),
        (by_class(&[(LengthClass::VeryLong, 1.0)], 499), "`max_output_tokens` is 499"),
    ];
    for (synthetic, expected) in cases {
        let error = schedule(synthetic).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    }
}

fn replay(start_s: f64, size: Option<Size>, rate: ReplayRate) -> Replay {
    Replay { trace: TraceSource::AzureConversation2023, start_s, size, rate }
}

#[test]
fn a_replay_cuts_its_window_and_keeps_its_place_in_time() {
    let whole = TraceSource::AzureConversation2023.trace().unwrap();
    let window =
        replay(600.0, Some(Size::DurationS(300.0)), ReplayRate::Recorded).schedule().unwrap();
    let expected = whole.requests.iter().filter(|r| (600.0..900.0).contains(&r.arrival_s));
    assert_eq!(window.requests.len(), expected.clone().count());
    for (cut, recorded) in window.requests.iter().zip(expected) {
        assert!((cut.arrival_s - (recorded.arrival_s - 600.0)).abs() < 1e-9);
        assert_eq!(cut.output_tokens, recorded.output_tokens);
    }
    let counted = replay(600.0, Some(Size::Requests(50)), ReplayRate::Recorded).schedule().unwrap();
    assert_eq!(counted.requests, window.requests[..50]);
}

#[test]
fn impossible_replays_are_refused() {
    let cases = [
        (replay(-1.0, None, ReplayRate::Recorded), "`start_s` is -1"),
        (replay(f64::NAN, None, ReplayRate::Recorded), "`start_s` is NaN"),
        (replay(1e6, None, ReplayRate::Recorded), "has no request from 1000000 s on"),
        (
            replay(0.0, Some(Size::Requests(20_000)), ReplayRate::Recorded),
            "has 19366 requests from 0 s on, not 20000",
        ),
        (replay(0.0, None, ReplayRate::Factor(0.0)), "`rate.factor` is 0"),
        (replay(0.0, None, ReplayRate::MeanPerS(f64::NAN)), "`rate.mean_per_s` is NaN"),
        (replay(0.0, Some(Size::Requests(1)), ReplayRate::MeanPerS(1.0)), "arrive at once"),
        (replay(0.0, None, ReplayRate::Factor(1e-320)), "`arrival time` is inf"),
    ];
    for (replay, expected) in cases {
        let error = Workload::Replay(replay).schedule().unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    }
    let missing = Replay {
        trace: TraceSource::File("nowhere.csv".into()),
        ..replay(0.0, None, ReplayRate::Recorded)
    };
    let error = Workload::Replay(missing).schedule().unwrap_err().to_string();
    assert!(error.starts_with("nowhere.csv cannot be read: "), "{error}");
}

#[test]
fn workloads_say_what_they_are_and_survive_a_file() {
    let shares = [(LengthClass::Short, 0.75), (LengthClass::VeryLong, 0.25)].into_iter().collect();
    let lengths =
        Lengths::ByClass { prompt: LengthLaw::Fixed(200), shares, max_output_tokens: 1000 };
    let arrivals = Arrivals::Gamma { rate_per_s: 4.5, burstiness: 0.5 };
    let by_class =
        Workload::Synthetic(Synthetic { arrivals, lengths, size: Size::DurationS(60.0), seed: 3 });
    assert_eq!(
        by_class.to_string(),
        "60 s, gamma arrivals at 4.5/s (burstiness 0.5), prompts 200 tokens, outputs up to 1000 tokens: 75% short, \
         25% very_long, seed 3"
    );
    let window =
        Workload::Replay(replay(600.0, Some(Size::DurationS(300.0)), ReplayRate::MeanPerS(8.0)));
    assert_eq!(
        window.to_string(),
        "replay of azure_llm_2023_conv from 600 s, 300 s, at 8/s on average"
    );
    let file = Workload::Replay(Replay {
        trace: TraceSource::File("traces/mine.csv".into()),
        ..replay(0.0, None, ReplayRate::Recorded)
    });
    assert_eq!(file.to_string(), "replay of mine.csv from 0 s to its end, at the recorded rate");
    for workload in [by_class, window, file] {
        let json = serde_json::to_string(&workload).unwrap();
        assert_eq!(serde_json::from_str::<Workload>(&json).unwrap(), workload, "{json}");
    }
    let written = r#"{"kind": "replay", "trace": "azure_llm_2023_conv", "rate": {"factor": 2}}"#;
    assert_eq!(
        serde_json::from_str::<Workload>(written).unwrap(),
        Workload::Replay(replay(0.0, None, ReplayRate::Factor(2.0)))
    );
    let mistyped = r#"{"kind": "replay", "trace": "azure_llm_2023_conv", "start": 5}"#;
    assert!(serde_json::from_str::<Workload>(mistyped).is_err());
}

#[test]
fn a_summary_counts_tokens_and_rate() {
    let schedule =
        schedule(synthetic(Arrivals::Constant { rate_per_s: 4.0 }, Size::Requests(9), 1)).unwrap();
    let summary = schedule.summary();
    assert_eq!(
        summary.prompt_tokens,
        schedule.requests.iter().map(|r| u64::from(r.prompt_tokens)).sum::<u64>()
    );
    assert_eq!(summary.rate_per_s(), Some(4.0));
    assert!(summary.to_string().starts_with("9 requests over 2.0 s (4.00/s), "), "{summary}");
    let from_a_file = ScheduleSummary { requests: 0, ..summary };
    assert_eq!(from_a_file.rate_per_s(), Some(0.0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn scaling_keeps_order_and_reaches_the_rate(start_s in 0.0..3000.0, count in 2_u32..400, rate in 0.01..500.0) {
        let recorded = replay(start_s, Some(Size::Requests(count)), ReplayRate::Recorded).schedule().unwrap();
        let scaled = replay(start_s, Some(Size::Requests(count)), ReplayRate::MeanPerS(rate)).schedule().unwrap();
        prop_assert_eq!(scaled.requests.len(), recorded.requests.len());
        prop_assert!(scaled.requests.is_sorted_by(|a, b| a.arrival_s <= b.arrival_s));
        let reached = scaled.summary().rate_per_s().unwrap();
        prop_assert!((reached / rate - 1.0).abs() < 1e-9, "{} for {}", reached, rate);
        let tokens = |schedule: &Schedule| (schedule.summary().prompt_tokens, schedule.summary().output_tokens);
        prop_assert_eq!(tokens(&scaled), tokens(&recorded));
    }

    #[test]
    fn one_seed_gives_one_schedule(seed: u64, rate_per_s in 0.1..100.0) {
        let draw = |seed| schedule(synthetic(Arrivals::Poisson { rate_per_s }, Size::Requests(20), seed)).unwrap();
        prop_assert_eq!(draw(seed), draw(seed));
        prop_assert_ne!(draw(seed), draw(seed ^ 1));
    }
}

#[test]
fn a_redraw_is_the_same_law_with_other_requests() {
    let own = synthetic(Arrivals::Poisson { rate_per_s: 8.0 }, Size::Requests(50), 3);
    let own = Workload::Synthetic(own);
    assert_eq!(own.draw(0).unwrap(), own.schedule().unwrap());
    assert_eq!(own.draw(1).unwrap(), own.draw(1).unwrap(), "a function of workload and number");
    let schedules = [0, 1, 2].map(|number| own.draw(number).unwrap());
    assert!(schedules[0] != schedules[1] && schedules[1] != schedules[2]);
    assert!(schedules.iter().all(|schedule| schedule.requests.len() == 50));
}

#[test]
fn a_redraw_of_a_replay_is_the_next_window() {
    let all = replay(0.0, None, ReplayRate::Recorded).trace.trace().unwrap().requests;
    let window = |draw| {
        let own = replay(0.0, Some(Size::Requests(1000)), ReplayRate::MeanPerS(24.0));
        let schedule = Workload::Replay(own).draw(draw).unwrap();
        let lengths = schedule.requests.iter().map(|r| (r.prompt_tokens, r.output_tokens));
        (lengths.collect::<Vec<_>>(), schedule.summary().rate_per_s().unwrap())
    };
    let recorded = |from: usize| -> Vec<(u32, u32)> {
        all[from..from + 1000].iter().map(|r| (r.prompt_tokens, r.output_tokens)).collect()
    };
    // 19,366 requests: the last window ends with them.
    for (draw, from) in [(0, 0), (1, 1000), (18, 18_000), (19, 18_366)] {
        let (lengths, rate_per_s) = window(draw);
        assert_eq!(lengths, recorded(from), "draw {draw}");
        assert!((rate_per_s / 24.0 - 1.0).abs() < 1e-9, "draw {draw}: {rate_per_s}");
    }
    let too_long =
        Workload::Replay(replay(0.0, Some(Size::Requests(20_000)), ReplayRate::Recorded));
    assert!(too_long.draw(3).is_err(), "what is wrong is said");
    let minute = replay(5.0, Some(Size::DurationS(60.0)), ReplayRate::Recorded);
    let third = Replay { start_s: 125.0, ..minute.clone() };
    assert_eq!(Workload::Replay(minute).draw(2), Workload::Replay(third).draw(0));
    // Half an hour and more: an hour holds no more after it, but one before it.
    let half = replay(1800.0, Some(Size::DurationS(1750.0)), ReplayRate::Recorded);
    let before = Replay { start_s: 0.0, ..half.clone() };
    assert_eq!(Workload::Replay(half).draw(1), Workload::Replay(before).draw(0));
}

#[test]
fn where_a_trace_has_no_other_window_its_requests_change_places() {
    let sorted = |schedule: &Schedule| {
        let mut all: Vec<_> =
            schedule.requests.iter().map(|r| (r.prompt_tokens, r.output_tokens)).collect();
        all.sort_unstable();
        all
    };
    let arrivals = |schedule: &Schedule| -> Vec<u64> {
        schedule.requests.iter().map(|r| r.arrival_s.to_bits()).collect()
    };
    let whole = Workload::Replay(replay(0.0, None, ReplayRate::MeanPerS(24.0)));
    let draws = [0, 1, 2].map(|number| whole.draw(number).unwrap());
    for draw in &draws[1..] {
        assert_eq!(arrivals(draw), arrivals(&draws[0]));
        assert_eq!(sorted(draw), sorted(&draws[0]));
        let moved = draw.requests.iter().zip(&draws[0].requests).filter(|(a, b)| a != b).count();
        assert!(moved > 19_000, "{moved}");
    }
    assert_ne!(draws[1], draws[2]);
    assert_eq!(whole.draw(2).unwrap(), draws[2], "a function of workload and number");
    // With two windows the second is the first other draw; from then on places change.
    let half = Workload::Replay(replay(0.0, Some(Size::Requests(9683)), ReplayRate::Recorded));
    let draws = [0, 1, 2, 3].map(|number| half.draw(number).unwrap());
    assert_ne!(sorted(&draws[1]), sorted(&draws[0]));
    assert_eq!(sorted(&draws[2]), sorted(&draws[0]));
    assert_eq!(sorted(&draws[3]), sorted(&draws[1]));
    assert!(draws[2] != draws[0] && draws[3] != draws[1]);
}

#[test]
fn a_trace_is_named_as_from_a_folder() {
    let from = |path: &str| Replay {
        trace: TraceSource::File(path.into()),
        ..replay(0.0, None, ReplayRate::Recorded)
    };
    for (path, folder, named) in [
        ("my/requests.csv", "my", "requests.csv"),
        ("requests.csv", "", "requests.csv"),
        ("/data/requests.csv", "my", "/data/requests.csv"),
        ("my/../requests.csv", "my", "../requests.csv"),
    ] {
        let named = Workload::Replay(from(named));
        assert_eq!(Workload::Replay(from(path)).relative_to(folder.as_ref()), named);
    }
    let lengths = Lengths::Empirical { from: TraceSource::File("my/requests.csv".into()) };
    let drawn = synthetic(Arrivals::Poisson { rate_per_s: 8.0 }, Size::Requests(50), 3);
    let drawn = Workload::Synthetic(Synthetic { lengths, ..drawn });
    assert!(drawn.relative_to("my".as_ref()).to_string().contains(" requests.csv"), "{drawn}");
}
