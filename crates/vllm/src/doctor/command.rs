//! The server's command: whether the program is there, and which vLLM it is.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use tokio::{process::Command, time::timeout};

use super::Check;

/// vLLM imports PyTorch before it tells its version, which takes some ten seconds from a warm disk.
const VERSION_LIMIT: Duration = Duration::from_mins(2);

pub(super) fn check_program(command: &[String], path: Option<&OsStr>) -> Check {
    let remedy = "install vLLM, or give the program's full path: after `--` here, as `command` in \
                  `[backend.vllm]` of a study file";
    let Some(program) = command.first() else {
        return Check::problem("command", "`command` is empty", remedy);
    };
    match find_program(program, path) {
        Some(found) if is_executable(&found) => Check::ok("command", found.display().to_string()),
        Some(found) => {
            let message = format!("{} is not executable", found.display());
            Check::problem("command", message, format!("chmod +x {}", found.display()))
        }
        None if program.contains('/') => {
            Check::problem("command", format!("`{program}` does not exist"), remedy)
        }
        None => Check::problem("command", format!("`{program}` is not on the PATH"), remedy),
    }
}

/// As the operating system looks it up: a name with a slash is a path; others are looked for in
/// `path`, executable ones first.
fn find_program(program: &str, path: Option<&OsStr>) -> Option<PathBuf> {
    if program.contains('/') {
        return Some(PathBuf::from(program)).filter(|path| path.is_file());
    }
    let candidates: Vec<PathBuf> = std::env::split_paths(path?)
        .map(|folder| folder.join(program))
        .filter(|candidate| candidate.is_file())
        .collect();
    candidates.iter().find(|candidate| is_executable(candidate)).or(candidates.first()).cloned()
}

fn is_executable(path: &Path) -> bool {
    path.metadata().is_ok_and(|file| file.permissions().mode() & 0o111 != 0)
}

pub(super) async fn check_version(
    command: &[String],
    environment: &BTreeMap<String, String>,
) -> Check {
    match vllm_version(command, environment, VERSION_LIMIT).await {
        Ok(version) => Check::ok("version", format!("vLLM {version}")),
        Err(error @ VersionError::NoServe) => {
            Check::warning("version", error.to_string(), "look at the server's log for it")
        }
        Err(error) => {
            let remedy = "run the command with --version in a shell and mend what it says";
            Check::problem("version", error.to_string(), remedy)
        }
    }
}

/// Version of the vLLM that a command starts, such as `0.32.0`, from `vllm --version`: what stands
/// before `serve` in the command, and `--version`.
///
/// # Errors
/// [`VersionError`] when there is no `serve`, when the program cannot be run or does not end within
/// `limit`, and when it tells no version.
pub async fn vllm_version(
    command: &[String],
    environment: &BTreeMap<String, String>,
    limit: Duration,
) -> Result<String, VersionError> {
    let serve = command.iter().position(|argument| argument == "serve");
    let (program, arguments) =
        serve.and_then(|serve| command[..serve].split_first()).ok_or(VersionError::NoServe)?;
    let run = Command::new(program)
        .args(arguments)
        .arg("--version")
        .envs(environment)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(limit, run)
        .await
        .map_err(|_| VersionError::TimedOut { limit_s: limit.as_secs_f64() })?
        .map_err(|source| VersionError::Run { program: program.clone(), source })?;
    let stdout = String::from_utf8_lossy(&output.stdout);
    version_in(&stdout).map(str::to_owned).ok_or_else(|| {
        let stderr = String::from_utf8_lossy(&output.stderr);
        let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("nothing");
        VersionError::None { said: last.chars().take(300).collect() }
    })
}

/// What the operating system says of a script whose interpreter is gone, as in a virtual environment that was
/// moved, sounds as if the script itself were not there.
fn why_not_run(program: &str, source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound if Path::new(program).is_file() => {
            "the interpreter in its first line is not there".to_owned()
        }
        io::ErrorKind::NotFound => "no such program".to_owned(),
        _ => source.to_string(),
    }
}

