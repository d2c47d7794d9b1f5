//! Servers that fail, requests that are rejected, files and flags that are wrong.

use std::fs;

use crate::fixture::{Fixture, json, slotune, stderr};

#[test]
fn a_server_that_does_not_start_gives_its_class_and_text_and_status_3() {
    let fixture = Fixture::new();
    for (arguments, class, message) in [
        (
            ["--max-num-batched-tokens", "32", "--max-num-seqs", "64"],
            "invalid",
            "max_num_batched_tokens (32) must be greater than or equal to max_num_seqs (64).",
        ),
        (
            ["--gpu-memory-utilization", "0.1", "--max-num-seqs", "64"],
            "memory",
            "No available memory for the cache blocks.",
        ),
        (
            ["--tensor-parallel-size", "8", "--max-num-seqs", "64"],
            "invalid",
            "Total number of attention heads (28) must be divisible by tensor parallel size (8).",
        ),
        (
            ["--gpu-memory-utilization", "1.5", "--max-num-seqs", "64"],
            "invalid",
            "gpu_memory_utilization: Input should be greater than 0",
        ),
    ] {
        let output = fixture.simulate(&[&arguments[..], &["--json"]].concat());
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let failure = &json(&output)["failure"];
        assert_eq!(failure["class"], class);
        assert!(failure["message"].as_str().unwrap().starts_with(message), "{failure}");
        assert!(failure["cost_s"].as_f64().unwrap() > 20.0, "{failure}");

        let output = fixture.simulate(&arguments);
        assert_eq!(output.status.code(), Some(3));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(class) && text.contains(message), "{text}");
    }
}

#[test]
fn a_server_that_dies_under_load_is_told_too() {
    let rows = "0,8,700\n".repeat(1000) + "6,20000,1";
    let output = Fixture::with(&rows).simulate(&[
        "--gpu-memory-utilization",
        "0.9695",
        "--cold",
        "--no-noise",
        "--json",
    ]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    assert_eq!(json(&output)["failure"]["class"], "crash_under_load");
}

/// What one request of too many tokens gets is told, and the others are answered.
#[test]
fn rejected_requests_are_counted_and_quoted() {
    let output = Fixture::with("0,100,10\n1,99999,10\n").simulate(&["--json"]);
    let answer = json(&output);
    assert_eq!(answer["rejected"], 1);
    let text = answer["first_rejection"].as_str().unwrap();
    assert!(text.starts_with("This model's maximum context length is 32768 tokens."), "{text}");
    assert_eq!(output.status.code(), Some(0));
    let none = Fixture::with("0,99999,10\n").simulate(&["--json"]);
    assert_eq!(none.status.code(), Some(1));
    assert!(stderr(&none).contains("none of 1 requests completed"), "{}", stderr(&none));
}

#[test]
fn faults_of_the_request_file_are_told_by_file_line_and_column() {
    for (rows, message) in [
        (
            "0,10,5\n1,x,5\n",
            "requests.csv, line 3: `input_tokens` is `x`, but must be a whole number",
        ),
        (
            "0,10,0\n",
            "requests.csv, line 2: `output_tokens` is `0`, but must be a whole number, 1 or more",
        ),
        ("0,10,-5\n", "requests.csv, line 2: `output_tokens` is `-5`"),
        ("inf,10,5\n", "requests.csv, line 2: `arrival_s` is `inf`, but must be a finite number"),
        ("1,10,5\n0.5,10,5\n", "requests.csv, line 3: arrives 0.5 s before the row above it"),
        ("0,10\n", "requests.csv, line 2: has 2 cells, but the header has 3"),
        ("", "requests.csv: no requests, only a header"),
    ] {
        let output = Fixture::with(rows).simulate(&[]);
        assert_eq!(output.status.code(), Some(1), "{rows}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    let fixture = Fixture::new();
    fs::write(&fixture.requests, "when,in,out\n1,2,3\n").unwrap();
    let message = stderr(&fixture.simulate(&[]));
    assert!(message.contains("the header `when,in,out` is of no known trace format"), "{message}");
    fs::remove_file(&fixture.requests).unwrap();
    assert!(stderr(&fixture.simulate(&[])).contains("requests.csv"));
}

/// Rates from a request a year to a thousand million a second end, and soon.
#[test]
fn extreme_arrivals_have_an_answer() {
    let year = "0,100,5\n31557600,100,5\n63115200,100,5\n".to_owned();
    let burst: Vec<String> =
        (0..500).map(|index| format!("{:e},100,5", f64::from(index) * 1e-9)).collect();
    for rows in [year, burst.join("\n"), "1e300,100,5\n1.1e300,100,5\n".to_owned()] {
        let output = Fixture::with(&rows).simulate(&["--json"]);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert_eq!(json(&output)["completed"], json(&output)["requests"]);
    }
}

#[test]
fn wrong_usage_has_status_2_and_a_remedy() {
    let fixture = Fixture::new();
    for (arguments, message) in [
        (&["--max-num-seqs", "many"][..], "--max-num-seqs"),
        (&["--max-num-seq", "64"], "'--max-num-seqs'"),
        (&["--scheduling-policy", "lifo"], "[possible values: fcfs, priority]"),
        (&["--gpus", "0"], "--gpus"),
    ] {
        let output = fixture.simulate(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(message), "{}", stderr(&output));
    }
    let output = fixture.simulate_on("h100-smx", "qwen2.5-7b", &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(message.contains("did you mean `h100-sxm`?; known are h100-sxm, h200"), "{message}");
    let output = fixture.simulate_on("l4", "llama-3.1-7b", &[]);
    assert_eq!(output.status.code(), Some(2));
    let message = stderr(&output);
    assert!(
        message.contains("did you mean `llama-3.1-70b`?") || message.contains("`llama-3.1-8b`?")
    );
    assert_eq!(slotune(&["--gpu", "l4"]).status.code(), Some(2));
}
