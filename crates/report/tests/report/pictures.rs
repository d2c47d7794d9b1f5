//! What the pictures may not do: show a length that means nothing, or hide what they show.

use std::{collections::BTreeMap, convert::Infallible, fs, path::Path};

use resvg::usvg::roxmltree::Document;
use slotune_core::{Configuration, Constraint, Goal, Measurement, Outcome};
use slotune_report::week3;
use slotune_results::{ResultSet, StudyRole};

use crate::synthetic::{configuration, labelled, main_job, records, set, study, trial};

/// Colours of the servers.
const SERVERS: [&str; 3] = ["#E69F00", "#56B4E9", "#009E73"];

/// The pictures of a set as SVG, by name.
fn pictures(set: &ResultSet) -> BTreeMap<String, String> {
    let folder = tempfile::tempdir().expect("a folder");
    let written = week3::write(set, |t| Ok::<_, Infallible>(records(t)), folder.path())
        .expect("the folder is writable");
    let is_svg = |path: &&Path| path.extension().is_some_and(|ending| ending == "svg");
    let paths = written.pictures.iter().map(std::path::PathBuf::as_path).filter(is_svg);
    let read = |path: &Path| {
        let name = path.file_stem().expect("a file").to_string_lossy().into_owned();
        (name, fs::read_to_string(path).expect("text"))
    };
    paths.map(read).collect()
}

/// How many elements of a kind are filled with a colour of a server.
fn filled(svg: &str, element: &str) -> usize {
    let picture = Document::parse(svg).expect("well-formed");
    let is_of_server = |node: &resvg::usvg::roxmltree::Node<'_, '_>| {
        node.tag_name().name() == element
            && node.attribute("fill").is_some_and(|fill| SERVERS.contains(&fill))
    };
    picture.descendants().filter(is_of_server).count()
}

/// A baseline, a default and a found server with these P50, P95 and P99 of E2E latency.
fn with_latencies(latencies: [[f64; 3]; 3]) -> ResultSet {
    let of = |[p50, p95, p99]: [f64; 3]| {
        let measurement = Measurement::new()
            .with("e2e_p50_s", p50)
            .with("e2e_p95_s", p95)
            .with("e2e_p99_s", p99)
            .with("output_throughput_tok_per_s", 2000.0)
            .with("e2e_p95_very_long_s", 1.0)
            .with("queue_share", 0.1);
        Outcome::Completed(measurement)
    };
    let [baseline, default, found] = latencies;
    let reference = |label, id, seqs, of| {
        labelled(label, trial("reference", id, configuration(seqs, 0.9, true), of))
    };
    let studies = vec![
        study("reference", StudyRole::Reference, "given", 2),
        study("search", StudyRole::Search, "bayesian", 1),
    ];
    let trials = vec![
        reference("baseline", 0, 256, of(baseline)),
        reference("default", 1, 512, of(default)),
        trial("search", 0, configuration(1024, 0.9, true), of(found)),
    ];
    set(studies, trials)
}

#[test]
fn a_log_scale_has_dots_and_a_scale_from_zero_bars() {
    let near = [[1.0, 2.0, 3.0], [0.9, 1.8, 2.7], [0.8, 1.6, 2.4]];
    let far = [[1.0, 20.0, 30.0], [0.9, 1.8, 2.7], [0.8, 1.6, 2.4]];
    // Nine values, and a mark for each server in the legend.
    for (latencies, scale, bars, dots) in
        [(near, ">seconds<", 12, 0), (far, ">seconds, log scale<", 0, 12)]
    {
        let pictures = pictures(&with_latencies(latencies));
        let svg = &pictures["latency_percentiles_comparison"];
        let text: String = svg.split_whitespace().collect::<Vec<_>>().join(" ");
        let text = text.replace("> ", ">").replace(" <", "<");
        assert!(text.contains(scale), "{text}");
        assert_eq!((filled(svg, "rect"), filled(svg, "circle")), (bars, dots), "{scale}");
    }
}

