//! A file of another tool, and which tool wrote it.

use std::{
    convert::Infallible,
    fs,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde_json::Value as Json;
use slotune_core::{Configuration, Value};

use super::{
    ImportError,
    field::{Field, Problem},
    finding::Finding,
    guidellm, vllm_bench,
};

/// A file of another tool: its path and, after a colon, engine arguments of its server.
///
/// ```
/// use slotune::import::Source;
///
/// let source: Source = "runs/a.json:max_num_seqs=256,enable_chunked_prefill=true".parse()?;
/// assert_eq!(source.file, std::path::Path::new("runs/a.json"));
/// assert_eq!(source.parameters.integer("max_num_seqs"), Some(256));
/// assert_eq!("runs/a.json".parse::<Source>()?.parameters.iter().count(), 0);
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// The file.
    pub file: PathBuf,
    /// Engine arguments of its server.
    pub parameters: Configuration,
    /// What its runs are known as, such as `baseline` or `default`; a label puts them among the
    /// references.
    pub label: Option<String>,
}

impl Source {
    /// The same, its runs known as `label`.
    #[must_use]
    pub fn labelled(self, label: &str) -> Self {
        Self { label: Some(label.to_owned()), ..self }
    }
}

impl FromStr for Source {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let whole = || Self { file: text.into(), parameters: Configuration::new(), label: None };
        // A file may have a colon in its name.
        let Some((file, parameters)) = text.rsplit_once(':') else { return Ok(whole()) };
        if !parameters.contains('=') || Path::new(text).exists() {
            return Ok(whole());
        }
        let mut configuration = Configuration::new();
        for parameter in parameters.split(',') {
            let (name, value) = parse_parameter(parameter)?;
            configuration = configuration.with(name, value);
        }
        Ok(Self { file: file.into(), parameters: configuration, label: None })
    }
}

/// An engine argument as `NAME=VALUE`: a truth value, a whole number, a number, or a name.
///
/// # Errors
/// Text that says what to give.
pub fn parse_parameter(text: &str) -> Result<(String, Value), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((argument_name(name), parse_value(value)))
        }
        _ => Err(format!(
            "`{text}` is no parameter; give a name and a value, such as max_num_seqs=256"
        )),
    }
}

/// The name as in Python: a sweep may spell it as a flag.
pub(super) fn argument_name(name: &str) -> String {
    name.replace('-', "_")
}

pub(super) fn parse_value(text: &str) -> Value {
    let boolean = text.parse().map(Value::Boolean);
    let Ok(value) = boolean
        .or_else(|_| text.parse().map(Value::Integer))
        .or_else(|_| text.parse().map(Value::Float))
        .or_else(|_| Ok::<_, Infallible>(Value::Text(text.to_owned())));
    value
}

impl Source {
    /// The runs that the file holds.
    pub(super) fn read(&self) -> Result<Vec<Finding>, ImportError> {
        let text = fs::read(&self.file)
            .map_err(|source| ImportError::Io { file: self.file.clone(), source })?;
        // `--append-result` writes one document after the other.
        let documents: Vec<Json> = serde_json::Deserializer::from_slice(&text)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|problem| ImportError::Json { file: self.file.clone(), problem })?;
        let findings = self.findings(&documents).map_err(|Problem { field, problem }| {
            ImportError::Field { file: self.file.clone(), field, problem }
        })?;
        Ok(numbered(findings))
    }

    fn findings(&self, documents: &[Json]) -> Result<Vec<Finding>, Problem> {
        let [only] = documents else {
            if documents.is_empty() {
                return Err(Field::root("", &Json::Null).problem("is empty; give a result"));
            }
            let documents = documents.iter().enumerate();
            let run = |(place, json)| {
                vllm_bench::run(&self.name(), &Field::root(format!("[{place}]"), json))
            };
            return documents.map(run).collect();
        };
        let root = Field::root("", only);
        if root.get("benchmarks").is_present() {
            guidellm::report(&self.name(), &root)
        } else if only.is_array() {
            root.list()?.iter().map(|run| vllm_bench::run(&self.name(), run)).collect()
        } else {
            Ok(vec![vllm_bench::run(&self.name(), &root)?])
        }
    }

    /// What its runs are called: the file's name, and of a name that a tool gives to all its files
    /// the folder's as well.
    fn name(&self) -> String {
        let name = |part: &std::ffi::OsStr| part.to_string_lossy().into_owned();
        let stem = self.file.file_stem().map(name).unwrap_or_default();
        let is_common = stem == "summary" || stem == "benchmarks" || stem.starts_with("run=");
        let folder = self.file.parent().and_then(Path::file_name).filter(|_| is_common);
        folder.map_or(stem.clone(), |folder| format!("{}/{stem}", name(folder)))
    }
}

/// Several runs of one file are told apart by their place.
fn numbered(mut findings: Vec<Finding>) -> Vec<Finding> {
    if findings.len() > 1 {
        for (place, finding) in findings.iter_mut().enumerate() {
            finding.label = format!("{}#{place}", finding.label);
        }
    }
    findings
}
