//! A study of a server that is started for each trial: a stub in the place of `vllm serve`.

#![cfg(unix)]

use std::{
    env,
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use slotune::{results::ResultSet, serving::Provenance, vllm::ServerConfiguration};

use super::{guide::blocks, ok, slotune, stderr, stdout};

/// An example, which cargo builds beside the folder of the test binaries.
fn example(name: &str) -> PathBuf {
    let test = env::current_exe().expect("it runs");
    let path = test.ancestors().nth(2).expect("target/PROFILE").join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built; run `cargo build --workspace --examples`",
        path.display()
    );
    path
}

/// The stand-in for `vllm serve`.
fn stub() -> PathBuf {
    example("stub_vllm")
}

/// A study of the stub with more words on its command line.
fn write_study(folder: &Path, port: u16, more: &str) {
    let text = format!(
        "[space.max_num_seqs]\nrange = [1, 64]\nlog = true\n\
         [space.max_num_batched_tokens]\nrange = [32, 2048]\n\
         [objective]\nminimise = \"e2e_p95_s\"\n\
         [constraints]\ncompleted_share = {{ at_least = 0.9 }}\n\
         [workload.synthetic]\nrate_per_s = 20\nprompt_tokens = [16, 32]\noutput_tokens = [4, 12]\n\
         requests = 12\n\
         [backend.vllm]\nmodel = \"tiny\"\ncommand = [\"{}\", \"serve\", \"{{model}}\"{more}]\n\
         port = {port}\nvllm_version = \"0.25.1\"\nwarm_up_requests = 1\n\
         [budget]\ntrials = 3\n",
        stub().display()
    );
    fs::write(folder.join("study.toml"), text).expect("the folder is writable");
}

/// A port that nobody has, as far as one can know.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    listener.local_addr().expect("an address").port()
}

#[test]
fn a_real_server_is_started_for_each_trial_and_its_numbers_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let port = free_port();
    write_study(here, port, "");
    // A machine that is busy with other tests may be in the way of the client, which is an error of
    // the default; started again, the study goes on.
    let tune = || slotune(here, &["tune", "study.toml", "--json"]);
    let is_final = |output: &Output| !stderr(output).contains("start again");
    let output = (0..5).map(|_| tune()).find(is_final).expect("a quiet moment in five");
    assert!(output.status.success(), "{}", stderr(&output));
    let advice: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
    assert_eq!((&advice["simulated"], &advice["complete"]), (&false.into(), &true.into()));

    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    assert_eq!(set.manifest.backend.provenance, Provenance::Measured);
    assert_eq!(set.manifest.backend.model, "tiny");
    assert_eq!((set.study("reference").count(), set.study("search").count()), (1, 3));
    let rules: Vec<String> = set.manifest.space.rules().iter().map(ToString::to_string).collect();
    assert_eq!(rules, ["max_num_batched_tokens >= max_num_seqs"]);
    let logs = fs::read_dir(here.join("study-results/logs")).unwrap().count();
    assert!(logs >= 2 * 4, "standard output and error of each start: {logs}");
    TcpListener::bind(("127.0.0.1", port)).expect("no server is left");
    let command = ok(here, &["export", "study-results"]);
    assert!(command.contains("vllm serve tiny "), "{command}");
}

#[test]
fn a_server_that_cannot_be_started_ends_the_study_and_nothing_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, free_port(), ", \"--stub-no-such-flag\", \"1\"");
    let output = slotune(here, &["tune", "study.toml"]);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let message = stderr(&output);
    assert!(message.contains("\nerror: the default could not be measured"), "{message}");
    assert!(message.contains("--stub-no-such-flag"), "{message}");
    assert!(message.contains("study-results/logs"), "{message}");
    let set = ResultSet::read(here.join("study-results")).unwrap().set;
    assert_eq!(set.study("search").count(), 0);
}