#[test]
fn the_axis_of_importance_ends_with_what_is_on_it() {
    let pictures = pictures(&main_job());
    let picture = Document::parse(&pictures["parameter_importance"]).expect("well-formed");
    let number = |text: &str| text.parse::<f64>().expect("a number");
    // The left panel: the longest level line in the colour of axes, and level whiskers in ink.
    let level = |colour: &str| -> Vec<(f64, f64)> {
        let lines = picture.descendants().filter(|n| n.attribute("stroke") == Some(colour));
        let ends = |line: resvg::usvg::roxmltree::Node<'_, '_>| {
            let points = line.attribute("points")?;
            let points: Vec<(f64, f64)> = points
                .split_whitespace()
                .filter_map(|point| point.split_once(','))
                .map(|(x, y)| (number(x), number(y)))
                .collect();
            let [(left, top), (right, bottom)] = points[..] else { return None };
            (left < right && (top - bottom).abs() < 0.5 && right < 600.0).then_some((left, right))
        };
        lines.filter_map(ends).collect()
    };
    let axis =
        level("#6E6E6E").into_iter().reduce(|a, b| if b.1 - b.0 > a.1 - a.0 { b } else { a });
    let (left, right) = axis.expect("there is an axis");
    let furthest = level("#222222").into_iter().map(|(_, end)| end).fold(0.0, f64::max);
    assert!(right - furthest <= 0.02 * (right - left), "{left} to {right}, used to {furthest}");
}

/// The dashboard of a search whose trials have these throughputs, the target being 1,000; latency falls with it.
fn dashboard(throughputs: &[f64]) -> String {
    dashboard_of(throughputs, |throughput| 2.0 - throughput / 4000.0)
}

/// The same with another latency, seconds.
fn dashboard_of(throughputs: &[f64], latency_s: fn(f64) -> f64) -> String {
    let trials = throughputs.iter().zip(0..).map(|(throughput, id)| {
        let measurement = Measurement::new()
            .with("e2e_p95_s", latency_s(*throughput))
            .with("output_throughput_tok_per_s", *throughput);
        trial("search", id, Configuration::new(), Outcome::Completed(measurement))
    });
    let studies = vec![study("search", StudyRole::Search, "bayesian", throughputs.len() as u64)];
    let mut set = set(studies, trials.collect());
    set.manifest.objective.constraints =
        vec![Constraint::at_least("output_throughput_tok_per_s", 1000.0)];
    set.manifest.objective =
        set.manifest.objective.against(Goal::maximise("output_throughput_tok_per_s"));
    pictures(&set).remove("optimization_summary_dashboard").expect("it is drawn")
}

#[test]
fn what_draws_the_eye_outside_of_the_targets_says_which_it_is() {
    let one = dashboard(&[1200.0, 900.0, 1400.0]);
    assert!(one.contains("trial 1 of search") && one.contains("misses output throughput"), "{one}");
    let two = dashboard(&[1200.0, 900.0, 950.0, 1400.0]);
    assert!(!two.contains("trial 1") && !two.contains("trial 2"));
    // One that is better than all others asks why it was not taken.
    let best = dashboard_of(&[1200.0, 900.0, 950.0, 1400.0], |throughput| throughput / 1000.0);
    assert!(best.contains("trial 1 of search") && !best.contains("trial 2"), "{best}");
    // Either way they stand back, in grey.
    for (svg, rings) in [(one, 1), (two, 2)] {
        let picture = Document::parse(&svg).expect("well-formed");
        let grey = picture.descendants().filter(|node| {
            node.tag_name().name() == "circle" && node.attribute("stroke") == Some("#6E6E6E")
        });
        assert_eq!(grey.count(), rings + 1, "and the legend's");
        assert!(svg.contains("none beats these in both"));
    }
}

#[test]
fn the_name_of_a_point_keeps_off_the_line_of_the_target_where_it_can() {
    let anchor = |svg: &str| {
        let picture = Document::parse(svg).expect("well-formed");
        let name = picture.descendants().find(|node| {
            node.tag_name().name() == "text"
                && node.text().is_some_and(|text| text.trim() == "trial 1 of search")
        });
        let name = name.expect("it is named");
        name.attribute("text-anchor").unwrap_or("start").to_owned()
    };
    // Left of the middle with the line close by on the right.
    let close = dashboard_of(&[1400.0, 850.0, 400.0, 1050.0], |t| 0.5 + (t - 850.0).abs() / 1e3);
    assert_eq!(anchor(&close), "end");
    // Far on the left, and the line far on the right.
    assert_eq!(anchor(&dashboard(&[1050.0, 600.0, 1400.0])), "start");
    // Far on the left, where neither side has room: nothing of the name is cut off.
    assert_eq!(anchor(&dashboard(&[1200.0, 950.0, 1400.0])), "start");
}

#[test]
fn trials_are_left_out_only_where_the_others_get_room_by_it() {
    let spread = dashboard(&[100.0, 100.0, 1000.0, 1200.0]);
    assert!(spread.contains("2 more on the left"), "{spread}");
    // All others within a hundredth of each other: their axis would begin at zero and hold all.
    let close = dashboard(&[100.0, 100.0, 1000.0, 1001.0]);
    assert!(!close.contains("more on the left"), "{close}");
}
