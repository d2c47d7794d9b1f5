//! The finals on the page: their section, and what other sections say of them.

use slotune_results::{DEFAULT, StoredTrial};

use super::{tables::Table, wording::configuration};
use crate::{
    analysis::{Analysis, Contender, Final, Judgement},
    finals::{
        ContenderReport, FinalReport, FinalsReport, LatencyPercentiles, OWN, SUSTAINED,
        ServiceLevel, TRACE, distance, limits,
    },
    format::{and, count, estimate, heading, label, percent, quantity, significant},
    latency::Latency,
};

/// The section; empty where the set has no finals.
pub(super) fn section(analysis: &Analysis<'_>, report: &FinalsReport) -> String {
    if report.finals.is_empty() {
        return String::new();
    }
    let method = format!(
        "The best of the search, repeated beside vLLM's default in alternating order. The rounds send other requests than the search did, as far as a trace has others, the same to all in a round. A verdict is by the interval of the ratio to the default: Student's for the mean of the logarithms over the rounds, those of one workload together at {}; better or worse is what lies on one side of it.",
        percent(report.confidence)
    );
    let advised = analysis.verdict.advised().map(StoredTrial::name);
    let parts = report.finals.iter().flat_map(|one| {
        let title = format!("#### {}", title(&one.study));
        let what = format!(
            "**Configuration**: study `{}`, {}, redraws of: {}",
            one.study,
            count(one.rounds(), "round"),
            one.workload
        );
        let unheld = one.out_of_reach.iter().map(|target| target.text.as_str());
        let unheld = (!one.out_of_reach.is_empty())
            .then(|| format!("**Note**: {}.", unheld.collect::<Vec<_>>().join("; ")));
        [
            Some(title),
            Some(what),
            Some(verdicts(report, one)),
            unheld,
            service_levels(report, one, advised.as_deref()),
        ]
    });
    let parts: Vec<String> = std::iter::once(method).chain(parts.flatten()).collect();
    parts.join("\n\n")
}

fn title(study: &str) -> String {
    match study {
        OWN => "Under the workload of the search".to_owned(),
        TRACE => "Under a replayed trace".to_owned(),
        SUSTAINED => "Under a sustained load".to_owned(),
        other => format!("Study `{other}`"),
    }
}

/// Who is how far from the default.
fn verdicts(report: &FinalsReport, one: &FinalReport) -> String {
    let metric = &report.metric;
    let mut headings = vec![
        "Configuration".to_owned(),
        "Rounds".to_owned(),
        heading(metric),
        "Against the default (interval)".to_owned(),
        "Verdict".to_owned(),
    ];
    headings.extend(one.is_own.then(|| "Targets, on average".to_owned()));
    let mut table = Table::new(headings);
    for contender in &one.contenders {
        let ContenderReport { judgement, against_default, cannot_run, misses_in_words, .. } =
            contender;
        let judgement = judgement.map_or("–".to_owned(), |judgement| judgement.to_string());
        let verdict = match cannot_run {
            Some(reason) => format!("{judgement}: could not run ({reason})"),
            None => judgement,
        };
        let mut row = vec![
            name(contender),
            contender.rounds.to_string(),
            contender.objective.map_or("not measured".to_owned(), |e| estimate(metric, e)),
            against_default.map_or("–".to_owned(), |paired| distance(metric, &paired)),
            verdict,
        ];
        row.extend(misses_in_words.as_ref().map(|misses| match misses.as_slice() {
            [] => "✅".to_owned(),
            missed => format!("❌ {}", and(missed)),
        }));
        table.row(row);
    }
    table.to_string()
}

fn name(contender: &ContenderReport) -> String {
    match contender.name.as_str() {
        DEFAULT => "vLLM default".to_owned(),
        trial => format!("`{trial}`: {}", configuration(&contender.configuration)),
    }
}

/// What requests got under the default and under the advised finalist, or else the first; `None` where no
/// requests were kept.
fn service_levels(
    report: &FinalsReport,
    one: &FinalReport,
    advised: Option<&str>,
) -> Option<String> {
    let (default, finalists) = one.contenders.split_first()?;
    let finalist = finalists.iter().find(|finalist| Some(finalist.name.as_str()) == advised);
    let shown = [Some(default), finalist.or(finalists.first())].into_iter().flatten();
    let shown: Vec<&ContenderReport> =
        shown.filter(|contender| !contender.service.latencies.is_empty()).collect();
    let first = shown.first()?;
    let mut headings = vec!["Service level".to_owned(), "Requests".to_owned()];
    let called = |contender: &ContenderReport| match contender.name.as_str() {
        DEFAULT => "Default".to_owned(),
        trial => format!("`{trial}`"),
    };
    for contender in &shown {
        headings.extend(["P50", "P95", "P99"].map(|p| format!("{} {p}", called(contender))));
    }
    let mut table = Table::new(headings);
    let goal = Latency::of(&report.metric).map(Latency::label);
    let mut rows: Vec<(usize, &LatencyPercentiles)> =
        first.service.latencies.iter().enumerate().collect();
    // What was optimised first.
    rows.sort_by_key(|(_, latency)| Some(latency.heading().as_str()) != goal);
    for (position, latency) in rows {
        if latency.requests == 0 {
            continue;
        }
        let limit_s = latency.limit_s(&report.slo);
        let mut row = vec![latency.heading(), latency.requests.to_string()];
        for contender in &shown {
            let own = contender.service.latencies.get(position);
            let percentiles = own.map_or([None; 3], LatencyPercentiles::percentiles_s);
            row.extend(percentiles.map(|value| level(value, limit_s)));
        }
        table.row(row);
    }
    let served: Vec<String> =
        one.contenders.iter().map(|contender| served(report, contender, &called)).collect();
    let how = "Percentiles of the requests of all rounds together; a mark says whether they are within the limit of a good request. Targets, above, are judged by the mean of the rounds, which may fall on the other side of a limit.";
    let how = if limits(&report.slo).is_some() { format!("{how}\n\n") } else { String::new() };
    Some(format!(
        "{table}\n\n{how}{}",
        served.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n")
    ))
}

