//! The page as one HTML file: whole by itself, with every trial, and safe to open.

use std::{collections::BTreeMap, convert::Infallible, fs};

use crate::synthetic::{configuration, main_job, records, trial};
use resvg::usvg::roxmltree::{Document, Node, ParsingOptions};
use slotune_core::{Outcome, Reason, State};
use slotune_report::week3;
use slotune_results::ResultSet;
use slotune_serving::{Caveat, CaveatClass};

/// What could be markup, a link, a picture or the end of a cell.
const HOSTILE: &str = "<script>alert(1)</script> <img src=\"https://example.org/x.png\" onerror=\"alert(1)\"/> [click](javascript:alert(1)) ![see](https://example.org/y.png) </td> & \u{1b}[31m 'red'";

fn html(set: &ResultSet) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let written = week3::write(set, |t| Ok::<_, Infallible>(records(t)), folder.path())
        .expect("the folder is writable");
    assert_eq!(written.html, folder.path().join(week3::HTML_PAGE));
    fs::read_to_string(written.html).expect("text")
}

/// The page, read by an XML parser, which forgives nothing.
fn parse(html: &str) -> Document<'_> {
    let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
    Document::parse_with_options(html, options).expect("the page is well-formed")
}

fn elements<'a>(page: &'a Document<'_>, name: &'static str) -> impl Iterator<Item = Node<'a, 'a>> {
    page.descendants().filter(move |node| node.tag_name().name() == name)
}

/// All text within a node.
fn text(node: Node<'_, '_>) -> String {
    node.descendants().filter(Node::is_text).filter_map(|node| node.text()).collect()
}

/// The cells of the trial table.
fn rows(page: &Document<'_>) -> Vec<Vec<String>> {
    let table = elements(page, "table").find(|table| table.attribute("class") == Some("sortable"));
    let body = table.expect("it is there").children().find(|node| node.has_tag_name("tbody"));
    let rows = body.expect("it has rows").children().filter(|node| node.has_tag_name("tr"));
    rows.map(|row| row.children().filter(Node::is_element).map(text).collect()).collect()
}

/// A set in which everything that comes from outside is hostile.
fn hostile() -> ResultSet {
    let mut set = main_job();
    set.manifest.command = HOSTILE.into();
    set.manifest.backend.model = HOSTILE.into();
    set.manifest.backend.hardware.gpu = Some(HOSTILE.to_owned());
    set.trials[0].caveats.push(Caveat::new(CaveatClass::ClientLate, HOSTILE));
    for outcome in [Outcome::Infeasible, Outcome::Failed] {
        let told = outcome(Reason::new("memory", HOSTILE));
        let id = set.study("grid").count() as u64;
        set.trials.push(trial("grid", id, configuration(256, 0.7, true), told));
    }
    set
}

#[test]
fn every_trial_has_one_row() {
    let mut set = main_job();
    set.trials.last_mut().expect("it has trials").entry.state = State::Pending;
    let html = html(&set);
    let rows = rows(&parse(&html));
    let expected: Vec<String> = set
        .trials
        .iter()
        .map(|t| {
            let label = t.label.as_ref().map_or(String::new(), |label| format!(" ({label})"));
            format!("{}{label}/{}", t.study, t.entry.trial.id)
        })
        .collect();
    let shown: Vec<String> = rows.iter().map(|row| format!("{}/{}", row[0], row[1])).collect();
    assert_eq!(shown, expected);
    assert_eq!(
        rows[0],
        [
            "reference (baseline)",
            "0",
            "misses output throughput ≥ 1,200 tok/s (reached 949 tok/s), P95 E2E latency, very long (500+ tokens) ≤ 3 s (reached 20.4 s) and queue share of E2E latency ≤ 50% (reached 85.5%)",
            "enable_chunked_prefill=on gpu_memory_utilization=0.9 max_num_seqs=256 stream_interval=1",
            "14.1 ± 0.2 s",
            "949 tok/s",
            "20.4 ± 0.2 s",
            "85 ± 1%",
            "",
        ]
    );
    assert_eq!(rows[1][2], "meets all targets");
    assert_eq!(rows.last().expect("it has rows")[2], "not finished");
    let died = rows.iter().find(|row| row[2].starts_with("cannot run")).expect("some did");
    assert!(died[2].starts_with("cannot run (memory): torch.OutOfMemoryError: CUDA out of memory"));
    assert_eq!(died[4..8], ["n/a"; 4]);
}

#[test]
fn the_page_says_what_the_markdown_page_says() {
    let set = main_job();
    let html = html(&set);
    let page = parse(&html);
    let markdown = week3::page(&set).expect("it can be filled");
    let mut in_code = false;
    let headings: Vec<&str> = markdown
        .lines()
        .filter(|line| {
            in_code ^= line.starts_with("```");
            !in_code && line.starts_with('#')
        })
        .map(|line| line.trim_start_matches('#').trim())
        .chain(["All Trials"])
        .collect();
    let shown: Vec<String> = page
        .descendants()
        .filter(|n| matches!(n.tag_name().name(), "h1" | "h2" | "h3"))
        .map(text)
        .collect();
    assert_eq!(shown, headings);
    let tables = markdown.lines().filter(|line| line.starts_with("|---")).count();
    assert_eq!(elements(&page, "table").count(), tables + 1, "and that of all trials");
    let svgs: Vec<_> = elements(&page, "svg").map(|svg| svg.attribute("aria-label")).collect();
    let captions = [
        "Importance of each parameter for the P95 E2E latency, and the strongest pair",
        "Effect of each parameter on the P95 E2E latency",
        "Queue time before and after",
        "Throughput before and after",
        "Percentiles and distribution of E2E latency",
        "Complete overview: minimize P95 E2E latency",
    ];
    assert_eq!(svgs, captions.map(Some));
}

