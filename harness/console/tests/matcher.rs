//! The finder against whole-text searches, cut everywhere, and over 100 MB.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use regex_automata::meta;
use shakedown_console::{Finder, PatternError, Patterns, capture, clean};
use shakedown_core::{Chunk, ConsoleLog, Cursor, Deadline, Hit, Matcher, Mono, Pace, RealClock};
use tokio_util::sync::CancellationToken;

const PATTERNS: &[&str] = &[
    "login: $",
    r"Kernel panic[^\n]*",
    r"(?-u)\xff\xfe",
    "^ab*c$",
    r"(?i)u-boot \d{4}\.\d\d",
    "b+a?",
    r"(?s)<.*>",
    r"\bword\b",
];

/// Cuts `bytes` into chunks of these lengths, over and over; byte `n` came at time `n / 7`.
fn cut(bytes: &[u8], lengths: &[usize]) -> Vec<Chunk> {
    let (mut off, mut chunks) = (0, Vec::new());
    for length in lengths.iter().copied().filter(|&n| n > 0).chain([1]).collect::<Vec<_>>().iter().cycle() {
        if off == bytes.len() {
            break;
        }
        // Bytes of one chunk have one time.
        let end = (off + length).min(bytes.len()).min((off / 7 + 1) * 7);
        chunks.push(Chunk { at: Mono(off as u64 / 7), off: off as u64, bytes: bytes[off..end].into() });
        off = end;
    }
    chunks
}

fn all_hits(patterns: &Patterns, chunks: &[Chunk]) -> Vec<Hit> {
    let (mut finder, mut hits) = (Finder::new(patterns), Vec::new());
    for chunk in chunks {
        finder.feed_all(chunk, &mut hits);
    }
    hits
}

/// As `ConsoleLog::expect` does: after a hit, again from its end.
fn expected_hits(patterns: &Patterns, bytes: &[u8], step: usize, idle: bool) -> Vec<Hit> {
    let (mut finder, mut hits, mut cursor) = (Finder::new(patterns), Vec::new(), 0);
    while cursor < bytes.len() {
        let end = (cursor + step).min(bytes.len());
        let chunk = Chunk { at: Mono(0), off: cursor as u64, bytes: bytes[cursor..end].into() };
        cursor = match finder.feed(&chunk) {
            Some(hit) => {
                let end = hit.end as usize;
                hits.push(hit);
                end
            }
            None => end,
        };
        if idle {
            hits.extend(finder.idle());
        }
    }
    hits
}

fn spans(hits: &[Hit]) -> Vec<(usize, u64, u64)> {
    hits.iter().map(|hit| (hit.pattern, hit.start, hit.end)).collect()
}

