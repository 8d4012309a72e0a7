//! Any bytes as a board's descriptor: taken whole, or refused at a place; the same twice.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use shakedown_boards::plan::{Shape, plan};
use shakedown_boards::{Catalogue, boot_spec, explain};

/// One folder for all inputs: the fuzzer runs them one after the other.
static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the descriptor").keep();
    std::fs::create_dir(folder.join("catalogue")).expect("its catalogue");
    folder
});

fn loaded() -> Result<String, String> {
    let shown = |error: shakedown_boards::BoardsError| format!("{error:#}");
    let catalogue = Catalogue::with_paths(&[FOLDER.clone()]).map_err(shown)?;
    let found = catalogue.resolved("mine").map_err(shown)?;
    let profile = catalogue.profile("reference").map_err(shown)?;
    let spec = boot_spec(&found.board, &profile);
    let steps = plan(&found.board, &Shape::default()).map(|planned| planned.procedure);
    Ok(format!("{}\n{spec:?}\n{steps:?}", explain(&found)))
}

fuzz_target!(|bytes: &[u8]| {
    let file = FOLDER.join("catalogue/mine.yaml");
    std::fs::write(&file, bytes).expect("the descriptor");
    let came = loaded();
    assert_eq!(came, loaded(), "not the same twice");
    if let Err(error) = came {
        assert!(error.starts_with(&file.display().to_string()), "no place: {error}");
        assert!(error.len() < 8000, "{} bytes of error", error.len());
    }
});
