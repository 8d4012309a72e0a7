//! From a request to an image or an update file, by way of the cache.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use shakedown_core::Deadline;
use shakedown_host::Tool;

use crate::apt::{AptRoot, Lists};
use crate::recipe::hex;
use crate::request::OnStep;
use crate::workshop::Workshop;
use crate::{BuildError, BuildRequest, Built, Manifest, Os, Update, bios, recipe, tools};

/// Builds a disk image, or takes it from the cache.
pub async fn build(request: &BuildRequest, by: &Deadline, on_step: &OnStep<'_>) -> Result<Built, BuildError> {
    let site = Site::prepare(request, by, on_step).await?;
    let (arch, board) = (request.board.arch(), request.board.slug());
    let key = site.key(&[&request.version, request.variant.name(), &request.kernel_args, board], request.os);
    let dir = site.cache.join(format!("image-{}", &key[..16]));
    if !request.rebuild
        && let Some(built) = cached(&dir)
    {
        return Ok(built);
    }
    let base = site.base().await?;
    let shop = &site.shop;
    let out = shop.out();
    let debian = arch.debian();
    let (recipe_dir, out_dir) = (shop.recipe(), shop.out());
    let (recipe_dir, out_dir) = (recipe_dir.to_string_lossy(), out_dir.to_string_lossy());
    let os = request.os.script();
    shop.step("slot image", shop.slot(request, &base)).await?;
    let args = [debian, &recipe_dir, os, &out_dir];
    shop.step("state and data", shop.as_root("state and data", "assemble/40-state-data.sh", &args)).await?;
    let args = [debian, board, &request.kernel_args, &recipe_dir, os, &out_dir];
    shop.step("boot partition", shop.script("boot partition", "50-boot.sh", &args)).await?;
    let raw = out.join("os.img");
    shop.step("disk image", async {
        let args = [&*recipe_dir, os, &out_dir, &raw.to_string_lossy()];
        shop.script("disk image", "60-disk.sh", &args).await?;
        // Without it there is nothing that a BIOS could start.
        if out.join("core.img").exists() { embed(&out, &raw) } else { Ok(()) }
    })
    .await?;

    let packed = out.join("os.img.zst");
    let sha256 = shop
        .step("compression and hash", async {
            let zstd = Tool::new("zstd").args(["--quiet", "-T0", "-6", "-f", "-o"]).arg(&packed).arg(&raw);
            shop.run("compression", zstd).await?;
            hash(&raw).await
        })
        .await?;

    let built = Built {
        image: dir.join("os.img.zst"),
        raw_bytes: size(&raw)?,
        sha256,
        packed_bytes: size(&packed)?,
        manifest: site.manifest.clone(),
        key,
        test_image: None,
        figures: shop.figures(),
        cached: false,
    };
    let keep = out.join("keep");
    fs::create_dir_all(&keep).map_err(BuildError::file("create", &keep))?;
    if out.join(TEST_IMAGE).exists() {
        rename(&out.join(TEST_IMAGE), &keep.join(TEST_IMAGE))?;
    }
    rename(&packed, &keep.join("os.img.zst"))?;
    put(&keep.join("manifest.txt"), built.manifest.to_string().as_bytes())?;
    let record = serde_json::to_vec_pretty(&built).unwrap_or_default();
    put(&keep.join("built.json"), &record)?;
    settle(&keep, &dir)?;
    Ok(Built { test_image: test_image(&dir), ..built })
}

/// The container image for the suites, where it does not lie on the data partition.
const TEST_IMAGE: &str = "test-image.tar";

fn test_image(dir: &Path) -> Option<PathBuf> {
    let file = dir.join(TEST_IMAGE);
    file.exists().then_some(file)
}