/// Console-like bytes: words that the patterns know, codes, line ends, garbage.
fn console() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "login: ", "log", "Kernel panic", " - not syncing", "abbbc", "b", "a", "U-Boot 2023", ".01", "word", " ",
            "<", ">", "\n", "\r\n", "\r\r\n", "\r", "\x1b[0m", "\x1b[?2004h", "\x1b]0;title\x07",
            "\x1b]3008;start=1\x1b\\", "\x1b(B", "\x1b", "\x1b[", "\x1b]", "\x1b]R", "\x1b]Pff00aa8", "é", "\0",
        ]).prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..6),
        1 => Just(vec![0xff, 0xfe]),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hits_do_not_depend_on_how_the_stream_is_cut(
        bytes in console(),
        lengths in prop::collection::vec(1usize..40, 1..8),
    ) {
        let patterns = Patterns::compile(PATTERNS).unwrap();
        let whole = all_hits(&patterns, &cut(&bytes, &[7]));
        prop_assert_eq!(&whole, &all_hits(&patterns, &cut(&bytes, &[1])));
        prop_assert_eq!(&whole, &all_hits(&patterns, &cut(&bytes, &lengths)));
        for step in [1, lengths[0], bytes.len().max(1)] {
            prop_assert_eq!(spans(&whole), spans(&expected_hits(&patterns, &bytes, step, false)));
        }
    }

    #[test]
    fn hits_are_those_of_a_search_in_the_cleaned_text(bytes in console()) {
        // Followed by what ends every match, since a stream never ends.
        let bytes = [&bytes[..], b"\x1b\\\n#"].concat();
        let cleaned = clean(&bytes);
        let mut syntax = regex_automata::util::syntax::Config::new();
        syntax = syntax.multi_line(true).crlf(true).unicode(false).utf8(false);
        let open = PATTERNS.iter().position(|p| p.contains("(?s)")).unwrap();
        let closed: Vec<&str> = PATTERNS.iter().enumerate().filter(|(i, _)| *i != open).map(|(_, p)| *p).collect();
        let oracle = meta::Regex::builder()
            .syntax(syntax)
            .configure(meta::Regex::config().utf8_empty(false))
            .build_many(&closed)
            .unwrap();
        let expected: Vec<(usize, Vec<u8>)> =
            oracle.find_iter(&cleaned).map(|m| (m.pattern().as_usize(), cleaned[m.range()].to_vec())).collect();
        let hits = all_hits(&Patterns::compile(&closed).unwrap(), &cut(&bytes, &[3, 5]));
        // Each hit's raw bytes, cleaned, are the match.
        let found: Vec<(usize, Vec<u8>)> = hits
            .iter()
            .map(|hit| (hit.pattern, clean(&bytes[hit.start as usize..hit.end as usize])))
            .collect();
        let lone = |bytes: &[u8]| bytes.iter().copied().filter(|&b| b != b'\r').collect::<Vec<u8>>();
        let plain = |list: &[(usize, Vec<u8>)]| list.iter().map(|(p, b)| (*p, lone(b))).collect::<Vec<_>>();
        prop_assert_eq!(plain(&expected), plain(&found));
    }

    #[test]
    fn idle_foretells_and_changes_nothing(bytes in console(), step in 1usize..9) {
        let patterns = Patterns::compile(PATTERNS).unwrap();
        let plain = expected_hits(&patterns, &bytes, step, false);
        let with_idle = expected_hits(&patterns, &bytes, step, true);
        for hit in &plain {
            let same = |other: &&Hit| (other.pattern, other.start) == (hit.pattern, hit.start);
            prop_assert!(with_idle.iter().any(|other| same(&other)), "lost {:?} in {:?}", hit, with_idle);
        }
        for pair in with_idle.windows(2) {
            prop_assert!(spans(&pair[..1]) != spans(&pair[1..]), "reported twice: {:?}", pair);
        }
    }
}

#[test]
fn a_prompt_at_the_end_shows_when_the_stream_pauses_and_only_once() {
    let mut finder = Finder::of("login: $").unwrap();
    let chunk = |off, text: &str| Chunk { at: Mono(off), off, bytes: text.as_bytes().into() };
    assert_eq!(finder.feed(&chunk(0, "debian lo")), None);
    assert_eq!(finder.idle(), None);
    assert_eq!(finder.feed(&chunk(9, "gin: \x1b[0m")), None);
    let hit = finder.idle().expect("the prompt");
    assert_eq!((hit.start, hit.end, hit.at, hit.text.as_str()), (7, 14, Mono(9), "login: "));
    assert_eq!(finder.idle(), None);
    assert_eq!(finder.feed(&chunk(18, "\r\n")), None, "it was reported already");
    assert_eq!(finder.feed(&chunk(20, "debian login: \n")).map(|hit| hit.start), Some(27));
}

#[test]
fn codes_and_line_ends_inside_a_match_are_not_seen_and_the_offsets_are_those_of_the_log() {
    let raw = b"\x1b[?2004hroot@dut\x1b[01;34m:~\x1b[00m# \x1b]0;x\x07ls\r\r\n.";
    let chunk = Chunk { at: Mono(5), off: 100, bytes: raw[..].into() };
    let hit = Finder::of(r"^root@\w+:\S+# ls\n").unwrap().feed(&chunk).expect("a hit");
    assert_eq!((hit.start, hit.end), (108, 99 + raw.len() as u64));
    assert_eq!(hit.text, "root@dut:~# ls\n");
}

