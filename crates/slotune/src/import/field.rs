//! Values of a JSON document that know where they stand, so that an error can name the field.

use serde_json::Value;

/// A value of a document, or its absence, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct Field<'a> {
    path: String,
    /// `None` where it is absent or null.
    value: Option<&'a Value>,
}

/// What is wrong with a field.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) field: String,
    pub(super) problem: String,
}

impl<'a> Field<'a> {
    /// The document itself; `path` is empty, or the number of one among several.
    pub(super) fn root(path: impl Into<String>, value: &'a Value) -> Self {
        Self { path: path.into(), value: Some(value) }
    }

    /// A member of an object; absent where this is none.
    pub(super) fn get(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.into() } else { format!("{}.{name}", self.path) };
        let value = self.value.and_then(|value| value.get(name)).filter(|value| !value.is_null());
        Self { path, value }
    }

    pub(super) fn is_present(&self) -> bool {
        self.value.is_some()
    }

    /// The error that says this of the field.
    pub(super) fn problem(&self, problem: impl Into<String>) -> Problem {
        let field = if self.path.is_empty() { "(the whole file)" } else { &self.path };
        Problem { field: field.to_owned(), problem: problem.into() }
    }

    /// Its value, read by `read`, unless it is absent or null.
    pub(super) fn optional<T>(
        &self,
        read: impl FnOnce(&Self) -> Result<T, Problem>,
    ) -> Result<Option<T>, Problem> {
        self.value.map(|_| read(self)).transpose()
    }

    pub(super) fn number(&self) -> Result<f64, Problem> {
        self.read("a number", Value::as_f64)
    }

    /// A count.
    pub(super) fn count(&self) -> Result<u64, Problem> {
        self.read("a whole number, 0 or more", Value::as_u64)
    }

    /// A count of tokens of one request.
    pub(super) fn tokens(&self) -> Result<u32, Problem> {
        self.read("a whole number from 0 to 2^32 - 1", |value| value.as_u64()?.try_into().ok())
    }

    pub(super) fn text(&self) -> Result<&'a str, Problem> {
        self.read("text", Value::as_str)
    }

    /// The members of a list.
    pub(super) fn list(&self) -> Result<Vec<Self>, Problem> {
        let list = self.read("a list", Value::as_array)?;
        let path = |place| format!("{}[{place}]", self.path);
        let place = |(place, value)| Self { path: path(place), value: Some(value) };
        Ok(list.iter().enumerate().map(place).collect())
    }

    /// The members of a list that must be so many.
    pub(super) fn list_of(&self, length: usize) -> Result<Vec<Self>, Problem> {
        let list = self.list()?;
        if list.len() == length {
            return Ok(list);
        }
        Err(self.problem(format!("has {} entries, but there are {length} requests", list.len())))
    }

    /// Names and values of an object's members.
    pub(super) fn members(&self) -> Result<impl Iterator<Item = (&'a str, &'a Value)>, Problem> {
        let object = self.read("an object", Value::as_object)?;
        Ok(object.iter().map(|(name, value)| (name.as_str(), value)))
    }

    fn read<T>(&self, what: &str, read: impl FnOnce(&'a Value) -> Option<T>) -> Result<T, Problem> {
        let value =
            self.value.ok_or_else(|| self.problem(format!("is missing; it must be {what}")))?;
        read(value).ok_or_else(|| {
            let mut text = value.to_string();
            if text.len() > 60 {
                text = text.chars().take(57).chain("...".chars()).collect();
            }
            self.problem(format!("is {text}, but must be {what}"))
        })
    }
}
