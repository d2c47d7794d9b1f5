//! Server processes: watched, stopped with all their children, and not outliving the tuner.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails, in its helpers too")]
#![cfg(target_os = "linux")] // `/proc` tells who is left, and `setsid` comes with every Linux.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use slotune_vllm::{
    failure::Verdict,
    process::{Launch, ProcessError, ServerProcess},
};
use tempfile::TempDir;

/// Far more than any step takes; only a failure waits for it.
const LONG: Duration = Duration::from_mins(1);

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// A launch of `sh -c SCRIPT`, in which `$D` is the folder.
fn launch(folder: &TempDir, script: &str) -> Launch {
    Launch {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        environment: BTreeMap::from([("D".to_owned(), folder.path().to_str().unwrap().to_owned())]),
        address: free_address(),
        log: folder.path().join("trial"),
        log_limit_bytes: 1 << 20,
    }
}

/// Waits for the number that a child of the server writes into `name`.
async fn written_pid(folder: &Path, name: &str) -> i32 {
    let path = folder.join(name);
    tokio::time::timeout(LONG, async {
        loop {
            let text = fs::read_to_string(&path).unwrap_or_default();
            if let Some(number) = text.strip_suffix('\n') {
                return number.parse().unwrap();
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the child writes its number")
}

/// Whether the process runs; a zombie does not.
fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(") ").unwrap().1.starts_with(['Z', 'X']))
}

async fn is_gone(pid: i32) -> bool {
    tokio::time::timeout(LONG, async {
        while is_alive(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .is_ok()
}

#[tokio::test]
async fn a_server_that_ends_by_itself_tells_its_status_and_its_log() {
    let folder = tempfile::tempdir().unwrap();
    let script = "echo out; echo err >&2; exit 3";
    let mut server = ServerProcess::start(&launch(&folder, script)).unwrap();
    assert_eq!(server.exited().await.unwrap().code(), Some(3));
    assert_eq!(server.exited().await.unwrap().code(), Some(3), "it may be asked again");
    assert_eq!(server.logs().tails(100), ("out\n".to_owned(), "err\n".to_owned()));
    let stopped = server.stop(LONG).await.unwrap();
    assert_eq!((stopped.status.code(), stopped.killed), (Some(3), false));
}

#[tokio::test]
async fn a_server_may_end_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap 'echo bye; kill $!; exit 0' TERM; sleep 1000 & echo $! >$D/child; wait";
    let server = ServerProcess::start(&launch(&folder, script)).unwrap();
    let child = written_pid(folder.path(), "child").await;
    let logs = server.logs().clone();
    let stopped = server.stop(LONG).await.unwrap();
    assert_eq!((stopped.status.code(), stopped.killed), (Some(0), false));
    assert_eq!(logs.tails(100).0, "bye\n");
    assert!(!is_alive(child));
}

#[tokio::test]
async fn deaf_children_grandchildren_and_those_that_left_the_group_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    // A child that ignores SIGTERM, its own child, and one in a session of its own.
    let script = "trap '' TERM
        sh -c 'sh -c \"echo \\$\\$ >$D/grandchild; sleep 1000\" & wait' &
        setsid sh -c 'echo $$ >$D/stray; sleep 1000' &
        wait";
    let server = ServerProcess::start(&launch(&folder, script)).unwrap();
    let grandchild = written_pid(folder.path(), "grandchild").await;
    let stray = written_pid(folder.path(), "stray").await;
    let pid = server.pid().cast_signed();
    let stopped = server.stop(Duration::from_millis(50)).await.unwrap();
    assert!(stopped.killed);
    assert_eq!([pid, grandchild, stray].map(is_alive), [false; 3]);
}

#[tokio::test]
async fn a_server_that_leaves_the_group_itself_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; sleep 1000 & echo $! >$D/child; wait";
    let mut launch = launch(&folder, script);
    launch.command.insert(0, "setsid".to_owned());
    for stopping in [false, true] {
        let server = ServerProcess::start(&launch).unwrap();
        let pid = server.pid().cast_signed();
        let child = written_pid(folder.path(), "child").await;
        if stopping {
            assert!(server.stop(Duration::from_millis(50)).await.unwrap().killed);
        } else {
            drop(server);
        }
        assert!(is_gone(pid).await && is_gone(child).await, "stopping: {stopping}");
        fs::remove_file(folder.path().join("child")).unwrap();
    }
}

#[tokio::test]
async fn children_that_outlive_the_server_are_killed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "sleep 1000 & echo $! >$D/orphan; exit 1";
    let mut server = ServerProcess::start(&launch(&folder, script)).unwrap();
    server.exited().await.unwrap();
    let orphan = written_pid(folder.path(), "orphan").await;
    assert!(is_alive(orphan));
    assert!(server.stop(Duration::from_millis(50)).await.unwrap().killed);
    assert!(!is_alive(orphan));
}

#[tokio::test]
async fn a_dropped_server_and_a_dropped_stop_leave_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let script = "trap '' TERM; sleep 1000 & echo $! >$D/child; wait";
    for stopping in [false, true] {
        let server = ServerProcess::start(&launch(&folder, script)).unwrap();
        let pid = server.pid().cast_signed();
        let child = written_pid(folder.path(), "child").await;
        if stopping {
            let stop = server.stop(LONG);
            tokio::time::timeout(Duration::from_millis(50), stop).await.unwrap_err();
        } else {
            drop(server);
        }
        assert!(is_gone(pid).await && is_gone(child).await, "stopping: {stopping}");
        fs::remove_file(folder.path().join("child")).unwrap();
    }
}