#[test]
fn the_page_needs_nothing_beside_it() {
    for set in [main_job(), hostile()] {
        let html = html(&set);
        let page = parse(&html);
        let mut anchors: BTreeMap<&str, usize> = BTreeMap::new();
        for id in page.descendants().filter_map(|node| node.attribute("id")) {
            *anchors.entry(id).or_default() += 1;
        }
        assert!(anchors.values().all(|&times| times == 1), "{anchors:?}");
        for node in page.descendants().filter(Node::is_element) {
            for attribute in node.attributes() {
                match attribute.name() {
                    "href" => {
                        let target = attribute.value().strip_prefix('#').expect("within the page");
                        assert!(anchors.contains_key(target), "{target}");
                    }
                    "src" | "srcset" | "style" | "data" | "action" => panic!("{attribute:?}"),
                    name => assert!(!name.starts_with("on"), "{attribute:?}"),
                }
            }
        }
        for style in elements(&page, "style").map(text) {
            assert!(!style.contains("url(") && !style.contains("@import"));
        }
        assert!(html.contains("content=\"default-src 'none';"));
    }
}

#[test]
fn text_from_outside_stays_text() {
    let html = html(&hostile());
    let page = parse(&html);
    assert_eq!(elements(&page, "script").count(), 1, "the page's own");
    for name in ["img", "image", "iframe", "object", "form", "foreignObject"] {
        assert_eq!(elements(&page, name).count(), 0, "{name}");
    }
    let rows = rows(&page);
    // The control character that begins a colour is no character of HTML.
    let shown = HOSTILE.replace('\u{1b}', "\u{fffd}");
    assert_eq!(rows[0][8], format!("client_late: {shown}"));
    assert!(shown.chars().count() > 160, "it is cut");
    let cut: String = shown.chars().take(160).collect();
    assert_eq!(rows[rows.len() - 2][2], format!("cannot run (memory): {cut}…"));
    assert_eq!(rows[rows.len() - 1][2], format!("failed (memory): {cut}…"));
    assert_eq!(
        elements(&page, "title").map(text).next(),
        Some(format!("Optimization Results: {shown}"))
    );
}

#[test]
fn pictures_follow_the_page_into_the_dark() {
    let html = html(&main_job());
    // The greys of the pictures, which the style sheet maps to those of the page.
    for mapped in ["fill=\"#FFFFFF\"", "fill=\"#222222\"", "fill=\"#6E6E6E\"", "stroke=\"#E1E1E1\""]
    {
        assert!(html.contains(&format!("svg [{mapped}]")), "{mapped} is mapped");
        assert!(html.matches(mapped).count() > 1, "{mapped} is drawn");
    }
}

/// The colours of the page by the names of its style sheet: on a screen in the light and in the dark, and in
/// print.
fn palettes(html: &str) -> [BTreeMap<String, [f64; 3]>; 3] {
    let sheet = html.split("<style>").nth(1).and_then(|rest| rest.split("</style>").next());
    let sheet = sheet.expect("a style sheet");
    let of = |text: &str| {
        let root = text.split(":root {").nth(1).and_then(|rest| rest.split('}').next());
        let declared = root.expect("a palette").split(';').filter_map(|one| one.split_once(':'));
        let colours = declared.filter_map(|(name, value)| {
            let hex = value.trim().strip_prefix('#')?;
            let wide: String = match hex.len() {
                3 => hex.chars().flat_map(|digit| [digit, digit]).collect(),
                _ => hex.to_owned(),
            };
            let channel = |i: usize| u8::from_str_radix(&wide[2 * i..2 * i + 2], 16).expect("hex");
            Some((name.trim().to_owned(), [0, 1, 2].map(|i| f64::from(channel(i)) / 255.0)))
        });
        colours.collect()
    };
    let after = |mark: &str| sheet.split(mark).nth(1).expect("it is there");
    [of(sheet), of(after("@media (prefers-color-scheme: dark)")), of(after("@media print"))]
}

/// The contrast of two colours, from 1 to 21 (WCAG 2.2).
fn contrast(one: [f64; 3], other: [f64; 3]) -> f64 {
    let luminance = |colour: [f64; 3]| {
        let [r, g, b] = colour.map(|share| {
            if share <= 0.040_45 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * r + 0.7152 * g + 0.0722 * b
    };
    let (a, b) = (luminance(one), luminance(other));
    (a.max(b) + 0.05) / (a.min(b) + 0.05)
}

#[test]
fn text_can_be_read_in_the_light_in_the_dark_and_in_print() {
    let html = html(&main_job());
    let palettes = palettes(&html);
    for (palette, place) in palettes.iter().zip(["light", "dark", "print"]) {
        for paper in ["--paper", "--shade"] {
            for ink in ["--ink", "--grey", "--link"] {
                let contrast = contrast(palette[ink], palette[paper]);
                // The least that WCAG 2.2 asks of text at level AA.
                assert!(contrast >= 4.5, "{place}: {ink} on {paper} has {contrast:.2}");
            }
        }
    }
    let [light, dark, print] = palettes;
    assert!(contrast(light["--paper"], dark["--paper"]) > 10.0, "the dark is dark");
    assert!(contrast(print["--paper"], [0.0; 3]) > 20.99, "print costs no ink for paper");
}
