//! Writing a result set, one durable trial at a time.

use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
};

use slotune_core::{TrialId, Value};
use slotune_serving::{RequestRecord, Run, ServerSample};

use crate::{
    Manifest, ReadError, ResultSet, SCHEMA_VERSION, StoredTrial, StudyRole, durable,
    layout::{self, LOCK, MANIFEST, PARTS, REQUESTS, TEMPORARY, TIMELINES, TRIALS},
    read, request_part, seal,
    table::Table,
    timeline_part, trial_part,
};

/// What is stored of a run besides its trial's one row.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// One for each request, in the order of the schedule.
    pub requests: &'a [RequestRecord],
    /// One for each look at the server, in the order of time; may be empty.
    pub timeline: &'a [ServerSample],
}

impl<'a> From<&'a Run> for Rows<'a> {
    fn from(run: &'a Run) -> Self {
        Self { requests: &run.records, timeline: &run.timeline }
    }
}

/// Adds trials to a result set. While it lives, no other writer can open the folder.
#[derive(Debug)]
pub struct Writer {
    pub(crate) folder: PathBuf,
    pub(crate) manifest: Manifest,
    /// Locked; dropping it unlocks.
    _lock: File,
}

impl ResultSet {
    /// Begins a result set in a folder, which is made if need be and must be empty. The manifest
    /// is durable on return.
    ///
    /// # Errors
    /// [`WriteError`] when the folder holds anything, or when the manifest is unsound; nothing is
    /// then overwritten.
    pub fn create(folder: impl AsRef<Path>, manifest: &Manifest) -> Result<Writer, WriteError> {
        let folder = folder.as_ref();
        let json = manifest_json(manifest)?;
        refuse_used(folder)?;
        for path in PARTS.map(|parts| folder.join(parts)) {
            fs::create_dir_all(&path).map_err(io_error(&path))?;
        }
        let lock = lock(folder)?;
        durable::write(folder, MANIFEST, &json).map_err(io_error(folder))?;
        // The folder's own name must last as well.
        if let Some(parent) = folder.canonicalize().ok().as_deref().and_then(Path::parent) {
            durable::sync_folder(parent).map_err(io_error(parent))?;
        }
        Ok(Writer { folder: folder.to_owned(), manifest: manifest.clone(), _lock: lock })
    }
}

impl Writer {
    /// Goes on with the result set in a folder, and removes the unfinished files that a kill may
    /// have left there. Where the manifest given grants a study more trials than the stored one,
    /// the stored one is raised, and while nothing but references was measured, its objective is the stored
    /// one's from then on: they tell what to ask for. Both durably; nothing else of it changes here.
    ///
    /// # Errors
    /// [`WriteError`] when the folder holds no readable set, or one whose manifest differs in more
    /// than the time and the version of slotune that began it and how many trials its studies may
    /// take.
    pub fn open(folder: impl AsRef<Path>, manifest: &Manifest) -> Result<Self, WriteError> {
        let folder = folder.as_ref();
        // Before the lock is made, so that a folder that holds no set is left as it is.
        read::read_manifest(folder)?;
        let lock = lock(folder)?;
        // And again, as the last writer may have raised a budget before it let go.
        let mut stored = read::read_manifest(folder)?;
        let asks_otherwise =
            stored.objective != manifest.objective && !is_searched(folder, &stored)?;
        if asks_otherwise {
            stored.objective = manifest.objective.clone();
        }
        if let Some((field, stored, given)) = stored.first_difference(manifest) {
            return Err(WriteError::OtherStudy { folder: folder.to_owned(), field, stored, given });
        }
        for path in PARTS.map(|parts| folder.join(parts)) {
            fs::create_dir_all(&path).map_err(io_error(&path))?;
            remove_temporaries(&path).map_err(io_error(&path))?;
        }
        remove_temporaries(folder).map_err(io_error(folder))?;
        if stored.raise_budgets(manifest) || asks_otherwise {
            durable::write(folder, MANIFEST, &manifest_json(&stored)?).map_err(io_error(folder))?;
        }
        Ok(Self { folder: folder.to_owned(), manifest: stored, _lock: lock })
    }

