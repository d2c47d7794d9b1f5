//! Which trial of a result set is meant.

use std::{
    convert::Infallible,
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use slotune_core::TrialId;
use slotune_results::{ResultSet, StoredTrial};

use crate::analysis::Analysis;

/// A trial of a result set: the folder of the set and, after a colon, which trial.
///
/// ```
/// use slotune_report::selection::{Selection, Which};
///
/// let selection: Selection = "study-results:search/12".parse()?;
/// assert_eq!(selection.which, Which::Trial { study: "search".to_owned(), trial: 12 });
/// let selection: Selection = "study-results:baseline".parse()?;
/// assert_eq!(selection.which, Which::Label("baseline".to_owned()));
/// let selection: Selection = "study-results".parse()?;
/// assert_eq!(selection.which, Which::Advised);
/// # Ok::<(), std::convert::Infallible>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Folder of the set.
    pub folder: PathBuf,
    /// Which of its trials.
    pub which: Which,
}

/// Which trial of a set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// The one whose configuration the set advises.
    Advised,
    /// The one of this label, `baseline` or `default`.
    Label(String),
    /// The one of this study and number.
    Trial {
        /// Name of the study.
        study: String,
        /// Number of the trial.
        trial: u64,
    },
}

impl FromStr for Selection {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        let whole = || Self { folder: text.into(), which: Which::Advised };
        let Some((folder, which)) = text.rsplit_once(':') else { return Ok(whole()) };
        // A folder may have a colon in its name.
        if folder.is_empty() || which.is_empty() || Path::new(text).exists() {
            return Ok(whole());
        }
        let trial = which.rsplit_once('/').and_then(|(study, number)| {
            Some(Which::Trial { study: study.to_owned(), trial: number.parse().ok()? })
        });
        let which = match trial {
            Some(trial) => trial,
            None => Which::Label(which.to_owned()),
        };
        Ok(Self { folder: folder.into(), which })
    }
}

impl Which {
    /// That trial.
    ///
    /// # Errors
    /// When the set has no such trial, or advises none.
    pub fn of<'a>(&self, set: &'a ResultSet) -> Result<&'a StoredTrial, SelectError> {
        let found = match self {
            Self::Advised => {
                let advised = Analysis::new(set).verdict.advised();
                return advised.ok_or(SelectError::NoneAdvised);
            }
            Self::Label(label) => {
                set.first_runs().find(|trial| trial.label.as_deref() == Some(label))
            }
            Self::Trial { study, trial } => set
                .trials
                .iter()
                .find(|stored| stored.study == *study && stored.entry.trial.id == TrialId(*trial)),
        };
        found.ok_or_else(|| SelectError::Absent { which: self.to_string(), known: known(set) })
    }
}

/// How the trials of a set are called.
fn known(set: &ResultSet) -> Vec<String> {
    let labels = set.first_runs().filter_map(|trial| trial.label.clone());
    let studies = set.manifest.studies.iter().filter_map(|study| {
        let last = set.study(&study.name).last()?.entry.trial.id;
        Some(format!("{0}/0 to {0}/{last}", study.name))
    });
    labels.chain(studies).collect()
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Advised => f.write_str("the advised trial"),
            Self::Label(label) => f.write_str(label),
            Self::Trial { study, trial } => write!(f, "{study}/{trial}"),
        }
    }
}

/// Why a set has no such trial.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectError {
    /// No trial is called so.
    #[error("the result set has no trial `{which}`; it has: {}", known.join(", "))]
    Absent {
        /// What was asked for.
        which: String,
        /// What there is.
        known: Vec<String>,
    },
    /// The set advises none.
    #[error(
        "the result set advises no configuration; name a trial, such as `FOLDER:search/0`, or relax the targets"
    )]
    NoneAdvised,
}
