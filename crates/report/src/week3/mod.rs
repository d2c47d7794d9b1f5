//! The week-3 page: a result set as a Markdown document with its pictures, and the same as one
//! HTML file with the pictures in it and a table of all trials.
//!
//! The page has the order of the template that it fills. Of a set of the system that week 2 measured it
//! has the template's words too: the numbers of week 2 stay in it as they were documented, beside those of
//! the result set, and where the set contradicts what week 2 concluded, it says so. Of any other set it
//! does not speak of weeks. Every other number comes from the set.

mod arguments;
mod contradictions;
mod documented;
mod effects;
mod finals;
mod html;
mod issues;
mod lessons;
mod page;
mod sections;
mod tables;
mod verdict;
pub(crate) mod wording;

use std::{
    convert::Infallible,
    error::Error,
    fmt, fs,
    path::{Path, PathBuf},
};

use serde::Serialize;
use slotune_results::{ResultSet, StoredTrial};
use slotune_serving::RequestRecord;

pub use arguments::as_run;
pub(crate) use arguments::{python, vllm_serve};
pub use sections::Focus;

use crate::{
    analysis::{Analysis, Effects},
    finals::FinalsReport,
    plot::{self, Scene},
    subject::subjects,
};

/// File name of the page.
pub const PAGE: &str = "week3.md";

/// File name of the page as HTML.
pub const HTML_PAGE: &str = "week3.html";

/// What was written. Displays as one name a line, the page first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The page.
    pub page: PathBuf,
    /// The page as HTML, one file that needs no other.
    pub html: PathBuf,
    /// The pictures, each as PNG and as SVG.
    pub pictures: Vec<PathBuf>,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        [&self.page, &self.html]
            .into_iter()
            .chain(&self.pictures)
            .try_for_each(|path| writeln!(f, "{}", path.display()))
    }
}

/// Why no report was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The requests of a trial could not be had.
    #[error("requests of trial {trial} of study `{study}` cannot be read: {source}")]
    Requests {
        /// Name of the study.
        study: String,
        /// Number of the trial.
        trial: u64,
        /// What the caller's function said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The page's template did not take the numbers: a fault of this crate.
    #[error("the page cannot be filled: {0}")]
    Page(#[from] minijinja::Error),
    /// A picture could not be drawn: a fault of this crate.
    #[error("picture `{picture}` cannot be drawn: {message}")]
    Picture {
        /// Name of the picture.
        picture: &'static str,
        /// What the drawing code said.
        message: String,
    },
    /// A file could not be written.
    #[error("`{}` cannot be written: {source}; check that the folder is writable and has room", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// The page as Markdown, without what takes the requests: the percentiles of the finals. It names the
/// pictures as files beside it.
///
/// # Errors
/// [`ReportError::Page`], for a fault of this crate.
pub fn page(set: &ResultSet) -> Result<String, ReportError> {
    let analysis = Analysis::new(set);
    let Ok(finals) = FinalsReport::new(&analysis, |_| Ok::<_, Infallible>(vec![]));
    Ok(page::fill(&analysis, &effects_of(set), &finals)?)
}

/// Writes [`PAGE`], [`HTML_PAGE`] and the pictures into a folder, which is made where it is missing.
///
/// `requests` gives the request records of a trial; it is asked for the baseline, the default, the
/// trial that the search found and those of the finals, and may answer with none, which leaves the
/// distribution of latencies out of the pictures and the percentiles out of the finals. Each file is complete or absent: it is written under a temporary
/// name first.
///
/// # Errors
/// When `requests` fails, or a file cannot be written; files written before stay.
pub fn write<E>(
    set: &ResultSet,
    mut requests: impl FnMut(&StoredTrial) -> Result<Vec<RequestRecord>, E>,
    folder: &Path,
) -> Result<Written, ReportError>
where
    E: Into<Box<dyn Error + Send + Sync>>,
{
    let (analysis, effects) = (Analysis::new(set), effects_of(set));
    let mut requests = |trial: &StoredTrial| {
        requests(trial).map_err(|error| ReportError::Requests {
            study: trial.study.clone(),
            trial: trial.entry.trial.id.0,
            source: error.into(),
        })
    };
    let finals = FinalsReport::new(&analysis, &mut requests)?;
    let with_requests =
        subjects(&analysis).into_iter().map(|subject| Ok((subject, requests(subject.trial)?)));
    let scene = Scene {
        subjects: with_requests.collect::<Result<_, ReportError>>()?,
        analysis: &analysis,
        effects: &effects,
        source: wording::source(&set.manifest.backend),
    };
    let pictures = plot::all(&scene)
        .map_err(|(picture, message)| ReportError::Picture { picture, message })?;
    let markdown = page::fill(&analysis, &effects, &finals)?;
    let html = html::fill(&analysis, &markdown, &pictures)?;

    fs::create_dir_all(folder)
        .map_err(|source| ReportError::Write { path: folder.to_owned(), source })?;
    let mut written =
        Written { page: folder.join(PAGE), html: folder.join(HTML_PAGE), pictures: Vec::new() };
    for picture in &pictures {
        for (ending, bytes) in [("png", picture.png.as_slice()), ("svg", picture.svg.as_bytes())] {
            let path = folder.join(format!("{}.{ending}", picture.name));
            write_whole(&path, bytes)?;
            written.pictures.push(path);
        }
    }
    write_whole(&written.html, html.as_bytes())?;
    // Last: where there is a page, its pictures are there.
    write_whole(&written.page, markdown.as_bytes())?;
    Ok(written)
}

/// What the trials of this set alone say of its parameters.
fn effects_of(set: &ResultSet) -> Effects {
    Effects::new(&[(String::new(), set)], &set.manifest.objective)
}

/// Writes under a temporary name, then renames.
fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), ReportError> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    fs::write(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(|source| ReportError::Write { path: path.to_owned(), source })
}
