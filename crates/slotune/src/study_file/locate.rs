//! Where in the text of a TOML document a field stands, and which field stands at a place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// A document whose keys and values know where they stand.
pub(super) struct Document<'t> {
    /// `None` where the text is no TOML: then nothing has a place.
    root: Option<DeTable<'t>>,
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { root: DeTable::parse(text).ok().map(toml::Spanned::into_inner) }
    }

    /// Names of the innermost field whose key or value holds the place, outermost first; the tables
    /// around it where no field does.
    pub(super) fn path_at(&self, place: &Range<usize>) -> Vec<String> {
        let mut path = Vec::new();
        let mut table = self.root.as_ref();
        while let Some(fields) = table {
            let holds = |span: Range<usize>| span.start <= place.start && place.end <= span.end;
            // A table under its own heading spans no more than the heading, so it is looked into.
            let found = fields.iter().find(|(key, value)| {
                holds(key.span()) || holds(value.span()) || within(value.get_ref(), &holds)
            });
            let Some((key, value)) = found else { break };
            path.push(key.get_ref().to_string());
            table = value.get_ref().as_table();
        }
        path
    }

    /// Where the key of a field stands, or of the innermost table around it that the text has.
    pub(super) fn offset_of(&self, path: &[String]) -> usize {
        let mut offset = 0;
        let mut table = self.root.as_ref();
        for name in path {
            let Some(fields) = table else { break };
            let Some((key, value)) = fields.iter().find(|(key, _)| key.get_ref() == name.as_str())
            else {
                break;
            };
            offset = key.span().start;
            table = value.get_ref().as_table();
        }
        offset
    }
}

/// Whether any key or value inside holds the place.
fn within(value: &DeValue<'_>, holds: &impl Fn(Range<usize>) -> bool) -> bool {
    match value {
        DeValue::Table(table) => table.iter().any(|(key, value)| {
            holds(key.span()) || holds(value.span()) || within(value.get_ref(), holds)
        }),
        DeValue::Array(values) => {
            values.iter().any(|value| holds(value.span()) || within(value.get_ref(), holds))
        }
        _ => false,
    }
}
