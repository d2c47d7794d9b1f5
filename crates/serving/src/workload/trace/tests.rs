//! The bundled traces hold what their card says, and every format is read or refused.

use std::collections::BTreeSet;

use super::*;
use crate::metrics::percentile;

fn bundled(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../datasets/traces").join(name)
}

/// Mean, P50, P95 and maximum, rounded.
fn facts(mut tokens: Vec<u32>) -> [String; 4] {
    tokens.sort_unstable();
    let values: Vec<f64> = tokens.iter().map(|&t| f64::from(t)).collect();
    let at = |percent| percentile(&values, percent).unwrap();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    [mean, at(50.0), at(95.0), at(100.0)].map(|value| format!("{value:.0}"))
}

#[test]
fn azure_conversation_is_what_its_card_says() {
    let trace = TraceSource::AzureConversation2023.trace().unwrap();
    assert_eq!(Trace::read(&bundled("azure_llm_2023_conv.csv")).unwrap(), trace);
    let requests = &trace.requests;
    assert_eq!(requests.len(), 19_366);
    assert!((trace.span_s() - 3_501.721_937).abs() < 1e-6, "{}", trace.span_s());
    assert!(((requests.len() - 1) as f64 / trace.span_s() - 5.53).abs() < 0.005);
    assert_eq!((requests[0].prompt_tokens, requests[0].output_tokens), (374, 44));
    assert!((requests[1].arrival_s - 4.314_579).abs() < 1e-9);
    assert_eq!(
        facts(requests.iter().map(|r| r.prompt_tokens).collect()),
        ["1155", "1020", "4083", "14050"]
    );
    assert_eq!(
        facts(requests.iter().map(|r| r.output_tokens).collect()),
        ["211", "129", "451", "1000"]
    );
    let long =
        requests.iter().filter(|r| r.output_tokens >= 500).count() as f64 / requests.len() as f64;
    assert!((long - 0.033).abs() < 5e-4, "{long}");
}

#[test]
fn mooncake_prefixes_give_the_recorded_reuse() {
    let path = bundled("mooncake_fast25_conversation_2000.csv");
    let trace = Trace::read(&path).unwrap();
    assert_eq!(trace.requests.len(), 2000);
    assert!((trace.span_s() - 669.0).abs() < 1e-9);
    let text = std::fs::read_to_string(path).unwrap();
    let recorded =
        text.lines().skip(1).map(|line| line.split(',').nth(3).unwrap().parse::<u32>().unwrap());
    // A prefix is known once any request began with it.
    let mut cache: BTreeSet<Vec<u64>> = BTreeSet::new();
    for (i, (request, recorded)) in trace.requests.iter().zip(recorded).enumerate() {
        let mut path = Vec::new();
        let mut reused = 0;
        for segment in &request.shared_prefix {
            path.push(segment.id);
            if cache.contains(&path) {
                reused += segment.tokens;
            }
            cache.insert(path.clone());
        }
        assert_eq!(reused, recorded, "request {i}");
        let shared: u32 = request.shared_prefix.iter().map(|segment| segment.tokens).sum();
        assert!(
            shared <= request.prompt_tokens
                && request.shared_prefix.iter().all(|s| (1..=512).contains(&s.tokens))
        );
    }
}

fn requests(text: &str) -> Vec<RequestSpec> {
    Trace::parse("test.csv", text).unwrap().requests
}

#[test]
fn line_ends_spaces_and_other_columns_do_not_matter() {
    let plain = requests("arrival_s,input_tokens,output_tokens\n5,10,20\n6.5,30,40\n");
    assert_eq!((plain[0].arrival_s, plain[1].arrival_s), (0.0, 1.5));
    let dos = requests("note,output_tokens,arrival_s,input_tokens\r\nx, 20,5,10\r\ny,40 ,6.5,30");
    assert_eq!(dos, plain);
}

#[test]
fn a_week_of_azure_has_offsets() {
    let header = "TIMESTAMP,ContextTokens,GeneratedTokens\n";
    let text = format!(
        "{header}2024-05-10 00:00:00.009930+00:00,2162,5\n2024-05-11 00:00:00.009930+00:00,2399,6\n"
    );
    assert!((requests(&text)[1].arrival_s - 86_400.0).abs() < 1e-9);
    let moved = format!("{header}2024-05-10T23:00:00Z,1,1\n2024-05-11 00:30:00+01:00,1,1\n");
    assert!((requests(&moved)[1].arrival_s - 1800.0).abs() < 1e-9);
}

#[test]
fn burst_gpt_leaves_out_requests_that_failed() {
    let text = "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n\
                5,ChatGPT,472,18,490,Conversation log\n\
                45,ChatGPT,1087,0,1087,Conversation log\n\
                118,GPT-4,417,276,693,API log\n";
    let requests = requests(text);
    assert_eq!(requests.len(), 2);
    assert_eq!(
        (requests[1].arrival_s, requests[1].prompt_tokens, requests[1].output_tokens),
        (113.0, 417, 276)
    );
}

