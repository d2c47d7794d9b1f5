//! Model presets: shapes as their publishers tell them.

use std::path::Path;

use serde::{Deserialize, Serialize, Serializer};
use toml::Spanned;

use super::{MODELS, PresetError, file::File, find, names_a_file, read};
use crate::ModelShape;

/// A model's shape, and where it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelPreset {
    /// Short name, such as `qwen2.5-7b`.
    pub name: String,
    /// The shape.
    pub shape: ModelShape,
    /// Where the shape is from, in a sentence.
    pub source: String,
}

/// Its fields, those of its shape, and how many parameters those make.
impl Serialize for ModelPreset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Flat<'a> {
            name: &'a str,
            source: &'a str,
            parameters: f64,
            #[serde(flatten)]
            shape: &'a ModelShape,
        }
        let Self { name, shape, source } = self;
        Flat { name, source, parameters: shape.parameters(), shape }.serialize(serializer)
    }
}

/// A file's fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    model: String,
    source: String,
    layers: Spanned<u32>,
    hidden: Spanned<u32>,
    query_heads: Spanned<u32>,
    kv_heads: Spanned<u32>,
    head_dim: Spanned<u32>,
    intermediate: Spanned<u32>,
    vocabulary: Spanned<u32>,
    tied_embeddings: bool,
    attention_bias: bool,
    max_len: Spanned<u32>,
}

impl ModelPreset {
    /// Names of the shipped presets, the families in the order of their sizes.
    pub fn names() -> impl Iterator<Item = &'static str> {
        MODELS.into_iter().map(|(name, _)| name)
    }

    /// The shipped preset of that name, or of the model that its publisher calls so, or the only one whose
    /// name begins so.
    ///
    /// # Errors
    /// [`PresetError::Unknown`] offers the most similar name.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        match find("model", &MODELS, name) {
            Ok((name, text)) => Self::parse(name, text),
            Err(unknown) => Self::published_as(name).ok_or(unknown),
        }
    }

    /// The shipped preset of the model that its publisher calls so, such as `Qwen/Qwen2.5-7B-Instruct`.
    fn published_as(name: &str) -> Option<Self> {
        let mut presets =
            MODELS.into_iter().filter_map(|(file, text)| Self::parse(file, text).ok());
        presets.find(|preset| preset.shape.name.eq_ignore_ascii_case(name.trim()))
    }

    /// What a user names: a shipped preset, or a file of their own ([`names_a_file`]).
    ///
    /// # Errors
    /// As [`named`](Self::named) or [`read`](Self::read).
    pub fn load(text: &str) -> Result<Self, PresetError> {
        match Self::named(text) {
            Err(_) if names_a_file(text) => Self::read(Path::new(text)),
            named => named,
        }
    }

    /// The preset in a user's file.
    ///
    /// # Errors
    /// [`PresetError`] names the file, and where it can the line and the field.
    pub fn read(path: &Path) -> Result<Self, PresetError> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    /// The preset in the text of a file; `file` names it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(file: &str, text: &str) -> Result<Self, PresetError> {
        let file = File { name: file, text, example: "qwen2.5-7b" };
        let fields: Fields = file.fields()?;
        let positive = |field: &str, number: &Spanned<u32>| match *number.get_ref() {
            0 => Err(file.value(field, &number.span(), 0.0, "1 or more")),
            number => Ok(number),
        };
        let shape = ModelShape {
            name: fields.model,
            layers: positive("layers", &fields.layers)?,
            hidden: positive("hidden", &fields.hidden)?,
            query_heads: positive("query_heads", &fields.query_heads)?,
            kv_heads: positive("kv_heads", &fields.kv_heads)?,
            head_dim: positive("head_dim", &fields.head_dim)?,
            intermediate: positive("intermediate", &fields.intermediate)?,
            vocabulary: positive("vocabulary", &fields.vocabulary)?,
            tied_embeddings: fields.tied_embeddings,
            attention_bias: fields.attention_bias,
            max_len: positive("max_len", &fields.max_len)?,
        };
        if !shape.query_heads.is_multiple_of(shape.kv_heads) {
            let (span, heads) = (fields.kv_heads.span(), f64::from(shape.kv_heads));
            return Err(file.value("kv_heads", &span, heads, "a divisor of query_heads"));
        }
        Ok(Self { name: fields.name, shape, source: fields.source })
    }
}