#[tokio::test]
async fn a_log_without_end_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "while :; do echo again and again; done";
    let mut server =
        ServerProcess::start(&Launch { log_limit_bytes: 4096, ..launch(&folder, script) }).unwrap();
    let error = tokio::time::timeout(LONG, server.exited()).await.unwrap().unwrap_err();
    assert!(matches!(error, ProcessError::LogTooLong { .. }), "{error}");
    server.stop(Duration::ZERO).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_started_is_named_and_leaves_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let start = |command: &[&str]| {
        let command = command.iter().map(ToString::to_string).collect();
        ServerProcess::start(&Launch { command, ..launch(&folder, "") }).unwrap_err()
    };
    let error = Verdict::from(start(&["no-such-program-anywhere", "--api-key", "hunter2"]));
    let Verdict::Broken { message } = error else { panic!("no retry brings it: {error:?}") };
    assert!(message.contains("`no-such-program-anywhere`"), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
    assert!(matches!(start(&[]), ProcessError::NoCommand));

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let error = ServerProcess::start(&Launch { address, ..launch(&folder, "true") }).unwrap_err();
    assert!(error.to_string().contains(&address.port().to_string()), "{error}");
    assert!(matches!(Verdict::from(error), Verdict::Failed { .. }));
}

#[test]
fn a_launch_shows_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let mut launch = launch(&folder, "--api-key hunter2");
    launch.environment.insert("VLLM_API_KEY".to_owned(), "hunter3".to_owned());
    let shown = format!("{launch:?}");
    assert!(shown.contains("VLLM_API_KEY") && !shown.contains("hunter"), "{shown}");
}

/// `examples/hold_server.rs`, holding a server with a deaf child and one that left the group.
struct Holder {
    process: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    family: Vec<i32>,
    _folder: TempDir,
}

impl Holder {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Under `nohup`, or in the background of a script, signals are ignored, which is inherited.
        let mut process = Command::new("env")
            .arg("--default-signal=INT,HUP,TERM")
            .arg(example("hold_server"))
            .arg(free_address().port().to_string())
            .arg(folder.path().join("trial"))
            .args(["sh", "-c"])
            .arg(
                "trap '' TERM INT HUP; cd \"$0\"
                sleep 1000 & echo $! >child
                setsid sh -c 'echo $$ >stray; sleep 1000' & wait",
            )
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let input = process.stdin.take().unwrap();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        let mut family: Vec<i32> =
            line.split_whitespace().map(|number| number.parse().unwrap()).collect();
        family.push(written_pid(folder.path(), "child").await);
        family.push(written_pid(folder.path(), "stray").await);
        let mut holder = Self { process, input, output, family, _folder: folder };
        holder.say("look");
        assert_eq!(holder.answer(), "done\n");
        assert!(holder.family.iter().all(|pid| is_alive(*pid)));
        holder
    }

    fn say(&mut self, word: &str) {
        writeln!(self.input, "{word}").unwrap();
    }

    fn answer(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line
    }

    /// Waits for its end and looks that nobody of the family is left.
    async fn ends_without_leftovers(mut self) {
        self.process.wait().unwrap();
        for pid in &self.family {
            assert!(is_gone(*pid).await, "{pid} of {:?} outlived the tuner", self.family);
        }
    }
}

/// Path of an example of this crate, beside this test's folder; `cargo test -p slotune-vllm` builds
/// both.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let path = test.parent().unwrap().parent().unwrap().join("examples").join(name);
    assert!(path.exists(), "{} is not built; run `cargo build --examples`", path.display());
    path
}

#[tokio::test]
async fn nothing_outlives_a_tuner_that_is_killed() {
    for signal in [Signal::KILL, Signal::INT, Signal::TERM, Signal::HUP] {
        let holder = Holder::start().await;
        kill_process(Pid::from_child(&holder.process), signal).unwrap();
        holder.ends_without_leftovers().await;
    }
}

#[tokio::test]
async fn nothing_outlives_a_tuner_that_panics_exits_or_returns() {
    for word in ["panic", "exit", "drop"] {
        let mut holder = Holder::start().await;
        holder.say(word);
        holder.ends_without_leftovers().await;
    }
}

#[tokio::test]
async fn signals_to_the_group_do_not_end_the_guard() {
    let mut holder = Holder::start().await;
    let group = Pid::from_raw(holder.family[1]).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP] {
        rustix::process::kill_process_group(group, signal).unwrap();
    }
    holder.say("look");
    assert_eq!(holder.answer(), "done\n");
    assert!(is_alive(holder.family[1]), "the guard");
    kill_process(Pid::from_child(&holder.process), Signal::KILL).unwrap();
    holder.ends_without_leftovers().await;
}