#[test]
fn lengths_need_no_arrivals() {
    let rows =
        format::rows("test.csv", "input_tokens,output_tokens\r\n3772,54\r\n2655,151").unwrap();
    let lengths: Vec<(u32, u32)> =
        rows.iter().map(|row| (row.lengths.prompt_tokens, row.lengths.output_tokens)).collect();
    assert_eq!(lengths, [(3772, 54), (2655, 151)]);
}

/// Whatever ends the lines, and however many of them are blank.
#[test]
fn errors_name_the_line_that_an_editor_shows() {
    let header = "arrival_s,input_tokens,output_tokens";
    let cases = [
        (format!("{header}\n0,1,1\n1,x,1\n"), 3),
        (format!("\u{feff}{header}\n0,1,1\n1,x,1\n"), 3),
        (format!("{header}\r\n0,1,1\r\n1,x,1\r\n"), 3),
        (format!("{header}\r0,1,1\r1,x,1\r"), 3),
        (format!("\n{header}\n\n\n0,1,1\n\n1,x,1\n"), 7),
        (format!("{header}\r\n\r\n0,1,1\r\n\r\n1,x,1"), 5),
        (format!("{header},note\n0,1,1,\"two\nlines\"\n1,x,1,\n"), 4),
        (format!("{header}\r\n\r\n5,1,1\r\n\r\n1,1,1"), 5),
        (format!("{header}\r\n\r\n0,1,1\r\n\r\n1,1"), 5),
    ];
    for (text, line) in cases {
        let error = Trace::parse("test.csv", &text).unwrap_err().to_string();
        assert!(error.starts_with(&format!("test.csv, line {line}: ")), "{text:?}: {error}");
    }
}

/// An unclosed quote makes the rest of the file one cell; a file of another kind is one long header.
#[test]
fn errors_quote_no_more_than_a_line_can_hold() {
    let rest = "1,2,3\n".repeat(10_000);
    for text in
        [rest.replace('\n', "é"), format!("arrival_s,input_tokens,output_tokens\n0,1,\"{rest}")]
    {
        let error = Trace::parse("test.csv", &text).unwrap_err().to_string();
        assert!(error.contains('…') && error.len() < 500, "{} bytes", error.len());
    }
}

#[test]
fn every_broken_file_is_named_with_line_column_and_value() {
    let azure = "TIMESTAMP,ContextTokens,GeneratedTokens";
    let mooncake = "arrival_s,input_tokens,output_tokens,reusable_prefix_tokens,prefix_age_s";
    let cases = [
        (
            String::new(),
            "test.csv: the header `` is of no known trace format; known are: Azure (TIMESTAMP,",
        ),
        ("time,tokens\n1,2\n".to_owned(), "the header `time,tokens` is of no known"),
        (format!("{azure}\n"), "test.csv: no requests"),
        (
            format!("{azure}\n2023-11-16 18:15:46,10,20\nyesterday,10,20\n"),
            "test.csv, line 3: `TIMESTAMP` is `yesterday`, but must be a time such as",
        ),
        (
            format!("{azure}\n2023-11-16 18:15:46,0,20\n"),
            "line 2: `ContextTokens` is `0`, but must be a whole number, 1 or more",
        ),
        (format!("{azure}\n2023-11-16 18:15:46,10,-3\n"), "line 2: `GeneratedTokens` is `-3`"),
        (
            format!("{azure}\n2023-11-16 18:15:46,10\n"),
            "test.csv, line 2: has 2 cells, but the header has 3",
        ),
        (
            format!("{azure}\n2023-11-16 18:15:46,1,1\n2023-11-16 18:15:44.5,1,1\n"),
            "line 3: arrives 1.5 s before the row above it",
        ),
        (
            "arrival_s,input_tokens,output_tokens\nNaN,1,1\n".to_owned(),
            "line 2: `arrival_s` is `NaN`",
        ),
        ("input_tokens,output_tokens\n1,1\n".to_owned(), "cannot be replayed"),
        (
            "\r\narrival_ms,input_tokens,output_tokens\r\n0,1,1\r\n".to_owned(),
            "test.csv: has no arrival times among its columns `arrival_ms,input_tokens,output_tokens`, \
             so it cannot be replayed; give them as `arrival_s` (seconds,",
        ),
        (
            format!("{mooncake}\n0,600,5,0,\n1,600,5,512,7\n"),
            "line 3: shares 512 tokens with a request 7 s before it",
        ),
        (format!("{mooncake}\n0,600,5,0,\n1,600,5,601,1\n"), "`reusable_prefix_tokens` is `601`"),
        (format!("{mooncake}\n0,600,5,0,\n1,600,5,512,\n"), "`prefix_age_s` is ``"),
        (format!("{mooncake}\n0,600,5,0,\n1,600,5,512,-1\n"), "`prefix_age_s` is `-1`"),
    ];
    for (text, expected) in cases {
        let error = Trace::parse("test.csv", &text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    }
    let binary = std::env::current_exe().unwrap();
    assert!(matches!(Trace::read(&binary), Err(TraceError::Read { .. })));
}
