//! Reading a result set: everything that is sound, and the name of everything that is not.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use slotune_core::{State, TrialId};
use slotune_serving::{RequestRecord, Run, ServerSample};

use crate::{
    Fault, Manifest, PartProblem, ResultSet, SCHEMA_VERSION, StoredTrial,
    layout::{self, MANIFEST, REQUESTS, TIMELINES, TRIALS},
    request_part, seal,
    table::Columns,
    timeline_part, trial_part,
};

/// What was read from a folder.
#[derive(Debug)]
pub struct Loaded {
    /// The set, without the trials that could not be read.
    pub set: ResultSet,
    /// The trial parts that could not be read, by name.
    pub faults: Vec<Fault>,
    folder: PathBuf,
}

/// Why a result set could not be read at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such folder.
    #[error("there is no folder {}; name the folder that slotune wrote", folder.display())]
    NoFolder {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder holds no manifest.
    #[error("{} is no result set: it holds no {MANIFEST}; name the folder that slotune wrote", folder.display())]
    NotASet {
        /// The folder.
        folder: PathBuf,
    },
    /// A newer slotune wrote it.
    #[error("{} has schema version {found}, but this slotune knows versions up to {SCHEMA_VERSION}; upgrade slotune", file.display())]
    Newer {
        /// The manifest.
        file: PathBuf,
        /// Its schema version.
        found: u32,
    },
    /// The manifest is not understood.
    #[error("{}: {problem}; restore the manifest from a copy", file.display())]
    Manifest {
        /// The manifest.
        file: PathBuf,
        /// What is wrong with it, and where.
        problem: String,
    },
    /// The operating system refuses.
    #[error("{} cannot be read: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}

impl ResultSet {
    /// Reads a folder. Trial parts that are torn, damaged or foreign are left out of the set and
    /// returned as faults; unfinished files are passed over.
    ///
    /// # Errors
    /// [`ReadError`] when the manifest or the folder cannot be read.
    pub fn read(folder: impl AsRef<Path>) -> Result<Loaded, ReadError> {
        let folder = folder.as_ref();
        let manifest = read_manifest(folder)?;
        let mut trials = Vec::new();
        let mut faults = Vec::new();
        for file in trial_parts(folder)? {
            match read_trial(&manifest, &file) {
                Ok(trial) => trials.push(trial),
                Err(problem) => faults.push(Fault { file, problem }),
            }
        }
        let position = |name: &str| manifest.studies.iter().position(|study| study.name == name);
        trials.sort_by_key(|trial| (position(&trial.study), trial.entry.trial.id));
        Ok(Loaded { set: Self { manifest, trials }, faults, folder: folder.to_owned() })
    }
}

impl Loaded {
    /// The request records of one trial, in the order of the schedule; `None` where none were
    /// stored. They are read from the folder at each call.
    ///
    /// # Errors
    /// [`Fault`] when they are stored and cannot be read.
    pub fn requests(
        &self,
        study: &str,
        trial: TrialId,
    ) -> Result<Option<Vec<RequestRecord>>, Fault> {
        self.part(REQUESTS, study, trial, request_part::read)
    }

    /// The run that a trial was measured from, as far as it is stored, without its timeline; `None`
    /// where its requests were not kept. They are read from the folder at each call, so going from
    /// trial to trial takes the memory of one.
    ///
    /// When a run was stopped is not stored: where requests were under way then, it ends when its client
    /// did, or else with the last thing that is known of it.
    ///
    /// # Errors
    /// [`Fault`] when they are stored and cannot be read.
    pub fn run(&self, trial: &StoredTrial) -> Result<Option<Run>, Fault> {
        let Some(records) = self.requests(&trial.study, trial.entry.trial.id)? else {
            return Ok(None);
        };
        let last_s = |record: &RequestRecord| record.last_token_s.unwrap_or(record.sent_s);
        let seen_s = records.iter().map(last_s).fold(0.0, f64::max);
        let is_cut_short = records.iter().any(RequestRecord::is_unfinished);
        let stopped_s = trial.client.filter(|_| is_cut_short).map_or(0.0, |client| client.wall_s);
        let State::Told { cost: cost_s, .. } = trial.entry.state else { return Ok(None) };
        Ok(Some(Run {
            records,
            end_s: seen_s.max(stopped_s),
            cost_s,
            server: trial.server.clone().unwrap_or_default(),
            timeline: vec![],
            client: trial.client,
            caveats: trial.caveats.clone(),
        }))
    }

    /// What the server was seen to do during one trial, by time; `None` where nobody looked. It is
    /// read from the folder at each call.
    ///
    /// # Errors
    /// [`Fault`] when it is stored and cannot be read.
    pub fn timeline(
        &self,
        study: &str,
        trial: TrialId,
    ) -> Result<Option<Vec<ServerSample>>, Fault> {
        self.part(TIMELINES, study, trial, timeline_part::read)
    }

    fn part<T>(
        &self,
        parts: &str,
        study: &str,
        trial: TrialId,
        read: fn(Columns, &str, TrialId) -> Result<T, PartProblem>,
    ) -> Result<Option<T>, Fault> {
        let file = layout::part(&self.folder, parts, study, trial);
        let rows = match fs::read(&file) {
            Ok(bytes) => Columns::decode(&bytes).and_then(|columns| read(columns, study, trial)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => Err(PartProblem::Io(error)),
        };
        rows.map(Some).map_err(|problem| Fault { file, problem })
    }
}

/// Reads and checks the manifest of a folder.
pub(crate) fn read_manifest(folder: &Path) -> Result<Manifest, ReadError> {
    let file = folder.join(MANIFEST);
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = folder.to_owned();
            return Err(if folder.is_dir() {
                ReadError::NotASet { folder }
            } else {
                ReadError::NoFolder { folder }
            });
        }
        Err(source) => return Err(ReadError::Io { path: file, source }),
    };
    parse_manifest(&bytes).map_err(|problem| match problem {
        ManifestProblem::Newer(found) => ReadError::Newer { file, found },
        ManifestProblem::Other(problem) => ReadError::Manifest { file, problem },
    })
}

