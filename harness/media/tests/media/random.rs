//! Random sparse images through every container.

use proptest::prelude::*;
use shakedown_core::Sha;
use shakedown_media::{open_source, write_delta, write_image};
use tempfile::TempDir;

use crate::support::{CONTAINERS, Faulty, Lie, file, mark_as_disk, pack, quiet};

/// What a delta writes at once.
const PIECE: usize = 64 << 10;

/// Runs of noise, zeros and near-zeros, of lengths around the borders that matter.
fn image() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![1usize..5000, 60_000usize..70_000, 250_000usize..300_000];
    let run = (0u8..3, len, any::<u64>());
    prop::collection::vec(run, 1..6).prop_map(|runs| {
        let mut bytes = vec![0; 512];
        for (kind, len, seed) in runs {
            let start = bytes.len();
            bytes.resize(start + len, 0);
            match kind {
                0 => fastrand::Rng::with_seed(seed).fill(&mut bytes[start..]),
                1 => bytes[start + seed as usize % len] = 1,
                _ => {}
            }
        }
        bytes.resize(bytes.len().next_multiple_of(512).max(1024), 0);
        mark_as_disk(&mut bytes);
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_packed_is_what_the_medium_holds(bytes in image()) {
        let dir = TempDir::new().unwrap();
        let mut roots = Vec::new();
        for container in CONTAINERS {
            let path = file(dir.path(), "image", &pack(container, &bytes));
            let mut medium = Faulty::new(bytes.len() as u64, Lie::None);
            let written = write_image(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
            prop_assert_eq!(written.payload(), Sha::of(&bytes));
            prop_assert!(medium.bytes == bytes, "{}", container);
            let mut medium = Faulty::new(bytes.len() as u64, Lie::None);
            // As good a guess of what a medium holds as any: every other piece is right.
            for (old, new) in medium.bytes.chunks_mut(PIECE).zip(bytes.chunks(PIECE)).step_by(2) {
                old.copy_from_slice(new);
            }
            let delta = write_delta(&mut open_source(&path).unwrap(), &mut medium, &mut quiet).unwrap();
            prop_assert!(medium.bytes == bytes, "{}", container);
            prop_assert_eq!(delta.read_back(), written.read_back());
            roots.push(written.read_back());
        }
        prop_assert!(roots.windows(2).all(|pair| pair[0] == pair[1]), "one payload, one root");
    }
}
