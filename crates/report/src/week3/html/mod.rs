//! The page as one HTML file: the Markdown page with its pictures in it, and a table of all trials.
//!
//! Wording and numbers are those of the Markdown page, which is rendered and not written again. The
//! file needs nothing beside it and nothing from the network; its content security policy says so
//! to the browser. It is well-formed XML too, so that any parser reads it.

mod body;
mod trials;

use serde::Serialize;

use super::page::{render, title};
use crate::{analysis::Analysis, plot::Picture};
use body::{Body, Chapter};
use trials::Trials;

/// All that the template names.
#[derive(Serialize)]
struct Page<'a> {
    title: &'static str,
    model: &'a str,
    style: &'static str,
    script: &'static str,
    chapters: Vec<Chapter>,
    /// HTML.
    body: String,
    trials: Trials,
}

/// The page from the same page in Markdown and its pictures.
pub(super) fn fill(
    analysis: &Analysis<'_>,
    markdown: &str,
    pictures: &[Picture],
) -> Result<String, minijinja::Error> {
    let Body { html: body, chapters } = body::render(markdown, pictures);
    let page = Page {
        title: title(analysis),
        model: &analysis.set.manifest.backend.model,
        style: include_str!("style.css"),
        script: include_str!("sort.js"),
        chapters,
        body,
        trials: Trials::new(analysis),
    };
    // The ending of the name makes values escaped.
    let html = render("page.html", include_str!("page.html.jinja"), &page)?;
    Ok(html.replace(is_forbidden, "\u{fffd}"))
}

/// Whether HTML or XML forbids the character; servers colour their messages with such.
fn is_forbidden(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t')) || matches!(c, '\u{fffe}' | '\u{ffff}')
}