    /// What the set is of.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Stores a finished trial and, where there was a run, its rows. All are durable on return;
    /// after a kill the trial is there with its rows, or not at all.
    ///
    /// # Errors
    /// [`WriteError`] when the trial is stored already, is pending, or does not fit the manifest;
    /// the set is then unchanged.
    pub fn append(
        &mut self,
        trial: &StoredTrial,
        rows: Option<Rows<'_>>,
    ) -> Result<(), WriteError> {
        let StoredTrial { study, entry, .. } = trial;
        let id = entry.trial.id;
        if !self.manifest.studies.iter().any(|known| known.name == *study) {
            let known = self.manifest.studies.iter().map(|known| known.name.clone()).collect();
            return Err(WriteError::UnknownStudy { study: study.clone(), known });
        }
        if layout::part(&self.folder, TRIALS, study, id).exists() {
            return Err(WriteError::Stored { study: study.clone(), trial: id });
        }
        let encode_error =
            |problem| WriteError::Encode { study: study.clone(), trial: id, problem };
        let row = trial_part::write(&self.manifest, trial)?.encode().map_err(encode_error)?;
        let encode = |table: Table| table.encode().map_err(encode_error);
        let requests = rows.map(|rows| encode(request_part::write(study, id, rows.requests)));
        let timeline = rows
            .filter(|rows| !rows.timeline.is_empty())
            .map(|rows| encode(timeline_part::write(study, id, rows.timeline)));
        // The rows come first: a trial part proves a whole trial.
        self.put_or_remove(REQUESTS, study, id, requests.transpose()?.as_deref())?;
        self.put_or_remove(TIMELINES, study, id, timeline.transpose()?.as_deref())?;
        self.put(TRIALS, study, id, &row)
    }

    /// Stores a part that a trial may lack.
    fn put_or_remove(
        &self,
        subfolder: &str,
        study: &str,
        id: TrialId,
        part: Option<&[u8]>,
    ) -> Result<(), WriteError> {
        if let Some(part) = part {
            return self.put(subfolder, study, id, part);
        }
        // A kill may have left the part of an earlier attempt at this trial.
        let stale = layout::part(&self.folder, subfolder, study, id);
        match fs::remove_file(&stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&stale)(error)),
            _ => Ok(()),
        }
    }

    fn put(
        &self,
        subfolder: &str,
        study: &str,
        id: TrialId,
        part: &[u8],
    ) -> Result<(), WriteError> {
        let folder = self.folder.join(subfolder);
        let name = layout::part_name(study, id);
        durable::write(&folder, &name, part).map_err(io_error(&folder.join(name)))
    }
}

/// The manifest as it is stored, proven to read back as it is.
pub(crate) fn manifest_json(manifest: &Manifest) -> Result<Vec<u8>, WriteError> {
    let unsound = |problem| WriteError::Manifest { problem };
    if manifest.schema_version != SCHEMA_VERSION {
        let version = manifest.schema_version;
        return Err(unsound(format!(
            "`schema_version` is {version}; this slotune writes {SCHEMA_VERSION}"
        )));
    }
    manifest.check().map_err(unsound)?;
    let mut json =
        serde_json::to_vec_pretty(manifest).map_err(|error| unsound(error.to_string()))?;
    json.push(b'\n');
    let json = seal::seal_json(&json);
    // JSON has no infinity and no NaN; serde_json writes null for them.
    match serde_json::from_slice::<Manifest>(&json) {
        Ok(again) if again == *manifest => Ok(json),
        _ => Err(unsound("it does not survive JSON; make all its numbers finite".to_owned())),
    }
}

/// Makes sure that a folder is absent, or holds only what a killed [`ResultSet::create`] leaves.
fn refuse_used(folder: &Path) -> Result<(), WriteError> {
    if folder.join(MANIFEST).exists() {
        return Err(WriteError::AlreadyASet { folder: folder.to_owned() });
    }
    let is_empty =
        |path: &Path| fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    let mut names: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(io_error(folder))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(io_error(folder)(error)),
    };
    names.sort();
    let leftover = |path: &Path| {
        let is = |name: &str| path == folder.join(name);
        is(LOCK)
            || is(&format!("{MANIFEST}{TEMPORARY}"))
            || (PARTS.into_iter().any(is) && is_empty(path))
    };
    match names.into_iter().find(|path| !leftover(path)) {
        Some(found) => Err(WriteError::NotEmpty { folder: folder.to_owned(), found }),
        None => Ok(()),
    }
}

/// Keeps other writers out until the file is dropped, by kill too. The file tells who has it.
fn lock(folder: &Path) -> Result<File, WriteError> {
    let path = folder.join(LOCK);
    let io_error = io_error(&path);
    // Not truncated before it is locked: it tells who holds it.
    let mut file = File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .map_err(&io_error)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut text = String::new();
            // Where it cannot be read, nobody is named; that the set is in use is certain.
            let holder = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
            return Err(WriteError::InUse { folder: folder.to_owned(), holder });
        }
        // Some network file systems know no locks; a set there is as safe as its users are careful.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(io_error(error)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(&io_error)?;
    Ok(file)
}