/// Builds an update file for the OS's own update command, or takes it from the cache. A broken
/// variant costs no more than a whole one: both start from the same unpacked packages.
pub async fn build_update(
    request: &BuildRequest,
    by: &Deadline,
    on_step: &OnStep<'_>,
) -> Result<Update, BuildError> {
    let site = Site::prepare(request, by, on_step).await?;
    let board = request.board.slug();
    let key = site.key(&[&request.version, request.variant.name(), "update", board], request.os);
    let name = format!("update-{}-{}-{}", request.version, request.variant, &key[..16]);
    let file = site.cache.join(match request.os {
        Os::Reference => name + ".tar",
        Os::BalenaOs => name + ".docker.gz",
    });
    if !request.rebuild && file.exists() {
        return Ok(Update { sha256: hash(&file).await?, bytes: size(&file)?, file, cached: true });
    }
    let base = site.base().await?;
    let shop = &site.shop;
    shop.step("slot image", shop.slot(request, &base)).await?;
    let (tree, image, fresh) = (shop.file("root"), shop.file("root.ext4"), shop.file("update"));
    let (tree, image, recipe_dir) = (tree.to_string_lossy(), image.to_string_lossy(), shop.recipe());
    let (recipe_dir, to) = (recipe_dir.to_string_lossy(), fresh.to_string_lossy());
    shop.step("update file", async {
        match request.os {
            Os::Reference => {
                let args = [board, &request.version, &image, &to];
                shop.script("update file", "70-update.sh", &args).await
            }
            Os::BalenaOs => {
                let args = [request.board.arch().debian(), board, &recipe_dir, &tree, &to];
                shop.as_root("update file", "balena/70-hostapp.sh", &args).await
            }
        }
    })
    .await?;
    rename(&fresh, &file)?;
    Ok(Update { sha256: hash(&file).await?, bytes: size(&file)?, file, cached: false })
}

/// What every build needs first: tools, manifest, a folder.
struct Site<'a> {
    shop: Workshop<'a>,
    apt: AptRoot,
    manifest: Manifest,
    versions: String,
    cache: PathBuf,
}

impl<'a> Site<'a> {
    async fn prepare(
        request: &BuildRequest,
        by: &'a Deadline,
        on_step: &'a OnStep<'a>,
    ) -> Result<Self, BuildError> {
        check(request)?;
        tools::check()?;
        let arch = request.board.arch();
        let cache = request.cache.join("os").join(arch.debian());
        fs::create_dir_all(&cache).map_err(BuildError::file("create", &cache))?;
        // Programs get a folder of their own as working directory: paths must not depend on ours.
        let cache = fs::canonicalize(&cache).map_err(BuildError::file("find", &cache))?;
        let shop = Workshop::open(arch, &cache, by, on_step)?;
        let (apt, lists, manifest, versions) = shop
            .step("package manifest", async {
                let apt = AptRoot::prepare(arch, &cache.join("apt"), by).await?;
                let lists = apt.update(request.refresh, by).await?;
                let manifest = apt.resolve(by).await?;
                Ok((apt, lists, manifest, tools::versions(by).await?))
            })
            .await?;
        if let Lists::Old(age) = lists {
            let hours = age.as_secs() / 3600;
            shop.tell(&format!("no mirror answers: package lists of {hours} hours ago"));
        }
        Ok(Self { shop, apt, manifest, versions, cache })
    }

    /// The hash of everything that goes into a build of this OS, and of `more`.
    fn key(&self, more: &[&str], os: Os) -> String {
        let mut hasher = Sha256::new();
        hasher.update(format!(
            "{}\n{}\n{}\n{}{}",
            recipe::hash(),
            self.manifest,
            self.versions,
            more.join("\n"),
            recipe::own_hash(os)
        ));
        hex(&hasher.finalize())
    }

    /// The unpacked packages with our files and the initramfs, as a tar; from the cache if it is there.
    async fn base(&self) -> Result<PathBuf, BuildError> {
        // One for all: another OS is made of the same tree.
        let key = self.key(&[], Os::Reference);
        let base = self.cache.join(format!("base-{}.tar.zst", &key[..16]));
        let loaders = self.cache.join(format!("loaders-{}", &key[..16]));
        let shop = &self.shop;
        if !(base.exists() && loaders.exists()) {
            let debs = shop.step("packages", self.apt.download(&self.manifest, shop.by())).await?;
            let lines: Vec<_> = debs.iter().map(|deb| deb.display().to_string()).collect();
            let list = lines.join("\n") + "\n";
            let list_file = shop.file("packages");
            put(&list_file, list.as_bytes())?;
            let (recipe_dir, out_dir, list_file) =
                (shop.recipe(), shop.out(), list_file.to_string_lossy().into_owned());
            let (recipe_dir, out_dir) = (recipe_dir.to_string_lossy(), out_dir.to_string_lossy());
            let args = [self.apt.arch().debian(), &list_file, &recipe_dir, &out_dir];
            shop.step("root file system", shop.as_root("root file system", "assemble/10-root.sh", &args))
                .await?;
            shop.step(
                "initramfs",
                shop.as_root("initramfs", "assemble/20-initramfs.sh", &[&recipe_dir, &out_dir]),
            )
            .await?;
            let _ = fs::remove_dir_all(&loaders);
            rename(&shop.file("loaders"), &loaders)?;
            rename(&shop.file("base.tar.zst"), &base)?;
        }
        let link = shop.file("loaders");
        std::os::unix::fs::symlink(&loaders, &link).map_err(BuildError::file("link", link))?;
        Ok(base)
    }
}

