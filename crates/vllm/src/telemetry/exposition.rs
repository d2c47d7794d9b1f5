//! Prometheus' text format, as far as vLLM's `/metrics` needs it.
//!
//! One sample a line: a name, labels in braces, a value, perhaps a time. Lines that are none are
//! passed over, since an exposition may hold anything besides what is looked for.

use std::collections::BTreeMap;

/// The samples of one scrape, by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Exposition(BTreeMap<String, Vec<Sample>>);

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Exposition {
    /// Reads the text of a scrape.
    pub(crate) fn parse(text: &str) -> Self {
        let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for (name, sample) in text.lines().filter_map(parse_line) {
            samples.entry(name.to_owned()).or_default().push(sample);
        }
        Self(samples)
    }

    /// The sum over all series of that name: vLLM has one an engine, and for some counters one a
    /// reason. `None` where there is no series.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        self.0.get(name).map(|samples| samples.iter().map(|sample| sample.value).sum())
    }

    /// The same over the series that have a label of that value.
    pub(crate) fn sum_where(&self, name: &str, label: &str, value: &str) -> Option<f64> {
        let has = |sample: &&Sample| sample.labels.get(label).is_some_and(|label| label == value);
        let samples = self.0.get(name)?;
        Some(samples.iter().filter(has).map(|sample| sample.value).sum())
    }

    /// The largest value over all series of that name.
    pub(crate) fn largest(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.iter().map(|sample| sample.value).max_by(f64::total_cmp)
    }

    /// A label of the first series of that name.
    pub(crate) fn label(&self, name: &str, label: &str) -> Option<&str> {
        self.0.get(name)?.first()?.labels.get(label).map(String::as_str)
    }
}

fn parse_line(line: &str) -> Option<(&str, Sample)> {
    let line = line.trim_start();
    let end = line.find(|c: char| c == '{' || c.is_whitespace())?;
    let (name, rest) = line.split_at(end);
    if name.is_empty() || name.starts_with('#') {
        return None;
    }
    let (labels, rest) = match rest.strip_prefix('{') {
        Some(rest) => parse_labels(rest)?,
        None => (BTreeMap::new(), rest),
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name, Sample { labels, value }))
}

/// Labels up to the closing brace, and what follows it.
fn parse_labels(mut rest: &str) -> Option<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        rest = rest.trim_start_matches([',', ' ']);
        if let Some(rest) = rest.strip_prefix('}') {
            return Some((labels, rest));
        }
        let (name, value) = rest.split_once("=\"")?;
        let (value, after) = parse_quoted(value)?;
        labels.insert(name.trim().to_owned(), value);
        rest = after;
    }
}

/// Text up to the closing quote with its escapes resolved, and what follows it.
fn parse_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return Some((value, &text[position + 1..])),
            '\\' => value.push(match characters.next()?.1 {
                'n' => '\n',
                escaped => escaped,
            }),
            plain => value.push(plain),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_over_their_series() {
        let text = "\
# HELP vllm:x_total Something.\n# TYPE vllm:x_total counter\n\
vllm:x_total{engine=\"0\",reason=\"a\"} 3.0\nvllm:x_total{engine=\"1\",reason=\"b\"} 4 1795570\n\
plain 1e3\nlone{} NaN\n";
        let exposition = Exposition::parse(text);
        assert_eq!(exposition.sum("vllm:x_total"), Some(7.0));
        assert_eq!(exposition.largest("vllm:x_total"), Some(4.0));
        assert_eq!(exposition.sum_where("vllm:x_total", "reason", "a"), Some(3.0));
        assert_eq!(exposition.sum_where("vllm:x_total", "reason", "c"), Some(0.0));
        assert_eq!(exposition.sum("plain"), Some(1000.0));
        assert!(exposition.sum("lone").is_some_and(f64::is_nan));
        assert_eq!(exposition.sum("vllm:x"), None);
    }

    #[test]
    fn labels_may_hold_anything() {
        let text = r#"info{path="a\\b",quoted="say \"hi\", {now}",empty="",line="x\ny"} 1.0"#;
        let exposition = Exposition::parse(text);
        let label = |name| exposition.label("info", name);
        assert_eq!(label("path"), Some(r"a\b"));
        assert_eq!(label("quoted"), Some(r#"say "hi", {now}"#));
        assert_eq!(label("empty"), Some(""));
        assert_eq!(label("line"), Some("x\ny"));
        assert_eq!(label("other"), None);
    }

    #[test]
    fn what_is_no_sample_is_passed_over() {
        for text in
            ["", "\n\n", "name", "name{", "name{a=\"b", "name{a=\"b\"}", "x{} y", "{} 1", "# a 1"]
        {
            assert_eq!(Exposition::parse(text), Exposition::default(), "{text:?}");
        }
    }
}