#[test]
fn invalid_utf8_is_matched_as_bytes_and_shown_as_text() {
    let chunk = Chunk { at: Mono(0), off: 0, bytes: b"\xf0\x9f Kernel panic\xc3 - not syncing\n"[..].into() };
    let hit = Finder::of("Kernel panic.*").unwrap().feed(&chunk).expect("a hit");
    assert_eq!((hit.start, hit.text.as_str()), (3, "Kernel panic\u{fffd} - not syncing"));
}

#[test]
fn a_pattern_without_a_bound_is_bounded() {
    let patterns = Patterns::compile(&["(?s)BEGIN.*END", "(?s)x.*"]).unwrap();
    let bytes = [&b"BEGIN"[..], &vec![b'-'; 200_000], b"END....."].concat();
    let hits = all_hits(&patterns, &cut(&bytes, &[7]));
    assert_eq!(hits, [], "it may grow further");
    let more = [&bytes[..], &vec![b'.'; 5000]].concat();
    let hits = all_hits(&patterns, &cut(&more, &[7]));
    assert_eq!(spans(&hits), [(0, 200_008 - Finder::WINDOW, 200_008)]);
    assert!(hits[0].text.len() <= Finder::TEXT + 3 && hits[0].text.ends_with('…'));
    let hits = all_hits(&patterns, &cut(&vec![b'x'; 10_000], &[3]));
    assert_eq!(spans(&hits), [(1, 0, Finder::GROW), (1, Finder::GROW, 2 * Finder::GROW)]);
}

#[test]
fn a_gap_starts_anew_and_seen_bytes_are_skipped() {
    let chunk = |off, text: &str| Chunk { at: Mono(off), off, bytes: text.as_bytes().into() };
    let mut finder = Finder::of("one two\n").unwrap();
    assert_eq!(finder.feed(&chunk(0, "one ")), None);
    assert_eq!(finder.feed(&chunk(10, "two\n.")), None, "bytes are missing between them");
    assert_eq!(finder.feed(&chunk(16, "one ")), None);
    assert_eq!(finder.feed(&chunk(16, "one ")), None);
    assert_eq!(finder.feed(&chunk(18, "e two\nx")).map(|hit| hit.start), Some(16));
}

#[test]
fn errors_name_the_pattern_the_place_and_what_is_allowed() {
    let fail = |patterns: &[&str]| Patterns::compile(patterns).expect_err("not valid");
    let error = fail(&["ok", "a(b"]);
    assert_eq!((error.index, error.at.clone()), (1, Some(1..2)));
    let said = error.to_string();
    assert!(said.starts_with("pattern 2 of 2 `a(b` at byte 1: unclosed group; allowed is"), "{said}");
    for (pattern, why) in [
        ("a*", "nothing at all"),
        ("^$", "nothing at all"),
        (r"(a)\1", "backreferences"),
        ("(?=a)b", "look-around"),
        (r"(?u)\bword", "Unicode word borders"),
        ("done\r\n", "removed before matching"),
        (r"\x1b\[0m", "removed before matching"),
        (r"\w{1000}{1000}{9}", "exceeded limit"),
    ] {
        let PatternError { what, .. } = fail(&[pattern]);
        assert!(what.contains(why), "{pattern}: {what}");
    }
    assert!(Patterns::compile(&["done\r?\n"]).is_ok());
    assert!(Patterns::compile::<&str>(&[]).unwrap().is_empty());
}

#[test]
fn a_fingerprint_is_taken_out_of_a_coloured_line() {
    let line = b"\x1b[1m256 SHA256:abc\x1b[0mDEF+/= root@dut (ED25519)\r\n";
    assert_eq!(capture(r"(SHA256:\S+) .*\(ED25519\)", line).unwrap().as_deref(), Some("SHA256:abcDEF+/="));
    assert_eq!(capture("(RSA)", line).unwrap(), None);
    assert!(capture("RSA", line).unwrap_err().what.contains("no (group)"));
}