#[test]
fn a_program_that_is_not_there_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, free_port(), "");
    let file = here.join("study.toml");
    let text = fs::read_to_string(&file).unwrap();
    let text = text.replace(stub().to_str().unwrap(), "/nope/vllm");
    fs::write(&file, text.replace("vllm_version = \"0.25.1\"\n", "")).unwrap();
    for command in ["tune", "baseline"] {
        let output = slotune(here, &[command, "study.toml"]);
        assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
        let message = stderr(&output);
        assert!(message.contains("`/nope/vllm` cannot be run: no such program"), "{message}");
        assert!(message.contains("as `command` in `[backend.vllm]`"), "{message}");
        assert!(message.contains("`slotune doctor` checks the machine"), "{message}");
    }
}

/// What `slotune doctor --json` says of a study of the stub on this port, once the client could be tried,
/// which other tests may be in the way of: exit status; name, status and message of each check.
fn examined(folder: &Path, port: u16) -> (Option<i32>, Vec<[String; 3]>) {
    let (stub, port) = (stub(), port.to_string());
    let stub = stub.to_str().expect("a plain path");
    let arguments = ["doctor", "--model", "owner/tiny", "--port", &port, "--json", "--"];
    for _ in 0..5 {
        let output = slotune(folder, &[&arguments[..], &[stub, "serve", "{model}"]].concat());
        let answer: serde_json::Value = serde_json::from_str(&stdout(&output)).expect("JSON");
        assert_eq!(answer["added_p99_ms"], answer["client"]["added_p99_ms"]);
        if answer["client"].is_object() {
            let checks = answer["checks"].as_array().expect("checks").iter().map(|check| {
                ["name", "status", "message"]
                    .map(|key| check[key].as_str().expect("text").to_owned())
            });
            return (output.status.code(), checks.collect());
        }
    }
    panic!("no quiet moment in five");
}

#[test]
fn the_doctor_looks_at_everything_that_a_study_needs() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let of = |checks: &[[String; 3]], name: &str| -> Vec<String> {
        checks.iter().find(|check| check[0] == name).expect("it is looked at")[1..].to_vec()
    };
    let held = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let (status, checks) = examined(folder.path(), port);
    assert_eq!((status, of(&checks, "port")[0].as_str()), (Some(1), "problem"));
    let names: Vec<&str> = checks.iter().map(|check| check[0].as_str()).collect();
    assert_eq!(names[..4], ["command", "version", "model", "port"]);
    assert_eq!(names[names.len() - 3..], ["open files", "disk", "client"]);
    assert_eq!(of(&checks, "version"), ["ok", "vLLM 0.33.0"]);

    drop(held);
    let (status, checks) = examined(folder.path(), port);
    assert_eq!(
        (status, of(&checks, "port")),
        (Some(0), vec!["ok".into(), format!("{port} is free")])
    );

    let none =
        slotune(folder.path(), &["doctor", "--model", "owner/tiny", "--", "absent", "serve"]);
    assert_eq!(none.status.code(), Some(1));
    let text = stdout(&none);
    assert!(text.starts_with("PROBLEM  command      "), "{text}");
    assert!(text.lines().nth(1).unwrap().starts_with("                      -> "), "{text}");
}

#[test]
fn the_guides_configuration_can_be_read() {
    let guide = include_str!("../../../../docs/guide/real-server.md");
    let read: ServerConfiguration = serde_json::from_str(blocks(guide, "json")[0]).unwrap();
    read.check().unwrap();
    assert_eq!(read.warm_up_requests, 32);
}

