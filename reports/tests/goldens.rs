//! Every rendering of every journal of the corpus, byte by byte.
//!
//! `SHAKEDOWN_BLESS=1 cargo test -p shakedown-reports --test goldens` writes corpus and goldens anew.
//! A journal of an older format stays in `corpus/` under its old name and is only read.

mod support;

use shakedown_reports::{Extras, Options, render_all, terminal};
use support::corpus::FORMAT;
use support::{committed, crate_dir, golden};

#[test]
fn the_corpus_is_what_the_generator_writes() {
    for (name, text) in support::troubled::all() {
        golden(&crate_dir().join(format!("corpus/{FORMAT}-{name}.jsonl")), &text);
    }
}

#[test]
fn every_rendering_of_every_journal_is_as_committed() {
    if support::regenerating() {
        the_corpus_is_what_the_generator_writes();
    }
    for sample in committed() {
        let folder = crate_dir().join("goldens").join(&sample.name);
        let ledger = sample.ledger();
        render_all(&ledger, &Extras::default(), &mut |name, bytes| match name {
            // Style and script are files of their own; a change of them is not a change of the report.
            "report.html" => {
                let text = String::from_utf8(bytes.to_vec()).expect("UTF-8");
                let text = without(&without(&without(&text, "style"), "script"), "meta http-equiv");
                golden(&folder.join(name), text.as_bytes());
            }
            _ => golden(&folder.join(name), bytes),
        });
        let plain =
            terminal::replay(Vec::new(), Options::default(), &sample.journal).expect("a Vec takes all");
        golden(&folder.join("terminal.txt"), &plain);
        let live = Options { colour: true, live: true, ..Options::default() };
        let live = terminal::replay(Vec::new(), live, &sample.journal).expect("a Vec takes all");
        let visible = String::from_utf8_lossy(&live).replace('\u{1b}', "␛").replace('\r', "␍");
        golden(&folder.join("terminal-live.txt"), visible.as_bytes());
    }
}

/// The text without the content of an element, or without an attribute's value.
fn without(text: &str, element: &str) -> String {
    let (open, close) = match element {
        "meta http-equiv" => ("<meta http-equiv".to_owned(), ">".to_owned()),
        element => (format!("<{element}>"), format!("</{element}>")),
    };
    match text.find(&open) {
        None => text.to_owned(),
        Some(start) => {
            let inner = start + open.len();
            let end = text[inner..].find(&close).map_or(text.len(), |end| inner + end);
            format!("{}…{}", &text[..inner], &text[end..])
        }
    }
}