/// A latency in seconds, and whether it is within its limit.
fn level(value_s: Option<f64>, limit_s: Option<f64>) -> String {
    let Some(value_s) = value_s else { return "n/a".to_owned() };
    let mark = match limit_s {
        Some(limit_s) if value_s <= limit_s => " ✅",
        Some(_) => " ❌",
        None => "",
    };
    format!("{} s{mark}", significant(value_s))
}

/// How many requests were served well.
fn served(
    report: &FinalsReport,
    contender: &ContenderReport,
    called: &impl Fn(&ContenderReport) -> String,
) -> String {
    let ServiceLevel { requests, within_slo, goodput_per_s, output_throughput_tok_per_s, .. } =
        &contender.service;
    let mut parts = Vec::new();
    if let (Some(limits), Some(share)) = (limits(&report.slo), within_slo) {
        let share = quantity("completed_share", *share);
        parts.push(format!("{share} of {requests} requests within {limits}"));
    }
    if let Some(goodput) = goodput_per_s {
        parts.push(format!("goodput {}", estimate("goodput_per_s", *goodput)));
    }
    if let Some(throughput) = output_throughput_tok_per_s {
        let throughput = estimate("output_throughput_tok_per_s", *throughput);
        parts.push(format!("output throughput {throughput}"));
    }
    format!("{}: {}", called(contender), parts.join(", "))
}

/// What became of a search trial in the finals: `in 4 rounds of the finals it is better than vLLM's
/// default: P95 E2E latency −18.0% (−19.9% to −16.1%)`; `None` where they have not decided, or it is not
/// among them.
pub(super) fn became_of(analysis: &Analysis<'_>, trial: &StoredTrial) -> Option<String> {
    let finals = analysis.finals.as_ref().filter(|_| analysis.is_decided_by_finals)?;
    let own = finals.own()?;
    let finalist = own.finalists.iter().find(|finalist| finalist.original == Some(trial))?;
    let metric = &analysis.objective().metric;
    let than = match finalist.judgement {
        Judgement::Same => "the same as",
        Judgement::Better => "better than",
        Judgement::Worse => "worse than",
        Judgement::Unknown => "not comparable with",
    };
    let distance = finalist.paired.map_or(String::new(), |paired| {
        format!(": {} {}", label(metric), distance(metric, &paired))
    });
    let targets =
        if own.meets(analysis.objective(), finalist) { "" } else { ", and misses the targets" };
    let elsewhere: Vec<String> = finals
        .all
        .iter()
        .filter(|one| !one.is_own)
        .filter(|one| one.finalist(finalist.name).is_some_and(|f| f.judgement == Judgement::Worse))
        .map(|one| format!("`{}`", one.study.name))
        .collect();
    let elsewhere = match elsewhere.as_slice() {
        [] => String::new(),
        studies => format!("; it is worse in {}", and(studies)),
    };
    let rounds = count(finalist.repeats.len(), "round");
    Some(format!(
        "in {rounds} of the finals it is {than} vLLM's default{distance}{targets}{elsewhere}"
    ))
}

/// What the finals say of the advised configuration under a realistic workload and under a sustained
/// one; `None` where they do not.
pub(super) fn validation(analysis: &Analysis<'_>) -> [Option<String>; 2] {
    let says = |is_meant: fn(&str) -> bool| {
        let finals = analysis.finals.as_ref()?;
        let meant = finals.all.iter().filter(|one| is_meant(&one.study.name));
        let parts: Vec<String> = meant.filter_map(|one| in_words(analysis, one)).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    };
    [says(|study| study != SUSTAINED), says(|study| study == SUSTAINED)]
}

/// How the advised configuration, or else the first finalist, did in a final.
fn in_words(analysis: &Analysis<'_>, one: &Final<'_>) -> Option<String> {
    let advised = analysis.verdict.advised();
    let is_advised =
        |finalist: &&Contender<'_>| finalist.original.is_some_and(|t| Some(t) == advised);
    let finalist = one.finalists.iter().find(is_advised).or(one.finalists.first())?;
    let metric = &analysis.objective().metric;
    let distance = finalist
        .paired
        .map_or(String::new(), |p| format!(", {} {}", label(metric), distance(metric, &p)));
    let mark = match finalist.judgement {
        Judgement::Better => "✅",
        Judgement::Same => "➖",
        Judgement::Worse => "❌",
        Judgement::Unknown => "⏳",
    };
    let rounds = count(finalist.repeats.len(), "round");
    Some(format!(
        "{mark} `{}`, {rounds}: `{}` is {} beside the default{distance}",
        one.study.name, finalist.name, finalist.judgement
    ))
}