/// The guide's commands as they stand, `vllm` being the stub; but with few requests, at a quick rate, and on
/// a port that is free.
#[test]
fn every_command_of_the_guide_works_and_prints_what_it_shows() {
    let guide = include_str!("../../../../docs/guide/real-server.md");
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    fs::create_dir(here.join("bin")).unwrap();
    std::os::unix::fs::symlink(stub(), here.join("bin/vllm")).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let running = Command::new(stub())
        .args(["serve", "Qwen/Qwen2.5-7B-Instruct", "--api-key", "secret", "--port"])
        .arg(free_port().to_string())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut running = Ended(running);
    let mut line = String::new();
    BufReader::new(running.0.stderr.take().unwrap()).read_line(&mut line).unwrap();
    let address = line.split(' ').find(|word| word.starts_with("http")).expect("where it listens");

    let mut printed = String::new();
    let scripts = blocks(guide, "sh");
    assert_eq!(scripts.len(), 5, "{scripts:?}");
    for (number, block) in scripts.into_iter().enumerate() {
        let port = free_port();
        let block = block
            .replace("doctor --model", &format!("doctor --port {port} --model"))
            .replace(
                "--example tune_vllm -- --model",
                "--example tune_vllm -- --requests 8 --model",
            )
            .replace("--requests 60", "")
            .replace("--rate 6 \\\n    --attach", "--rate 40 --attach")
            .replace("--rate 6", &format!("--rate 40 --trials 2 --port {port}"))
            .replace("--rate 2", &format!("--rate 40 --port {port}"))
            .replace("0.32.0", "0.33.0")
            .replace("/opt/vllm/bin/vllm", "vllm")
            .replace("scripts/vllm-cpu/setup.sh", "test -d \"$root/scripts/vllm-cpu\" -o")
            .replace("scripts/vllm-cpu/serve.sh target/vllm-cpu", "vllm serve {model}")
            .replace("LLM_API_KEY=…", "LLM_API_KEY=secret")
            .replace("https://llm.example.org", address);
        // Each with a folder of its own, but for the block that reads what the one before it wrote.
        let at =
            here.join(if block.contains("recommend") { number - 1 } else { number }.to_string());
        fs::create_dir_all(&at).unwrap();
        let script = "cargo() { case \"$4\" in slotune) shift 5; \"$slotune\" \"$@\";; \
                      tune_vllm) shift 5; \"$tune_vllm\" \"$@\";; *) return 64;; esac; }\n"
            .to_owned()
            + &block;
        let run = || {
            Command::new("sh")
                .args(["-ec", &script])
                .current_dir(&at)
                .env("slotune", env!("CARGO_BIN_EXE_slotune"))
                .env("tune_vllm", example("tune_vllm"))
                .env("root", &root)
                .env("PATH", prepended(&here.join("bin")))
                .output()
                .expect("there is a shell")
        };
        // Beside other tests the client may be late. Where that is an error, all goes on when it is started
        // again; where it failed a trial of the search, a line of those shown is missing, and all begins anew.
        let is_whole = |output: &Output| {
            let lacks_a_trial = stdout(output).contains("failed: the client");
            if lacks_a_trial {
                fs::remove_dir_all(&at).unwrap();
                fs::create_dir_all(&at).unwrap();
            }
            output.status.success() && !lacks_a_trial
        };
        let output = (0..5).map(|_| run()).find(is_whole);
        let output = output.unwrap_or_else(|| panic!("{block}\n{:?}", run()));
        if block.contains("--try") {
            printed = stdout(&output);
        }
    }

    let shown = blocks(guide, "text")[0];
    let shown = shown.replace("60 requests", "8 requests").replace("2/s", "40/s");
    let shown = shown.replace("0.32.0", "0.33.0").replace(", misses the target", "");
    let mut lines = printed.lines();
    for wanted in shown.lines() {
        assert!(lines.any(|line| is_like(line, wanted)), "`{wanted}` is not in\n{printed}");
    }
}

/// Whether a line has the parts of a pattern, between which it may have anything, whatever the spaces.
fn is_like(line: &str, pattern: &str) -> bool {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, pattern) = (plain(line), plain(pattern));
    let mut parts = pattern.split('…');
    let Some(mut rest) = line.strip_prefix(parts.next().unwrap_or_default()) else { return false };
    for part in parts {
        let Some(place) = rest.find(part) else { return false };
        rest = &rest[place + part.len()..];
    }
    pattern.ends_with('…') || rest.is_empty()
}

/// `PATH` with a folder before all others.
fn prepended(folder: &Path) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(folder.to_owned()).chain(env::split_paths(&path)))
        .expect("no odd names")
}

/// A process that ends with its owner.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}
