//! Where things lie in a result set, and how its files are called.

use std::path::{Path, PathBuf};

use slotune_core::TrialId;

/// Name of the manifest.
pub(crate) const MANIFEST: &str = "manifest.json";

/// Folder of the trial parts.
pub(crate) const TRIALS: &str = "trials";

/// Folder of the request parts.
pub(crate) const REQUESTS: &str = "requests";

/// Folder of the timeline parts.
pub(crate) const TIMELINES: &str = "timelines";

/// All folders of parts.
pub(crate) const PARTS: [&str; 3] = [TRIALS, REQUESTS, TIMELINES];

/// Name of the file that a writer keeps locked.
pub(crate) const LOCK: &str = ".lock";

/// What an unfinished file's name ends in; no `*.parquet` and no `*.json` matches it.
pub(crate) const TEMPORARY: &str = ".tmp";

/// Name of the part of a trial. Padded, so that names sort by number.
pub(crate) fn part_name(study: &str, trial: TrialId) -> String {
    format!("{study}-{:05}.parquet", trial.0)
}

/// The study and number that a part's name tells; `None` if it is not such a name.
pub(crate) fn parse_part_name(name: &str) -> Option<(&str, TrialId)> {
    // The number holds no `-`, so the last one separates, whatever the study is called.
    let (study, number) = name.strip_suffix(".parquet")?.rsplit_once('-')?;
    let trial = TrialId(number.parse().ok()?);
    (part_name(study, trial) == name).then_some((study, trial))
}

/// Path of the part of a trial in a folder of parts.
pub(crate) fn part(folder: &Path, parts: &str, study: &str, trial: TrialId) -> PathBuf {
    folder.join(parts).join(part_name(study, trial))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_study_and_number() {
        for (study, number, name) in [
            ("search", 3, "search-00003.parquet"),
            ("grid-2-00001", 0, "grid-2-00001-00000.parquet"),
            ("search", 123_456, "search-123456.parquet"),
        ] {
            assert_eq!(part_name(study, TrialId(number)), name);
            assert_eq!(parse_part_name(name), Some((study, TrialId(number))));
        }
        for name in [
            "search-3.parquet",
            "search.parquet",
            "search-00003.parquet.tmp",
            "search-+0003.parquet",
        ] {
            assert_eq!(parse_part_name(name), None, "{name}");
        }
    }
}
