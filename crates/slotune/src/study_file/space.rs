//! The parameters of a study file.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error};
use slotune_core::{Configuration, Domain, Parameter, Scale, Value};
use slotune_serving::EngineArguments;

use super::{
    FieldError,
    schema::{NumberSchema, SettingSchema},
};

/// The values that one engine argument may take: a `range` or `levels`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("oneOf" = [{ "required": ["range"] }, { "required": ["levels"] }]))]
pub struct ParameterTable {
    /// Smallest and largest value, both included. Two whole numbers make a parameter of whole
    /// numbers, anything else one of real numbers.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "two")]
    #[schemars(with = "Option<[NumberSchema; 2]>")]
    pub range: Option<[Value; 2]>,
    /// Whether distance within the range is measured by ratio: 32 is as far from 64 as 2048 from
    /// 4096.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub log: bool,
    /// Listed values: numbers, smallest first; names, whose order means nothing; or
    /// `[false, true]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Vec<SettingSchema>>")]
    pub levels: Option<Vec<Value>>,
    /// The parameter exists only where an earlier one has this value, such as
    /// `{ enable_chunked_prefill = true }`.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, SettingSchema>")]
    #[schemars(extend("maxProperties" = 1))]
    pub only_if: IndexMap<String, Value>,
}

/// Two values and no more: of an array that is too long serde would drop the rest.
fn two<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<[Value; 2]>, D::Error> {
    let values = Vec::deserialize(deserializer)?;
    <[Value; 2]>::try_from(values).map(Some).map_err(|values| {
        D::Error::custom(format!(
            "`range` has {} values, but takes two, the smallest and the largest, such as [32, 4096]; list single \
             values as `levels`",
            values.len()
        ))
    })
}

impl ParameterTable {
    /// The parameter of that name.
    pub(crate) fn parameter(&self, name: &str) -> Result<Parameter, FieldError> {
        let error = |field: &str, problem: &str| FieldError::new(["space", name, field], problem);
        let domain = match (&self.range, &self.levels) {
            (Some([low, high]), None) => {
                range(low, high).map_err(|problem| error("range", problem))?
            }
            (None, Some(levels)) => levels_domain(levels),
            (Some(_), Some(_)) => {
                let problem = "stands beside `range`; give one of the two";
                return Err(FieldError::of_name(["space", name, "levels"], problem));
            }
            (None, None) => {
                let problem = "has no values; give `range = [low, high]` or `levels = [...]`";
                return Err(FieldError::new(["space", name], problem));
            }
        };
        // The ends stand for what lies between them.
        for value in ends(&domain) {
            EngineArguments::from_configuration(&Configuration::new().with(name, value)).map_err(
                |problem| {
                    FieldError::of_argument(["space", name], Some(self.values_field()), &problem)
                },
            )?;
        }
        let has_scale = matches!(domain, Domain::Float { .. } | Domain::Integer { .. });
        let mut parameter = Parameter::new(name, domain);
        if self.log {
            if !has_scale {
                let problem = "has no meaning for `levels`; leave it out";
                return Err(FieldError::of_name(["space", name, "log"], problem));
            }
            parameter = parameter.log();
        }
        let mut conditions = self.only_if.iter();
        if let Some((other, value)) = conditions.next() {
            parameter = parameter.only_if(other, value.clone());
        }
        match conditions.next() {
            Some(_) => Err(error("only_if", "names more than one parameter; give one")),
            None => Ok(parameter),
        }
    }

    /// The field that the values are in.
    pub(super) fn values_field(&self) -> &'static str {
        if self.range.is_some() { "range" } else { "levels" }
    }
}

fn range(low: &Value, high: &Value) -> Result<Domain, &'static str> {
    match (low, high) {
        (Value::Integer(low), Value::Integer(high)) => {
            Ok(Domain::Integer { low: *low, high: *high, scale: Scale::Linear })
        }
        _ => match (low.number(), high.number()) {
            (Some(low), Some(high)) => Ok(Domain::Float { low, high, scale: Scale::Linear }),
            _ => Err("must be two numbers, the smaller first, such as [32, 4096]"),
        },
    }
}

/// What a list of values is: a switch, names or numbers. What is wrong with it, the search space
/// says.
fn levels_domain(levels: &[Value]) -> Domain {
    let texts = || {
        levels.iter().map(|value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        })
    };
    if let [Value::Boolean(first), Value::Boolean(second)] = levels
        && first != second
    {
        return Domain::Boolean;
    }
    if let (Some(values), false) = (texts().collect::<Option<Vec<_>>>(), levels.is_empty()) {
        return Domain::Categorical { values };
    }
    // One column holds one type, and a person may write 1 for 1.0.
    let mixed = levels.iter().any(|value| matches!(value, Value::Float(_)));
    let values = levels.iter().map(|value| match value {
        Value::Integer(_) if mixed => Value::Float(value.number().unwrap_or_default()),
        value => value.clone(),
    });
    Domain::Levels { values: values.collect() }
}

fn ends(domain: &Domain) -> Vec<Value> {
    match domain {
        Domain::Float { low, high, .. } => vec![(*low).into(), (*high).into()],
        Domain::Integer { low, high, .. } => vec![(*low).into(), (*high).into()],
        Domain::Levels { values } => values.clone(),
        Domain::Categorical { values } => values.iter().cloned().map(Into::into).collect(),
        Domain::Boolean => vec![false.into(), true.into()],
    }
}