/// CPU time of this thread.
fn cpu() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

#[test]
fn a_hundred_megabytes_cost_ten_times_ten_and_no_more_memory() {
    let mut line = Vec::new();
    for n in 0..200 {
        line.extend_from_slice(
            format!("\x1b[32m[   12.{n:06}]\x1b[0m systemd[1]: Started Some <Unit> bbb\r\n").as_bytes(),
        );
    }
    let bytes: Arc<[u8]> = line.into();
    let run = |megabytes: u64, patterns: &[&str]| {
        let mut finder = Finder::new(&Patterns::compile(patterns).unwrap());
        let (began, mut off, mut most) = (cpu(), 0, 0);
        while off < megabytes * 1_000_000 {
            let hit = finder.feed(&Chunk { at: Mono(off), off, bytes: bytes.clone() });
            assert_eq!(hit, None);
            off += bytes.len() as u64;
            most = most.max(finder.memory());
        }
        (cpu() - began, most)
    };
    for patterns in [&["THE-END"][..], &["login: $", r"(?i)kernel panic.*", r"(?s)systemd.*THE-END", r"\d+z"]]
    {
        let (short, memory_short) = run(10, patterns);
        let (long, memory_long) = run(100, patterns);
        // A cost that grew with what was seen would be a hundred times as much; other threads on the same
        // core made it 14 times.
        assert!(long < short * 40, "{patterns:?}: {short} ns for 10 MB, {long} ns for 100 MB");
        assert_eq!(memory_long, memory_short, "{patterns:?}");
        assert!(memory_long < 4 << 20, "{memory_long}");
    }
}

#[test]
fn an_automaton_that_forgets_its_states_finds_the_same() {
    // Every place in the text is another state here, so the cache of states overflows.
    let mut random = fastrand::Rng::with_seed(3);
    let mut bytes: Vec<u8> = (0..60_000).map(|_| if random.bool() { b'a' } else { b'b' }).collect();
    for place in (900..60_000).step_by(1000) {
        bytes[place] = b'c';
    }
    let pattern = r"a[ab]{90}a[ab]{40}c";
    let oracle = meta::Regex::new(pattern).unwrap();
    let expected: Vec<_> = oracle.find_iter(&bytes).map(|m| (0, m.start() as u64, m.end() as u64)).collect();
    assert!(expected.len() > 10, "{}", expected.len());
    let patterns = Patterns::compile(&[pattern]).unwrap();
    assert_eq!(spans(&all_hits(&patterns, &cut(&bytes, &[7]))), expected);
    assert_eq!(spans(&all_hits(&patterns, &cut(&bytes, &[1]))), expected);
    let told = spans(&expected_hits(&patterns, &bytes, 1, true));
    assert!(expected.iter().all(|hit| told.contains(hit)), "{told:?}");
}

#[tokio::test]
async fn the_log_expects_with_one_finder_again_and_again() {
    let clock = RealClock::start();
    let log = ConsoleLog::new(clock.clone());
    let by = Deadline::new("prompt", Duration::from_secs(60), Pace::Rig, clock, CancellationToken::new());
    let mut prompt = Finder::of(r"^root@\w+:~# $").unwrap();
    let mut cursor = Cursor(0);
    for (number, answer) in
        ["\x1b[?2004hroot@dut:~# ", "ls\r\na b\r\n\x1b[1mroot@dut\x1b[0m:~# "].into_iter().enumerate()
    {
        for byte in answer.bytes() {
            log.append(&[byte]);
        }
        let hit = log.expect(&mut cursor, &mut prompt, &by).await.unwrap();
        assert_eq!(hit.text, "root@dut:~# ", "answer {number}");
        assert_eq!(hit.end, log.here().0);
    }
}
