//! Where in the text of a TOML document a field stands, and which field stands at a place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::FieldPart;

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
            // A table under its own heading spans no more than the heading, so it is looked into.
            let found = fields.iter().find(|(key, value)| {
                holds(&key.span(), place)
                    || holds(&value.span(), place)
                    || within(value.get_ref(), place)
            });
            let Some((key, value)) = found else { break };
            path.push(key.get_ref().to_string());
            table = value.get_ref().as_table();
        }
        path
    }

    /// Where a part of a field stands; where the text lacks the field, the name of the innermost table
    /// around it that the text has.
    pub(super) fn place_of(&self, path: &[String], part: FieldPart) -> Range<usize> {
        let mut place = 0..0;
        let mut table = self.root.as_ref();
        for (depth, name) in path.iter().enumerate() {
            let Some(fields) = table else { break };
            let Some((key, value)) = fields.iter().find(|(key, _)| key.get_ref() == name.as_str())
            else {
                break;
            };
            let is_last = depth + 1 == path.len();
            place = if is_last && part == FieldPart::Value { value.span() } else { key.span() };
            table = value.get_ref().as_table();
        }
        place
    }

    /// From its name to the end of its value, the outermost field on whose lines the place is; `None` where
    /// that is a table under its own heading.
    pub(super) fn lines_at(&self, place: &Range<usize>) -> Option<Range<usize>> {
        let mut table = self.root.as_ref();
        while let Some(fields) = table {
            let (key, value) = fields.iter().find(|(key, value)| {
                let lines = key.span().start..value.span().end;
                holds(&lines, place) || within(value.get_ref(), place)
            })?;
            // Of a table under its own heading, the heading holds the key.
            let is_heading = value.span().start <= key.span().start;
            let lines = key.span().start..value.span().end;
            if !is_heading && holds(&lines, place) {
                return Some(lines);
            }
            table = value.get_ref().as_table();
        }
        None
    }
}

fn holds(outer: &Range<usize>, inner: &Range<usize>) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}

/// Whether any key or value inside holds the place.
fn within(value: &DeValue<'_>, place: &Range<usize>) -> bool {
    match value {
        DeValue::Table(table) => table.iter().any(|(key, value)| {
            holds(&key.span(), place)
                || holds(&value.span(), place)
                || within(value.get_ref(), place)
        }),
        DeValue::Array(values) => {
            values.iter().any(|value| holds(&value.span(), place) || within(value.get_ref(), place))
        }
        _ => false,
    }
}