/// Whether a set holds a trial of another study than of references.
fn is_searched(folder: &Path, manifest: &Manifest) -> Result<bool, WriteError> {
    let trials = folder.join(TRIALS);
    let parts = match fs::read_dir(&trials) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        parts => parts.map_err(io_error(&trials))?,
    };
    let is_reference = |study: &str| {
        let mut studies = manifest.studies.iter();
        studies.any(|known| known.name == study && known.role == StudyRole::Reference)
    };
    for part in parts {
        let name = part.map_err(io_error(&trials))?.file_name();
        let study = name.to_str().and_then(layout::parse_part_name).map(|(study, _)| study);
        if study.is_some_and(|study| !is_reference(study)) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn remove_temporaries(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let finished = name.strip_suffix(TEMPORARY);
        if finished.is_some_and(|name| name == MANIFEST || layout::parse_part_name(name).is_some())
        {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn writer_name(holder: Option<u32>) -> String {
    holder.map_or("another process".to_owned(), |process| format!("process {process}"))
}

/// What to do about the operating system's answer; what is stored stays whatever it was.
fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "make room and start again; every stored trial is kept"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "make it writable, or choose another folder"
        }
        _ => "choose another folder, or mend that and start again; every stored trial is kept",
    }
}

pub(crate) fn io_error(path: &Path) -> impl Fn(io::Error) -> WriteError {
    move |source| WriteError::Io { path: path.to_owned(), source }
}

/// Why a result set could not be begun, gone on with, or added to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// There is a set already.
    #[error("{} holds a result set already; resume it, or choose another folder", folder.display())]
    AlreadyASet {
        /// The folder.
        folder: PathBuf,
    },
    /// There is something else.
    #[error("{} is not empty, it holds {}; choose another folder", folder.display(), found.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// The first thing in it.
        found: PathBuf,
    },
    /// The set is of something else.
    #[error("{} holds another study: its `{field}` is {stored}, now it would be {given}; choose another folder (`--out`), or run what the set was begun with", folder.display())]
    OtherStudy {
        /// The folder.
        folder: PathBuf,
        /// Path of the first field of the manifest that differs.
        field: String,
        /// Its value there, as JSON.
        stored: String,
        /// Its value in the manifest given, as JSON.
        given: String,
    },
    /// Another writer has it.
    #[error("{} is being written by {}; wait for it to end, stop it, or choose another folder", folder.display(), writer_name(*holder))]
    InUse {
        /// The folder.
        folder: PathBuf,
        /// The number of the process that holds it, on its own machine, where that is known.
        holder: Option<u32>,
    },
    /// The set cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The manifest given cannot be stored.
    #[error("manifest: {problem}")]
    Manifest {
        /// What is wrong with it, and the remedy.
        problem: String,
    },
    /// The manifest has no such study.
    #[error("study `{study}` is not in the manifest; it has: {}", known.join(", "))]
    UnknownStudy {
        /// The name seen.
        study: String,
        /// The names that exist.
        known: Vec<String>,
    },
    /// The trial is there already.
    #[error("trial {trial} of study `{study}` is stored already; the stored one is kept")]
    Stored {
        /// The study.
        study: String,
        /// The trial.
        trial: TrialId,
    },
    /// The trial has no outcome.
    #[error("trial {trial} of study `{study}` is pending; tell its outcome first")]
    Pending {
        /// The study.
        study: String,
        /// The trial.
        trial: TrialId,
    },
    /// The manifest's space has no such parameter.
    #[error("parameter `{parameter}` is not in the manifest's search space; declare it there")]
    UnknownParameter {
        /// The name seen.
        parameter: String,
    },
    /// The value does not have the type of its parameter.
    #[error("parameter `{parameter}` is {value}, which has another type than {domain}")]
    ParameterType {
        /// The parameter.
        parameter: String,
        /// The value seen.
        value: Value,
        /// What it may be.
        domain: String,
    },
    /// The manifest does not list the metric.
    #[error(
        "metric `{metric}` is not in the manifest's `metrics`; list it when the set is created"
    )]
    UnknownMetric {
        /// The name seen.
        metric: String,
    },
    /// A count exceeds what its column can hold.
    #[error("`{column}` is {value}, more than 2^63 - 1; leave out a counter that ran over")]
    TooLarge {
        /// The column.
        column: &'static str,
        /// The count seen.
        value: u64,
    },
    /// The trial cannot be encoded.
    #[error("trial {trial} of study `{study}` cannot be encoded: {problem}")]
    Encode {
        /// The study.
        study: String,
        /// The trial.
        trial: TrialId,
        /// The encoder's text.
        problem: String,
    },
    /// The operating system refuses.
    #[error("{} cannot be written: {source}; {}", path.display(), remedy(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its answer.
        source: io::Error,
    },
}