/// What goes into file names, os-release and a GRUB script must be plain.
fn check(request: &BuildRequest) -> Result<(), BuildError> {
    let plain = |text: &str, more: &[u8]| {
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || more.contains(&byte))
    };
    if request.version.is_empty() || !plain(&request.version, b".+-") {
        let allowed = "letters, digits and .+-";
        return Err(BuildError::Request { what: "version", got: request.version.clone(), allowed });
    }
    if !request.os.is_for(request.board) {
        let allowed = "a board that there is this OS for";
        return Err(BuildError::Request { what: "board", got: request.board.to_string(), allowed });
    }
    if !plain(&request.kernel_args, b" .,=_:-") {
        let allowed = "letters, digits and .,=_:-";
        return Err(BuildError::Request {
            what: "kernel arguments",
            got: request.kernel_args.clone(),
            allowed,
        });
    }
    Ok(())
}

pub(crate) fn cached(dir: &Path) -> Option<Built> {
    let record = fs::read(dir.join("built.json")).ok()?;
    let mut built: Built = serde_json::from_slice(&record).ok()?;
    built.image = dir.join("os.img.zst");
    built.test_image = test_image(dir);
    built.cached = true;
    (fs::metadata(&built.image).ok()?.len() == built.packed_bytes).then_some(built)
}

/// Writes GRUB's boot code into the image.
fn embed(out: &Path, image: &Path) -> Result<(), BuildError> {
    let part = |name: &str| fs::read(out.join(name)).map_err(BuildError::file("read", out.join(name)));
    let (boot, core) = bios::boot_code(&part("boot.img")?, &part("core.img")?)?;
    let write = || {
        let mut disk = OpenOptions::new().write(true).open(image)?;
        disk.write_all(&boot)?;
        disk.seek(SeekFrom::Start(bios::CORE_SECTOR * 512))?;
        disk.write_all(&core)
    };
    write().map_err(BuildError::file("write boot code to", image))
}

pub(crate) async fn hash(file: &Path) -> Result<String, BuildError> {
    let file = file.to_owned();
    let work = move || {
        let mut hasher = Sha256::new();
        let mut source = File::open(&file).map_err(BuildError::file("read", &file))?;
        let mut buffer = vec![0; 1 << 20];
        loop {
            match source.read(&mut buffer).map_err(BuildError::file("read", &file))? {
                0 => return Ok(hex(&hasher.finalize())),
                count => hasher.update(&buffer[..count]),
            }
        }
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

pub(crate) fn size(file: &Path) -> Result<u64, BuildError> {
    Ok(fs::metadata(file).map_err(BuildError::file("look at", file))?.len())
}

pub(crate) fn put(file: &Path, bytes: &[u8]) -> Result<(), BuildError> {
    fs::write(file, bytes).map_err(BuildError::file("write", file))
}

pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), BuildError> {
    fs::rename(from, to).map_err(BuildError::file("move into place", to))
}

/// Puts a finished folder where the cache looks for it: whole or not at all.
pub(crate) fn settle(keep: &Path, dir: &Path) -> Result<(), BuildError> {
    let _ = fs::remove_dir_all(dir);
    rename(keep, dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_end_up_in_scripts_is_refused() {
        let mut request = BuildRequest::new(crate::Target::Amd64, "/x");
        check(&request).unwrap();
        for bad in ["", "1 2", "1;reboot", "../1"] {
            request.version = bad.to_owned();
            assert!(check(&request).unwrap_err().to_string().contains("version"), "{bad}");
        }
        request.version = "2.0.0-rc+1".to_owned();
        request.kernel_args = "quiet \"; halt".to_owned();
        assert!(check(&request).unwrap_err().to_string().contains("kernel arguments"));
    }
}
