//! The columns against the page that describes them.

use super::*;
use crate::{read::read_manifest, request_part, timeline_part};

#[test]
fn the_schema_page_describes_every_column() {
    let page = include_str!("../../../../docs/RESULTS.md");
    let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1");
    let manifest = read_manifest(fixture.as_ref()).unwrap();
    let of_the_study = |column: &str| {
        column.starts_with("parameter_")
            || manifest.metrics.iter().any(|metric| column.starts_with(metric))
    };
    let columns = column_names(&manifest)
        .into_iter()
        .filter(|column| !of_the_study(column))
        .chain(request_part::write("", TrialId(0), &[]).names())
        .chain(timeline_part::write("", TrialId(0), &[]).names());
    for column in columns {
        assert!(
            page.contains(&format!("| `{column}` |")),
            "docs/RESULTS.md has no row for `{column}`"
        );
    }
}
