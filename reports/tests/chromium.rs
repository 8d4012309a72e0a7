//! `report.html` in a real browser: nothing overflows, nothing complains, and it is whole without scripts.
//!
//! Needs Debian's `chromium`. `SHAKEDOWN_SCREENSHOTS=DIR` keeps a picture of every page and width.

#![expect(clippy::format_push_string, reason = "a recording of a few lines")]

mod support;

use std::path::PathBuf;

use shakedown_reports::extras::ExtraFile;
use shakedown_reports::{Extras, html};
use support::browser::Browser;
use support::corpus::STAGES;
use support::{Sample, committed, crate_dir, golden, sample};

/// Widths to be right at: a desk, a tablet, a phone.
const WIDTHS: [u32; 3] = [1280, 700, 390];

/// A recording as the runner leaves it beside the journal.
fn recording() -> Extras {
    let mut cast = String::from("{\"version\":2,\"width\":80,\"height\":24}\n[0.2,\"m\",\"power on\"]\n");
    for (name, after, saw) in STAGES {
        let at = after as f64 / 1000.0;
        let said = serde_json::to_string(&format!("\u{1b}[1m{saw}\u{1b}[0m\r\n")).expect("JSON");
        cast += &format!("[{at:.3},\"o\",{said}]\n");
        for line in 0..60 {
            let said = format!(
                "[    {at:.6}] {name}: unit {line:02} probes bus 0000:00:1f.2 and reports {line} ports, all of them idle\r\n"
            );
            cast += &format!(
                "[{:.3},\"o\",{}]\n",
                at + f64::from(line) / 50.0,
                serde_json::to_string(&said).expect("JSON")
            );
        }
    }
    cast += "[19.0,\"i\",\"root\\r\"]\n";
    Extras {
        consoles: vec![ExtraFile { path: "console.cast".into(), bytes: cast.into_bytes() }],
        images: vec![ExtraFile { path: "screen.png".into(), bytes: PIXEL.to_vec() }],
    }
}

/// The smallest PNG.
const PIXEL: [u8; 67] = [
    0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, 0, 0, 0, 13, b'I', b'H', b'D', b'R', 0, 0, 0, 1, 0, 0, 0,
    1, 8, 0, 0, 0, 0, 0x3a, 0x7e, 0x9b, 0x55, 0, 0, 0, 10, b'I', b'D', b'A', b'T', 0x78, 0x9c, 0x63, 0x60, 0,
    0, 0, 2, 0, 1, 0x48, 0xaf, 0xa4, 0x71, 0, 0, 0, 0, b'I', b'E', b'N', b'D', 0xae, 0x42, 0x60, 0x82,
];

/// The page of a journal as a file, and its address.
fn page(folder: &tempfile::TempDir, sample: &Sample) -> String {
    let path: PathBuf = folder.path().join(format!("{}.html", sample.name));
    std::fs::write(&path, html::html(&sample.ledger(), &recording())).expect("page");
    format!("file://{}", path.display())
}

/// Elements that stand out of the viewport and are not inside something that scrolls by itself.
const OVERFLOW: &str = "(() => { const w = document.documentElement.clientWidth; const out = [];
  if (document.documentElement.scrollWidth > w) out.push('page is ' + document.documentElement.scrollWidth);
  for (const e of document.querySelectorAll('body *')) {
    if (e.closest('nav') || e.closest('svg') || e.closest('thead')) continue;
    const r = e.getBoundingClientRect();
    if (r.width && (r.right > w + 0.5 || r.left < -0.5)) out.push(e.tagName + '.' + e.className + ' to ' + r.right);
  }
  return out.slice(0, 5).join('; '); })()";

/// What a page is made of: headings, tables with their rows, drawings with their parts.
const STRUCTURE: &str = "(() => {
  const text = (e) => e.textContent.replace(/\\s+/g, ' ').trim().slice(0, 160);
  const out = [];
  for (const e of document.querySelectorAll('h1,h2,h3,h4,table,figure svg,nav a,aside,.sentence')) {
    if (e.matches('table')) out.push('table.' + e.className + ': ' + e.querySelectorAll('tbody tr').length + ' rows, '
      + e.querySelectorAll('details').length + ' with details');
    else if (e.matches('svg')) out.push('svg: ' + e.getAttribute('aria-label') + '; ' + e.querySelectorAll('rect').length
      + ' rects, ' + e.querySelectorAll('.limit').length + ' deadlines, ' + e.querySelectorAll('.stop').length + ' stops');
    else out.push(e.tagName.toLowerCase() + ': ' + text(e));
  }
  return out.join('\\n') + '\\n'; })()";

