//! Attestations: what is refused, and what an implementation of others says.

use std::process::Command;

use jiff::civil::date;
use shakedown_core::Sha;
use shakedown_gate::attest::{KIND, Statement, Untrue, attest, statement, verify};
use shakedown_gate::dsse::{Envelope, Refused};
use shakedown_gate::{Ruling, SecretKey};

use super::bench::{Bench, THREE, edit};

const TODAY: jiff::civil::Date = date(2027, 1, 16);

fn image() -> [Sha; 1] {
    [Sha::of(b"1.1")]
}

#[test]
fn a_good_one_says_what_it_was_derived_from() {
    let bench = Bench::new();
    bench.runs(3);
    let answer = bench.ask(THREE);
    let text = attest(&answer, Sha::of(b"tool"), &bench.key).unwrap();
    let good = verify(text.as_bytes(), bench.key.public(), &image(), Some(&bench.journals()), TODAY).unwrap();
    assert_eq!((good.ruling, good.journals), (Ruling::Ship, 3));
    let Statement { subject, predicate, .. } = good.statement;
    let hashes: Vec<_> = subject.iter().map(|one| one.digest["sha256"].clone()).collect();
    assert!(
        hashes.contains(&Sha::of(b"1.1").to_string()) && hashes.contains(&Sha::of(b"file 1.1").to_string())
    );
    let names: Vec<_> = predicate.configuration.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["policy", "suites", "shakedown", "journal:r0", "journal:r1", "journal:r2"]);
    assert_eq!(
        (predicate.result.as_str(), predicate.passed_tests),
        ("PASSED", vec!["board-a/os".to_owned()])
    );
}

#[test]
fn our_three_answers_have_their_results() {
    let bench = Bench::new();
    let result = |rest: &str| statement(&bench.ask(rest), Sha::of(b"tool")).predicate.result;
    assert_eq!(result(THREE), "FAILED", "not enough evidence is no pass");
    bench.runs(3);
    assert_eq!(result(THREE), "PASSED");
    let entry =
        "quarantine:\n  - {case: os::a::two, owner: ana, issue: '#7', reason: r, until: 2027-01-16}\n";
    assert_eq!(result(&format!("{THREE}{entry}")), "WARNED");
    let limit = "limits:\n  - {name: k, measure: boot.kernel, boards: [board-a], repeats: 3, at-most: 1}\n";
    assert_eq!(result(&format!("{THREE}{limit}")), "FAILED");
}

#[test]
fn a_changed_byte_another_type_key_image_or_journal_and_an_expired_policy_are_refused() {
    let bench = Bench::new();
    bench.runs(3);
    let answer = bench.ask(THREE);
    let text = attest(&answer, Sha::of(b"tool"), &bench.key).unwrap();
    let key = bench.key.public();
    let refused = |text: &str| verify(text.as_bytes(), key, &image(), None, TODAY).unwrap_err();
    // Each byte of payload and signature.
    let envelope = Envelope::parse(text.as_bytes()).unwrap();
    for part in [&envelope.payload, &envelope.signatures[0].sig] {
        let start = text.find(part.as_str()).unwrap();
        for at in (start..start + part.len()).step_by(7) {
            let mut changed = text.clone().into_bytes();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let error = verify(&changed, key, &image(), None, TODAY);
            assert!(matches!(error, Err(Untrue::Envelope(_))), "byte {at}");
        }
    }
    assert!(matches!(
        refused(&text.replace(KIND, "application/json")),
        Untrue::Envelope(Refused::Type { .. })
    ));
    let other = SecretKey::generate().unwrap();
    let error = verify(text.as_bytes(), other.public(), &image(), None, TODAY).unwrap_err();
    assert!(matches!(error, Untrue::Envelope(Refused::Signature(_))));
    let error = verify(text.as_bytes(), key, &[Sha::of(b"1.0")], None, TODAY).unwrap_err();
    assert!(matches!(error, Untrue::Image { .. }), "{error}");
    let error = verify(text.as_bytes(), key, &image(), None, date(2030, 1, 2)).unwrap_err();
    assert!(matches!(error, Untrue::Expired(_)), "{error}");
    // A statement of another kind, signed by the right key.
    let odd = statement(&answer, Sha::of(b"tool"));
    let odd = Statement { predicate_type: "https://slsa.dev/provenance/v1".into(), ..odd };
    let odd = Envelope::sign(KIND, &serde_json::to_vec(&odd).unwrap(), &bench.key).text();
    assert!(matches!(refused(&odd), Untrue::Kind { .. }));
    edit(&bench.place.path().join("r1/journal.jsonl"), "demo", "demO");
    let error = verify(text.as_bytes(), key, &image(), Some(&bench.journals()), TODAY).unwrap_err();
    assert!(matches!(&error, Untrue::Journal { run, .. } if run == "r1"), "{error}");
    std::fs::remove_dir_all(bench.place.path().join("r1")).unwrap();
    assert!(verify(text.as_bytes(), key, &image(), Some(&bench.journals()), TODAY).is_err());
}

/// securesystemslib is the library behind TUF and in-toto.
const PROGRAM: &str = r"
import json, sys
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey
text, pem = (open(path, 'rb').read() for path in sys.argv[1:3])
envelope = Envelope.from_dict(json.loads(text))
keyid = next(iter(envelope.signatures))
key = SSlibKey.from_crypto(load_pem_public_key(pem), keyid)
try:
    envelope.verify([key], 1)
except VerificationError:
    print('refused')
else:
    statement = json.loads(envelope.payload)
    print('verified', envelope.payload_type, statement['_type'], statement['predicate']['result'])
";

#[test]
fn securesystemslib_verifies_and_refuses_as_we_do() {
    let python = python();
    let bench = Bench::new();
    bench.runs(3);
    let text = attest(&bench.ask(THREE), Sha::of(b"tool"), &bench.key).unwrap();
    let file = |name: &str, text: &str| {
        let path = bench.place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let asked = |text: &str, pem: &str| {
        let (envelope, pem) = (file("envelope.json", text), file("key.pem", pem));
        #[expect(clippy::disallowed_methods, reason = "an implementation of others; only tests start it")]
        let output = Command::new(&python).arg("-c").arg(PROGRAM).arg(envelope).arg(pem).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let pem = bench.key.public().pem();
    let verified = "verified application/vnd.in-toto+json https://in-toto.io/Statement/v1 PASSED";
    assert_eq!(asked(&text, &pem), verified);
    assert_eq!(asked(&text, &SecretKey::generate().unwrap().public().pem()), "refused");
    assert_eq!(asked(&text.replace(KIND, "application/json"), &pem), "refused");
    let mut envelope = Envelope::parse(text.as_bytes()).unwrap();
    envelope.payload.replace_range(8..9, if &envelope.payload[8..9] == "A" { "B" } else { "A" });
    assert_eq!(asked(&envelope.text(), &pem), "refused");
}

/// A Python with the pinned library.
fn python() -> std::path::PathBuf {
    let wanted = include_str!("securesystemslib.txt");
    shakedown_pinned::programs(env!("CARGO_TARGET_TMPDIR"), "securesystemslib", wanted).join("python")
}
