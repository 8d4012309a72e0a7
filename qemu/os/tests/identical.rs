//! Two builds from the same manifest, in different folders, are the same bytes.
//!
//! Takes minutes and a mirror: `cargo test -p shakedown-os --test identical -- --ignored`.

use std::time::Duration;

use shakedown_core::{Deadline, Pace, RealClock};
use shakedown_os::{BuildRequest, Target, Variant, build, build_update};
use tokio_util::sync::CancellationToken;

async fn twice(board: Target) {
    let clock = RealClock::start();
    let by =
        Deadline::new("two builds", Duration::from_secs(40 * 60), Pace::Rig, clock, CancellationToken::new());
    let mut images = Vec::new();
    let mut updates = Vec::new();
    for _ in 0..2 {
        let cache = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let mut request = BuildRequest::new(board, cache.path());
        let built = build(&request, &by, &|_| {}).await.expect("an image");
        assert!(built.packed_bytes <= 200 << 20, "{} bytes compressed", built.packed_bytes);
        let again = build(&request, &by, &|_| {}).await.expect("the image from the cache");
        assert!(again.cached && again.sha256 == built.sha256);
        let packed = std::fs::read(&built.image).expect("the image's file");
        images.push((built.key, built.manifest, built.sha256, packed));
        request.variant = Variant::Unhealthy;
        updates.push(build_update(&request, &by, &|_| {}).await.expect("an update file").sha256);
    }
    let (one, other) = (&images[0], &images[1]);
    assert_eq!(one.1, other.1, "the mirror changed between the builds");
    assert_eq!(one.0, other.0, "key");
    assert_eq!(one.2, other.2, "SHA-256 of the image");
    assert!(one.3 == other.3, "the compressed files differ");
    assert_eq!(updates[0], updates[1], "SHA-256 of the update file");
}

#[tokio::test]
#[ignore = "builds twice: minutes"]
async fn two_amd64_builds_are_the_same_bytes() {
    twice(Target::Amd64).await;
}

#[tokio::test]
#[ignore = "builds twice: minutes"]
async fn two_arm64_builds_are_the_same_bytes() {
    twice(Target::Aarch64).await;
}
