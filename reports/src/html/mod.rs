//! `report.html`: one self-contained file that is whole without JavaScript.
//!
//! Nothing is fetched, and a content security policy says so: style and script are allowed by
//! their hashes only, so that markup which slipped through would still not run.

mod bars;
mod cases;
mod evidence;
mod findings;
mod head;
mod measures;
mod rest;
mod screen;
mod timeline;

use base64::Engine as _;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use shakedown_core::{Ledger, Sha};

use crate::extras::Extras;
use crate::text;
use crate::view::View;

pub(crate) const STYLE: &str = concat!(include_str!("style/base.css"), include_str!("style/parts.css"));
const SCRIPT: &str = include_str!("script.js");

/// The whole document.
pub fn html(ledger: &Ledger, extras: &Extras) -> String {
    let view = View::of(ledger);
    let findings = view.findings();
    let recording = crate::console::of(extras);
    let board =
        ledger.head.as_ref().map_or_else(String::new, |head| format!(" · {}", text::line(&head.board)));
    let title = format!("{}{board} · {}", view.verdict.ruling.word(), text::line(&ledger.run));
    let sections = [
        section("failures", "What went wrong", findings::all(&findings)),
        section("boots", "Boot timeline", timeline::all(ledger)),
        section("cases", "Cases", cases::all(&view)),
        section("measures", "Measures", measures::all(&view)),
        section("steps", "Steps", rest::steps(ledger)),
        section("console", "Console", screen::console(recording.as_ref(), ledger)),
        section("screenshots", "Screenshots", screen::images(extras)),
        section("details", "Run details", rest::details(ledger)),
        section("files", "Files", rest::files(ledger)),
    ];
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    (head::verdict(&view))
                    (rest::problems(ledger))
                    nav aria-label="Sections" {
                        @for (id, name, body) in &sections {
                            @if body.is_some() { a href={ "#" (id) } { (name) } }
                        }
                    }
                    (head::facts(ledger))
                    @for (id, name, body) in &sections {
                        @if let Some(body) = body {
                            section id=(id) aria-labelledby={ "h-" (id) } {
                                h2 id={ "h-" (id) } { (name) }
                                (body)
                            }
                        }
                    }
                }
                footer {
                    "Made from the journal of run " code { (text::line(&ledger.run)) } " by shakedown "
                    (env!("CARGO_PKG_VERSION")) "."
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

type Section = (&'static str, &'static str, Option<Markup>);

fn section(id: &'static str, name: &'static str, body: Option<Markup>) -> Section {
    (id, name, body)
}

fn policy() -> String {
    format!("{}; script-src 'sha256-{}'", style_policy(), hash(SCRIPT))
}

/// What a page with our style and no script is allowed.
pub(crate) fn style_policy() -> String {
    format!(
        "default-src 'none'; img-src data:; style-src 'sha256-{}'; base-uri 'none'; form-action 'none'",
        hash(STYLE)
    )
}

fn hash(text: &str) -> String {
    base64::engine::general_purpose::STANDARD.encode(Sha::of(text.as_bytes()).0)
}

/// An outcome's word, coloured; never by colour alone.
fn word(word: crate::view::Word) -> Markup {
    html! { span class={ "word w-" (word.class()) } { (word.text()) } }
}

/// A link to a file of the run's folder, or its name alone where the path leads out of it.
fn file_link(path: &str) -> Markup {
    let shown = text::line(path);
    let inside = !path.starts_with('/')
        && !path.contains([':', '\\', '?', '#', '%'])
        && !path.chars().any(char::is_control)
        && path.split('/').all(|part| !part.is_empty() && part != "..");
    if inside {
        html! { a href=(path) { (shown) } }
    } else {
        html! { (shown) }
    }
}

/// An id that an anchor can point to: each other character becomes a dash.
fn anchor(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(120).collect()
}