enum ManifestProblem {
    Newer(u32),
    Other(String),
}

fn parse_manifest(bytes: &[u8]) -> Result<Manifest, ManifestProblem> {
    // Read first and alone: the rest of a newer manifest may have any form.
    #[derive(Deserialize)]
    struct Version {
        schema_version: u32,
    }
    let other = |error: serde_json::Error| ManifestProblem::Other(error.to_string());
    let Version { schema_version } = serde_json::from_slice(bytes).map_err(other)?;
    if schema_version > SCHEMA_VERSION {
        return Err(ManifestProblem::Newer(schema_version));
    }
    let manifest: Manifest = serde_json::from_slice(bytes).map_err(other)?;
    seal::check_json(bytes).map_err(ManifestProblem::Other)?;
    manifest.check().map_err(ManifestProblem::Other)?;
    Ok(manifest)
}

/// All Parquet files among the trials, by name.
fn trial_parts(folder: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let path = folder.join(TRIALS);
    let entries = match fs::read_dir(&path) {
        Ok(entries) => entries,
        // A set without trials that went through version control has lost the empty folder.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    let mut files = Vec::new();
    for entry in entries {
        let file = entry.map_err(|source| ReadError::Io { path: path.clone(), source })?.path();
        if file.extension().is_some_and(|extension| extension == "parquet") {
            files.push(file);
        }
    }
    files.sort();
    Ok(files)
}

fn read_trial(manifest: &Manifest, file: &Path) -> Result<StoredTrial, PartProblem> {
    let (study, id) = file
        .file_name()
        .and_then(|name| layout::parse_part_name(name.to_str()?))
        .filter(|(study, _)| manifest.studies.iter().any(|known| known.name == *study))
        .ok_or(PartProblem::Name)?;
    let bytes = fs::read(file).map_err(PartProblem::Io)?;
    let trial = trial_part::read(manifest, Columns::decode(&bytes)?)?;
    if trial.study != study || trial.entry.trial.id != id {
        return Err(PartProblem::Misplaced { study: trial.study, trial: trial.entry.trial.id.0 });
    }
    Ok(trial)
}