/// The last line that is a version; imports may print before it.
fn version_in(text: &str) -> Option<&str> {
    text.lines()
        .rev()
        .filter_map(|line| line.split_ascii_whitespace().last())
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
}

/// Why the version of vLLM is not known.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// The command is not of the form `vllm serve …`.
    #[error("the version is not known: the command has no `serve` whose program could be asked")]
    NoServe,
    /// The program cannot be run.
    #[error("`{program}` cannot be run: {}", why_not_run(program, source))]
    Run {
        /// The program, without its arguments.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The program does not end.
    #[error("`--version` did not end within {limit_s} s")]
    TimedOut {
        /// The limit, seconds.
        limit_s: f64,
    },
    /// The program tells no version.
    #[error("`--version` told none; it said: {said}")]
    None {
        /// Its last words.
        said: String,
    },
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::Status, *};

    fn script(folder: &Path, name: &str, text: &str, mode: u32) -> String {
        let path = folder.join(name);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[test]
    fn programs_are_found_as_the_system_finds_them() {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), "served", "true", 0o755);
        let plain = script(folder.path(), "plain", "true", 0o644);
        let path = Some(folder.path().as_os_str());
        let status = |program: &str, path| check_program(&[program.to_owned()], path).status;
        assert_eq!(status("served", path), Status::Ok);
        assert_eq!(status(&program, None), Status::Ok);
        assert_eq!(status("served", None), Status::Problem);
        assert_eq!(status(&plain, None), Status::Problem);
        assert!(check_program(&["plain".to_owned()], path).message.contains("not executable"));
        assert!(check_program(&["missing".to_owned()], path).message.contains("not on the PATH"));
        assert_eq!(check_program(&[], path).status, Status::Problem);
    }

    /// `sh SCRIPT serve`. The script is read, not executed: to execute a file that was just written
    /// fails while another thread's child still holds it open.
    fn serve(folder: &Path, text: &str) -> Vec<String> {
        let script = script(folder, "server", text, 0o644);
        ["sh", &script, "serve", "model"].map(str::to_owned).to_vec()
    }

    #[tokio::test]
    async fn the_version_is_asked_of_what_stands_before_serve() {
        let folder = tempfile::tempdir().unwrap();
        let command = serve(folder.path(), "echo Triton is not here. >&2; echo noise; echo $1 $V");
        let environment = BTreeMap::from([("V".to_owned(), "0.32.0+cpu".to_owned())]);
        let limit = Duration::from_mins(1);
        assert_eq!(vllm_version(&command, &environment, limit).await.unwrap(), "0.32.0+cpu");
        let error = vllm_version(&command[..2], &environment, limit).await.unwrap_err();
        assert!(matches!(error, VersionError::NoServe));
    }

    #[tokio::test]
    async fn a_program_that_is_not_there_is_named() {
        let command = ["/nope/vllm", "serve", "model"].map(str::to_owned);
        let version = vllm_version(&command, &BTreeMap::new(), Duration::from_mins(1)).await;
        let error = version.unwrap_err().to_string();
        assert_eq!(error, "`/nope/vllm` cannot be run: no such program");

        // What it would say of a script of a virtual environment that was moved.
        let folder = tempfile::tempdir().unwrap();
        let moved = script(folder.path(), "vllm", "", 0o755);
        let why = why_not_run(&moved, &io::ErrorKind::NotFound.into());
        assert_eq!(why, "the interpreter in its first line is not there");
    }

    #[tokio::test]
    async fn a_program_that_hangs_or_fails_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let environment = BTreeMap::new();
        let hangs = serve(folder.path(), "exec sleep 1000");
        let limit = Duration::from_millis(20);
        let error = vllm_version(&hangs, &environment, limit).await.unwrap_err();
        assert!(matches!(error, VersionError::TimedOut { .. }), "{error}");

        let fails = serve(folder.path(), "echo 'No module: torch' >&2; exit 1");
        let limit = Duration::from_mins(1);
        let error = vllm_version(&fails, &environment, limit).await.unwrap_err();
        assert!(error.to_string().contains("No module: torch"), "{error}");
    }
}
