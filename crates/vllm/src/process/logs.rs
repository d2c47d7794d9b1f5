//! Standard output and error of a server, each in a file that the server writes itself: nobody has
//! to pump pipes, and the death of the tuner loses nothing.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use super::ProcessError;

/// The two log files of one start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// What it wrote to standard output.
    pub stdout: PathBuf,
    /// What it wrote to standard error.
    pub stderr: PathBuf,
}

impl Logs {
    /// Creates the folder and the two empty files, readable by their owner alone: vLLM logs its
    /// arguments, and one of them may be an API key.
    pub(super) fn create(stem: &Path) -> Result<(Self, File, File), ProcessError> {
        let path = |stream: &str| {
            let mut name = stem.file_name().unwrap_or_default().to_owned();
            name.push(format!(".{stream}.log"));
            stem.with_file_name(name)
        };
        let logs = Self { stdout: path("stdout"), stderr: path("stderr") };
        let error = |path: &Path| {
            let path = path.to_owned();
            move |source| ProcessError::Log { path, source }
        };
        if let Some(folder) = stem.parent() {
            fs::create_dir_all(folder).map_err(error(folder))?;
        }
        let stdout = create(&logs.stdout).map_err(error(&logs.stdout))?;
        let stderr = create(&logs.stderr).map_err(error(&logs.stderr))?;
        Ok((logs, stdout, stderr))
    }

    /// Ends of the two logs, standard output first, at most `limit_bytes` each; whole lines, with
    /// bytes that are no UTF-8 replaced. A log that cannot be read counts as empty.
    pub fn tails(&self, limit_bytes: u64) -> (String, String) {
        let read = |path| tail(path, limit_bytes).unwrap_or_default();
        (read(&self.stdout), read(&self.stderr))
    }

    /// Refuses logs that outgrew the limit: a server that logs without end must not fill the disk.
    pub(super) fn check(&self, limit_bytes: u64) -> Result<(), ProcessError> {
        for path in [&self.stdout, &self.stderr] {
            if fs::metadata(path).is_ok_and(|file| file.len() > limit_bytes) {
                return Err(ProcessError::LogTooLong { path: path.clone(), limit_bytes });
            }
        }
        Ok(())
    }
}

/// An empty file. Opened for appending, so that several processes of the server do not overwrite
/// each other.
fn create(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
    file.set_len(0)?;
    Ok(file)
}

fn tail(path: &Path, limit_bytes: u64) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let skipped = length.saturating_sub(limit_bytes);
    file.seek(SeekFrom::Start(skipped))?;
    let mut bytes = Vec::new();
    file.take(limit_bytes).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(match text.split_once('\n') {
        // The first line was cut.
        Some((_, whole)) if skipped > 0 => whole.to_owned(),
        _ => text.into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_tail_begins_with_a_whole_line() {
        let folder = tempfile::tempdir().unwrap();
        let (logs, mut stdout, _stderr) = Logs::create(&folder.path().join("trial.7")).unwrap();
        assert!(logs.stdout.ends_with("trial.7.stdout.log"));
        stdout.write_all(b"first\nsecond\nth\xffrd\n").unwrap();
        assert_eq!(logs.tails(1 << 20).0, "first\nsecond\nth\u{fffd}rd\n");
        assert_eq!(logs.tails(10).0, "th\u{fffd}rd\n");
        assert_eq!(logs.tails(10).1, "");
        assert!(logs.check(19).is_ok());
        assert!(matches!(logs.check(18), Err(ProcessError::LogTooLong { .. })));
    }

    #[test]
    fn a_log_is_for_its_owner_and_starts_empty() {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("new/trial");
        let (logs, mut stdout, _) = Logs::create(&stem).unwrap();
        stdout.write_all(b"old").unwrap();
        let mode = fs::metadata(&logs.stdout).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0);
        let (logs, _, _) = Logs::create(&stem).unwrap();
        assert_eq!(logs.tails(10).0, "");
    }
}
