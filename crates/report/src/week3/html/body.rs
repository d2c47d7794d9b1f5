//! The Markdown page as HTML.

use std::collections::BTreeMap;

use minijinja::HtmlEscape;
use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};
use serde::Serialize;

use crate::plot::Picture;

/// What the Markdown page became.
pub(super) struct Body {
    pub(super) html: String,
    pub(super) chapters: Vec<Chapter>,
}

/// A heading of the second level.
#[derive(Serialize)]
pub(super) struct Chapter {
    /// What a link to it names.
    id: String,
    title: String,
}

/// Renders the page. Pictures go where their PNG stands; any other image, any link that leaves the
/// page and any HTML can only come from a text of the result set, and becomes plain text.
pub(super) fn render(markdown: &str, pictures: &[Picture]) -> Body {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS | Options::ENABLE_STRIKETHROUGH;
    let events: Vec<Event<'_>> = Parser::new_ext(markdown, options).collect();
    let mut chapters = Vec::new();
    let mut taken = BTreeMap::new();
    let mut kept = Vec::new();
    let mut events = events.as_slice();
    while let Some((event, rest)) = events.split_first() {
        events = rest;
        match event {
            Event::Start(Tag::Heading { level, classes, attrs, .. }) => {
                let end = rest.iter().position(|e| *e == Event::End(TagEnd::Heading(*level)));
                let title = text(&rest[..end.unwrap_or(rest.len())]);
                let id = anchor(&title, &mut taken);
                kept.push(Event::Start(Tag::Heading {
                    level: *level,
                    id: Some(id.clone().into()),
                    classes: classes.clone(),
                    attrs: attrs.clone(),
                }));
                if *level == HeadingLevel::H2 {
                    chapters.push(Chapter { id, title });
                }
            }
            Event::Start(Tag::Image { dest_url, .. }) => {
                let shown = pictures.iter().find(|p| format!("{}.png", p.name) == **dest_url);
                if let Some(picture) = shown {
                    let end = rest.iter().position(|e| *e == Event::End(TagEnd::Image));
                    let (caption, after) = rest.split_at(end.unwrap_or(rest.len()));
                    kept.push(Event::InlineHtml(inline(picture, &text(caption)).into()));
                    events = after;
                }
            }
            Event::Start(Tag::Link { dest_url, .. }) if !dest_url.starts_with('#') => {
                // Its end has no address: take the text, which holds no other link.
                let end = rest.iter().position(|e| *e == Event::End(TagEnd::Link));
                let (words, after) = rest.split_at(end.unwrap_or(rest.len()));
                kept.push(Event::Text(text(words).into()));
                events = after.get(1..).unwrap_or_default();
            }
            Event::End(TagEnd::Image) => {}
            Event::Html(html) | Event::InlineHtml(html) => kept.push(Event::Text(html.clone())),
            Event::Start(Tag::HtmlBlock) => kept.push(Event::Start(Tag::Paragraph)),
            Event::End(TagEnd::HtmlBlock) => kept.push(Event::End(TagEnd::Paragraph)),
            Event::TaskListMarker(done) => {
                kept.push(Event::Text(if *done { "✅ " } else { "⏳ " }.into()));
            }
            // Wide tables scroll by themselves, also by keyboard.
            Event::Start(Tag::Table(_)) => {
                kept.push(block(
                    "<div class=\"wide\" role=\"group\" aria-label=\"Table\" tabindex=\"0\">",
                ));
                kept.push(event.clone());
            }
            Event::End(TagEnd::Table) => {
                kept.push(event.clone());
                kept.push(block("</div>\n"));
            }
            _ => kept.push(event.clone()),
        }
    }
    let mut html = String::new();
    html::push_html(&mut html, kept.into_iter());
    Body { html, chapters }
}

fn block(html: &'static str) -> Event<'static> {
    Event::Html(CowStr::Borrowed(html))
}

/// The words within events.
fn text(events: &[Event<'_>]) -> String {
    let word = |event: &Event<'_>| match event {
        Event::Text(text) | Event::Code(text) | Event::InlineHtml(text) => Some(text.to_string()),
        Event::SoftBreak | Event::HardBreak => Some(" ".to_owned()),
        _ => None,
    };
    events.iter().filter_map(word).collect()
}

/// The name by which the page's links know a heading, as GitHub makes it; the second of the same
/// words gets a number.
fn anchor(title: &str, taken: &mut BTreeMap<String, usize>) -> String {
    let letter = |c: char| match c {
        ' ' | '-' => Some('-'),
        c if c.is_alphanumeric() || c == '_' => Some(c),
        _ => None,
    };
    let name: String = title.to_lowercase().chars().filter_map(letter).collect();
    let times = taken.entry(name.clone()).or_insert(0);
    *times += 1;
    if *times == 1 { name } else { format!("{name}-{}", *times - 1) }
}

/// A picture as part of the page, with its caption for those who cannot see it.
fn inline(picture: &Picture, caption: &str) -> String {
    let label = HtmlEscape(caption);
    picture.svg.trim().replacen("<svg ", &format!("<svg role=\"img\" aria-label=\"{label}\" "), 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(markdown: &str) -> String {
        render(markdown, &[]).html
    }

    #[test]
    fn headings_are_named_as_the_pages_links_name_them() {
        let body = render("## Before/After Summary\n\n## A `b_c`\n\n### A b_c\n", &[]);
        assert_eq!(
            body.html,
            "<h2 id=\"beforeafter-summary\">Before/After Summary</h2>\n<h2 id=\"a-b_c\">A <code>b_c</code></h2>\n<h3 id=\"a-b_c-1\">A b_c</h3>\n"
        );
        let chapters: Vec<_> =
            body.chapters.iter().map(|c| (c.id.as_str(), c.title.as_str())).collect();
        assert_eq!(chapters, [("beforeafter-summary", "Before/After Summary"), ("a-b_c", "A b_c")]);
    }

    #[test]
    fn markup_from_outside_becomes_text() {
        assert_eq!(html("a <script>x</script>"), "<p>a &lt;script&gt;x&lt;/script&gt;</p>\n");
        assert_eq!(
            html("<script>\nx\n</script>\n"),
            "<p>&lt;script&gt;\nx\n&lt;/script&gt;\n</p>\n"
        );
        assert_eq!(html("[a](javascript:x) b"), "<p>a b</p>\n");
        assert_eq!(html("![a](https://example.org/x.png)"), "<p>a</p>\n");
        assert_eq!(html("[![a](x.png)](https://example.org)"), "<p>a</p>\n");
        assert_eq!(html("[a](#b)"), "<p><a href=\"#b\">a</a></p>\n");
    }

    #[test]
    fn pictures_are_part_of_the_page() {
        let picture = Picture { name: "p", svg: "<svg a=\"b\"/>\n".to_owned(), png: vec![] };
        assert_eq!(
            render("![What \"it\" shows](p.png)", &[picture]).html,
            "<p><svg role=\"img\" aria-label=\"What &quot;it&quot; shows\" a=\"b\"/></p>\n"
        );
    }

    #[test]
    fn ticks_and_tables_need_no_control() {
        assert_eq!(html("- [x] a\n- [ ] b\n"), "<ul>\n<li>✅ a</li>\n<li>⏳ b</li>\n</ul>\n");
        let table = html("| a |\n|---|\n| b |\n");
        assert!(table.starts_with("<div class=\"wide\"") && table.ends_with("</table>\n</div>\n"));
    }
}