#[test]
fn no_page_overflows_or_complains_and_its_structure_is_as_committed() {
    let folder = tempfile::tempdir().expect("folder");
    let shots = std::env::var_os("SHAKEDOWN_SCREENSHOTS").map(PathBuf::from);
    let mut browser = Browser::start();
    for sample in committed() {
        browser.width(WIDTHS[0], 900);
        browser.scheme("light");
        browser.visit(&page(&folder, &sample));
        let structure = browser.ask(STRUCTURE);
        golden(&crate_dir().join("goldens").join(&sample.name).join("structure.txt"), structure.as_bytes());
        for (width, scheme) in WIDTHS.into_iter().flat_map(|width| [(width, "light"), (width, "dark")]) {
            browser.width(width, 900);
            browser.scheme(scheme);
            assert_eq!(browser.ask(OVERFLOW), "", "{} at {width} px", sample.name);
            if let Some(shots) = &shots {
                std::fs::create_dir_all(shots).expect("folder");
                let name = format!("{}-{width}-{scheme}.png", sample.name);
                std::fs::write(shots.join(name), browser.screenshot()).expect("picture");
            }
        }
        browser.ask("document.querySelectorAll('details').forEach(d => d.open = true), ''");
        for (width, scheme) in WIDTHS.into_iter().flat_map(|width| [(width, "light"), (width, "print")]) {
            browser.width(width, 900);
            browser.scheme(scheme);
            assert_eq!(browser.ask(OVERFLOW), "", "{} at {width} px, all open, {scheme}", sample.name);
        }
        assert_eq!(browser.said, Vec::<String>::new(), "{}", sample.name);
    }
}

#[test]
fn the_page_is_whole_without_scripts_and_its_controls_stay_away() {
    let folder = tempfile::tempdir().expect("folder");
    let url = page(&folder, &sample("v1-failing-case"));
    let mut browser = Browser::start();
    browser.scripts(false);
    for width in WIDTHS {
        browser.width(width, 900);
        browser.visit(&url);
        let laid_out = browser.content_width();
        assert!(laid_out <= f64::from(width), "{laid_out} at {width}");
        for selector in
            [".ruling", ".finding pre.screen", ".boot svg", "tr.case summary", ".viewer p", "#files table"]
        {
            assert!(browser.is_laid_out(selector), "{selector} at {width}");
        }
        for selector in [".filter", ".player"] {
            assert!(!browser.is_laid_out(selector), "{selector} does nothing without scripts");
        }
    }
}

#[test]
fn the_filter_and_the_player_work_where_scripts_do() {
    let folder = tempfile::tempdir().expect("folder");
    let url = page(&folder, &sample("v1-failing-case"));
    let mut browser = Browser::start();
    browser.width(1280, 900);
    browser.visit(&url);
    let shown = "String(document.querySelectorAll('tr.case:not([hidden])').length)";
    assert_eq!(browser.ask(shown), "12");
    browser.ask("document.getElementById('filter-odd').click(), ''");
    assert_eq!(browser.ask(shown), "2");
    browser.ask("(() => { const f = document.getElementById('filter-text'); f.value = 'chrony'; f.dispatchEvent(new Event('input', {bubbles: true})); return ''; })()");
    assert_eq!(browser.ask(shown), "2");
    browser.ask("(() => { const f = document.getElementById('filter-text'); f.value = 'no such case'; f.dispatchEvent(new Event('input', {bubbles: true})); return ''; })()");
    assert_eq!(browser.ask(shown), "0");
    let ahead = "String(document.querySelectorAll('.viewer .ahead').length > 0)";
    assert_eq!(browser.ask(ahead), "false");
    browser.ask("(() => { const s = document.getElementById('seek'); s.value = 300; s.dispatchEvent(new Event('input')); return ''; })()");
    assert_eq!(browser.ask(ahead), "true");
    assert_eq!(browser.said, Vec::<String>::new());
}

#[test]
fn what_a_hostile_dut_says_neither_runs_nor_becomes_markup() {
    let folder = tempfile::tempdir().expect("folder");
    let mut browser = Browser::start();
    browser.width(1280, 900);
    browser.visit(&page(&folder, &sample("v1-hostile")));
    // One script is ours; images are screenshots; links go to anchors and into the run's folder.
    let counts = "[document.scripts.length, document.querySelectorAll('img[src=\"x\"]').length, \
                  [...document.links].filter(a => a.protocol !== 'file:').length, \
                  [...document.links].filter(a => a.getAttribute('href').includes('..')).length].join()";
    assert_eq!(browser.ask(counts), "1,0,0,0");
    assert!(
        browser.ask("document.querySelector('.sentence').textContent").contains("</script><script>alert(1)")
    );
    assert_eq!(browser.said, Vec::<String>::new(), "a blocked script would have been told here");
}
