//! The study file as a JSON schema, by which editors complete and check it.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings, json_schema};
use serde_json::json;
use slotune_serving::EngineArguments;

use super::StudyFile;

/// The schema (JSON Schema, draft 2020-12) of study files, as pretty JSON text with a line end.
///
/// `docs/study.schema.json` is this text; `slotune schema` prints it.
///
/// # Panics
/// Never: a schema is plain data.
pub fn json_schema() -> String {
    let mut schema =
        SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<StudyFile>();
    schema.insert("title".to_owned(), json!("Study file of slotune"));
    let mut text = serde_json::to_string_pretty(&schema).expect("a schema is plain data");
    text.push('\n');
    text
}

/// What names of parameters are allowed.
pub(super) struct ParameterNames;

impl ParameterNames {
    pub(super) fn schema() -> serde_json::Value {
        json!({ "enum": EngineArguments::names().collect::<Vec<_>>() })
    }
}

/// Gives foreign types their schema.
macro_rules! schema_of {
    ($(#[$doc:meta])* $name:ident, $($schema:tt)+) => {
        $(#[$doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($($schema)+)
            }
        }
    };
}

schema_of!(
    /// A value of a parameter: [`slotune_core::Value`].
    SettingSchema, { "type": ["boolean", "number", "string"] }
);

schema_of!(
    /// A value of a parameter that must be a number.
    NumberSchema, { "type": "number" }
);

schema_of!(
    /// A bound on a metric: [`slotune_core::Bound`].
    BoundSchema, {
        "oneOf": [
            {
                "description": "The metric must not fall below this.",
                "type": "object",
                "properties": { "at_least": { "type": "number" } },
                "required": ["at_least"],
                "additionalProperties": false,
            },
            {
                "description": "The metric must not exceed this.",
                "type": "object",
                "properties": { "at_most": { "type": "number" } },
                "required": ["at_most"],
                "additionalProperties": false,
            },
        ],
    }
);
