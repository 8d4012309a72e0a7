//! The folder of one build and the steps that are run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use shakedown_core::Deadline;
use shakedown_host::Tool;
use shakedown_host::group::ProcStat;

use crate::request::{OnStep, Step};
use crate::{Arch, BuildError, BuildRequest, recipe, tools};

/// 2025-01-01, as seconds and as faketime takes it: the time of every file in an image.
const EPOCH: &str = "1735689600";
const FAKE_CLOCK: &str = "2025-01-01 00:00:00";

/// A folder that is gone when the build is over, whatever happens.
pub(crate) struct Workshop<'a> {
    arch: Arch,
    dir: PathBuf,
    by: &'a Deadline,
    on_step: &'a OnStep<'a>,
    figures: Mutex<Vec<(String, Duration)>>,
}

impl<'a> Workshop<'a> {
    pub(crate) fn open(
        arch: Arch,
        parent: &Path,
        by: &'a Deadline,
        on_step: &'a OnStep<'a>,
    ) -> Result<Self, BuildError> {
        // Nobody else has this name: one build at a time in a process and architecture.
        let dir = parent.join(format!("work-{arch}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&dir);
        sweep(parent);
        let workshop = Self { arch, dir, by, on_step, figures: Mutex::default() };
        recipe::write(&workshop.recipe())?;
        fs::create_dir_all(workshop.out()).map_err(BuildError::file("create", workshop.out()))?;
        Ok(workshop)
    }

    pub(crate) fn recipe(&self) -> PathBuf {
        self.dir.join("recipe")
    }

    /// Where the scripts put what they make.
    pub(crate) fn out(&self) -> PathBuf {
        self.dir.join("out")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.out().join(name)
    }

    pub(crate) fn by(&self) -> &Deadline {
        self.by
    }

    /// How long each step took.
    pub(crate) fn figures(&self) -> Vec<(String, Duration)> {
        self.figures.lock().map(|figures| figures.clone()).unwrap_or_default()
    }

    /// Something that the person should know, and that takes no time.
    pub(crate) fn tell(&self, what: &str) {
        (self.on_step)(Step { name: what.to_owned(), took: Some(Duration::ZERO) });
    }

    /// Does one step and tells how long it took.
    pub(crate) async fn step<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, BuildError>>,
    ) -> Result<T, BuildError> {
        (self.on_step)(Step { name: name.to_owned(), took: None });
        let begun = Instant::now();
        let done = work.await?;
        let took = begun.elapsed();
        if let Ok(mut figures) = self.figures.lock() {
            figures.push((name.to_owned(), took));
        }
        (self.on_step)(Step { name: name.to_owned(), took: Some(took) });
        Ok(done)
    }

    /// Runs a script of the recipe as whom it is.
    pub(crate) async fn script(&self, step: &str, name: &str, args: &[&str]) -> Result<(), BuildError> {
        let script = self.recipe().join("assemble").join(name);
        self.run(step, Tool::new("bash").arg(script).args(args)).await
    }

    /// Runs a script that must see files of root. What it does to owners is kept for the next one.
    pub(crate) async fn as_root(&self, step: &str, name: &str, args: &[&str]) -> Result<(), BuildError> {
        let script = self.recipe().join(name);
        let owners = self.file("owners");
        let mut tool = Tool::new("fakeroot").package("fakeroot");
        if owners.exists() {
            tool = tool.arg("-i").arg(&owners);
        }
        self.run(step, tool.arg("-s").arg(&owners).arg("--").arg("bash").arg(script).args(args)).await
    }

    pub(crate) async fn run(&self, step: &str, tool: Tool) -> Result<(), BuildError> {
        let tool = tool
            .env("PATH", tools::path())
            .env("LC_ALL", "C")
            .env("TZ", "UTC")
            .env("SOURCE_DATE_EPOCH", EPOCH)
            .env("FAKE_CLOCK", FAKE_CLOCK);
        tool.run_ok(self.by).await.map(drop).map_err(BuildError::step(step))
    }

    /// `30-slot.sh`: the image of a slot, from the base tree.
    pub(crate) async fn slot(&self, request: &BuildRequest, base: &Path) -> Result<(), BuildError> {
        let (root, image, recipe) = (self.file("root"), self.file("root.ext4"), self.recipe());
        let (base, root, image) = (base.to_string_lossy(), root.to_string_lossy(), image.to_string_lossy());
        let (board, version, variant) = (request.board.slug(), &request.version, request.variant.name());
        let (arch, recipe, os) = (self.arch.debian(), recipe.to_string_lossy(), request.os.script());
        let args = [arch, board, version, variant, &base, &recipe, os, &root, &image];
        self.as_root("slot image", "assemble/30-slot.sh", &args).await
    }
}

/// Removes the folders of builds that were killed: each is some hundred MiB.
fn sweep(parent: &Path) {
    for entry in fs::read_dir(parent).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let maker = name.to_str().and_then(|name| name.strip_prefix("work-")?.rsplit_once('-'));
        let Some(Ok(pid)) = maker.map(|(_, pid)| pid.parse::<u32>()) else { continue };
        if ProcStat::of(pid).is_none() {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

impl Drop for Workshop<'_> {
    fn drop(&mut self) {
        // Left over, it only costs room; the next build removes it.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_build_left_is_removed_and_a_running_one_s_is_not() {
        let cache = tempfile::tempdir().unwrap();
        let path = |name: &str| cache.path().join(name);
        // No Linux gives this process id to anybody: its highest is 2^22.
        let dead = path("work-amd64-4194305");
        let own = path(&format!("work-arm64-{}", std::process::id()));
        let others = ["work-of-art", "image-0123"].map(path);
        for folder in [&dead, &own].into_iter().chain(&others) {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("file"), "x").unwrap();
        }
        sweep(cache.path());
        assert!(!dead.exists());
        assert!(own.exists() && others.iter().all(|folder| folder.exists()));
    }
}
