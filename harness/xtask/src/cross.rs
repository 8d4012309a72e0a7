//! Our own binary for arm64, without a target of rustup's: by Debian's compiler and its library for arm64, which are
//! unpacked into the target folder and installed nowhere.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::shell::{Line, cargo, line, target_dir};

/// The compiler: Debian brings one of our age besides its own, for browsers. What it needs of the same source is
/// found by its dependencies.
const COMPILER: &str = "rustc-web";
const LIBRARY: &str = "libstd-rust-web-dev";
const KERNEL: &str = "linux-image-arm64";
const TRIPLE: &str = "aarch64-unknown-linux-gnu";

/// The Raspberry Pi that QEMU has, as the kernel's package has it.
const TREE: &str = "bcm2837-rpi-3-b.dtb";

/// A folder with `shakedown`, which needs no library, `busybox`, `vmlinuz` and a device tree.
pub(crate) fn kit() -> anyhow::Result<PathBuf> {
    let folder = target_dir().join("arm64");
    let (tools, tree, kit) = (folder.join("tools"), folder.join("tree"), folder.join("kit"));
    let done = folder.join("unpacked-with-trees");
    if !done.exists() {
        let (native, arm64) = (Apt::default(), Apt::arm64(&folder.join("apt"))?);
        arm64.line("apt-get", ["-qq", "update"]).run()?;
        let own = native.depends(LIBRARY, "libstd-rust-web-")?;
        let llvm = native.depends(&own, "libllvm")?;
        native.unpack(&[COMPILER, LIBRARY, &own, &llvm], &folder.join("native"), &tools)?;
        arm64.unpack(&[LIBRARY], &folder.join("library"), &tools)?;
        let kernel = arm64.depends(KERNEL, "linux-image-")?;
        arm64.unpack(&["libssl-dev", "busybox-static", &kernel], &folder.join("foreign"), &tree)?;
        let headers = tree.join("usr/include");
        let (common, own) = (headers.join("openssl"), headers.join("aarch64-linux-gnu/openssl"));
        copy(&own.join("configuration.h"), &common.join("configuration.h"))?;
        copy(&own.join("opensslconf.h"), &common.join("opensslconf.h"))?;
        std::fs::create_dir_all(&kit)?;
        copy(&tree.join("bin/busybox"), &kit.join("busybox"))?;
        let mut boot = std::fs::read_dir(tree.join("boot"))?.flatten().map(|entry| entry.path());
        let kernel = boot.find(|path| path.to_string_lossy().contains("/vmlinuz-")).context("a kernel")?;
        copy(&kernel, &kit.join("vmlinuz"))?;
        let mut trees = std::fs::read_dir(tree.join("usr/lib"))?.flatten().map(|entry| entry.path());
        let trees =
            trees.find(|path| path.to_string_lossy().contains("/linux-image-")).context("device trees")?;
        copy(&trees.join("broadcom").join(TREE), &kit.join(TREE))?;
        std::fs::write(&done, "")?;
    }
    let built = folder.join("target");
    build(&tools, &tree, &built)?;
    let binary = built.join(TRIPLE).join("debug/shakedown");
    let strip = [OsStr::new("aarch64-linux-gnu-strip"), OsStr::new("-o")];
    line(strip.into_iter().chain([kit.join("shakedown").as_os_str(), binary.as_os_str()])).run()?;
    // It is as large as the workspace's own, and used for nothing else.
    std::fs::remove_dir_all(&built)?;
    Ok(kit)
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    std::fs::copy(from, to).with_context(|| format!("{} to {}", from.display(), to.display()))?;
    Ok(())
}

fn build(tools: &Path, tree: &Path, built: &Path) -> anyhow::Result<()> {
    let lib = tools.join("usr/lib");
    let mut libraries = vec![lib.join("x86_64-linux-gnu")];
    // Whichever LLVM the compiler is made with.
    for entry in std::fs::read_dir(&lib)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("llvm-") {
            libraries.push(entry.path().join("lib"));
        }
    }
    cargo(["build", "--package", "shakedown", "--features", "rppal", "--target", TRIPLE])
        .env("RUSTC", tools.join("usr/bin/rustc"))
        .env("LD_LIBRARY_PATH", std::env::join_paths(libraries)?)
        .env("CARGO_TARGET_DIR", built)
        .env("CARGO_PROFILE_DEV_DEBUG", "0")
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", "aarch64-linux-gnu-gcc")
        .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static")
        .env("AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_LIB_DIR", tree.join("usr/lib/aarch64-linux-gnu"))
        .env("AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_INCLUDE_DIR", tree.join("usr/include"))
        .env("AARCH64_UNKNOWN_LINUX_GNU_OPENSSL_STATIC", "1")
        .run()
}

/// This machine's apt, or one for arm64 with the same mirrors and folders of its own.
#[derive(Default)]
struct Apt {
    settings: Vec<String>,
}

impl Apt {
    fn arm64(folder: &Path) -> anyhow::Result<Self> {
        for part in ["lists/partial", "archives/partial"] {
            std::fs::create_dir_all(folder.join(part))?;
        }
        let settings = [
            "APT::Architecture=arm64".to_owned(),
            "APT::Architectures=arm64".to_owned(),
            format!("Dir::State::Lists={}", folder.join("lists").display()),
            "Dir::State::status=/dev/null".to_owned(),
            format!("Dir::Cache={}", folder.display()),
        ];
        Ok(Self { settings: settings.into_iter().flat_map(|setting| ["-o".to_owned(), setting]).collect() })
    }

    fn line<'a>(&'a self, program: &'a str, args: impl IntoIterator<Item = &'a str>) -> Line {
        let settings = self.settings.iter().map(String::as_str);
        line([program].into_iter().chain(settings).chain(args))
    }

    /// The first package of this beginning that one depends on; its own headers are none.
    fn depends(&self, name: &str, start: &str) -> anyhow::Result<String> {
        let said = self.line("apt-cache", ["depends", name]).read()?;
        let mut found = said.lines().filter_map(|line| line.trim().strip_prefix("Depends: "));
        let found = found.find(|package| package.starts_with(start) && !package.ends_with("-dev"));
        Ok(found.with_context(|| format!("{name} depends on no {start}*: {said}"))?.to_owned())
    }

    /// Fetches packages into a folder, and unpacks them into another one.
    fn unpack(&self, packages: &[&str], archives: &Path, into: &Path) -> anyhow::Result<()> {
        std::fs::create_dir_all(archives)?;
        let download = ["-qq", "download"].into_iter().chain(packages.iter().copied());
        self.line("apt-get", download).dir(archives).run()?;
        for file in std::fs::read_dir(archives)? {
            let file = file?.path();
            line([OsStr::new("dpkg-deb"), OsStr::new("-x"), file.as_os_str(), into.as_os_str()]).run()?;
        }
        Ok(())
    }
}
