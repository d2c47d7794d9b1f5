//! The machine: open files and room on the disk.

use std::path::Path;

use rustix::{
    fs::statvfs,
    process::{Resource, getrlimit},
};

use super::Check;

/// Files that the tuner and the server have open beside their streams: logs, libraries, sockets
/// between the server's processes.
const OTHER_FILES: u64 = 256;
/// Room for the logs and results of a long study.
const ENOUGH_BYTES: u64 = 5 << 30;
/// With less, a server may fail to write its compilation cache.
const LEAST_BYTES: u64 = 1 << 29;
const GIB: f64 = (1_u64 << 30) as f64;

/// The server inherits the limit of the tuner, and each stream needs one file on either side.
pub(super) fn check_open_files(concurrency: u32) -> Check {
    judge_open_files(concurrency, getrlimit(Resource::Nofile).current)
}

fn judge_open_files(concurrency: u32, limit: Option<u64>) -> Check {
    let needed = u64::from(concurrency) + OTHER_FILES;
    match limit {
        Some(limit) if limit < needed => Check::problem(
            "open files",
            format!("{limit} allowed, {needed} needed for {concurrency} requests in flight"),
            format!("`ulimit -n {needed}` before the start"),
        ),
        Some(limit) => Check::ok("open files", format!("{limit} allowed, {needed} needed")),
        None => Check::ok("open files", "as many as wanted"),
    }
}

pub(super) fn check_disk(folder: &Path) -> Check {
    // Of the folder, or of the nearest one above it that is there.
    let existing = folder
        .ancestors()
        .map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
    match existing.map(statvfs::<&Path>).find_map(Result::ok) {
        Some(disk) => judge_disk(folder, disk.f_bavail.saturating_mul(disk.f_frsize)),
        None => Check::warning(
            "disk",
            format!("{} cannot be looked at", folder.display()),
            "name a folder that can",
        ),
    }
}

fn judge_disk(folder: &Path, free_bytes: u64) -> Check {
    let found = format!("{:.1} GiB free for {}", free_bytes as f64 / GIB, folder.display());
    let remedy = "make room: logs, compilation caches and results are written there";
    match free_bytes {
        ..LEAST_BYTES => Check::problem("disk", found, remedy),
        LEAST_BYTES..ENOUGH_BYTES => Check::warning("disk", found, remedy),
        ENOUGH_BYTES.. => Check::ok("disk", found),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Status, *};

    #[test]
    fn each_stream_needs_a_file() {
        assert_eq!(judge_open_files(1024, Some(1024)).status, Status::Problem);
        assert!(judge_open_files(1024, Some(1024)).remedy.unwrap().contains("ulimit -n 1280"));
        assert_eq!(judge_open_files(1024, Some(1280)).status, Status::Ok);
        assert_eq!(judge_open_files(u32::MAX, None).status, Status::Ok);
        assert_eq!(check_open_files(0).name, "open files");
    }

    #[test]
    fn room_is_looked_for_where_the_folder_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let check = check_disk(&folder.path().join("not/yet/there"));
        assert!(check.message.contains("GiB free"), "{check:?}");
        assert!(check_disk(Path::new("relative")).message.contains("GiB free"));
        let status = |bytes| judge_disk(Path::new("x"), bytes).status;
        assert_eq!(status(1 << 20), Status::Problem);
        assert_eq!(status(1 << 30), Status::Warning);
        assert_eq!(status(1 << 40), Status::Ok);
    }
}
