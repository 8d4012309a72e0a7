//! The installer's form of an image: it boots from one disk and installs the OS on another.

use std::fs;

use sha2::{Digest, Sha256};
use shakedown_core::Deadline;
use shakedown_host::Tool;

use crate::build::{build, cached, hash, put, rename, settle, size};
use crate::recipe::{flasher_hash, hex, write_flasher};
use crate::request::OnStep;
use crate::workshop::Workshop;
use crate::{BuildError, BuildRequest, Built};

/// Builds the image and, from it, one that boots and installs it; or takes them from the cache.
pub async fn build_flasher(
    request: &BuildRequest,
    by: &Deadline,
    on_step: &OnStep<'_>,
) -> Result<Built, BuildError> {
    let os = build(request, by, on_step).await?;
    let key = hex(&Sha256::digest(format!("{}\n{}\n", os.key, flasher_hash())));
    let cache = request.cache.join("os").join(request.board.arch().debian());
    let cache = fs::canonicalize(&cache).map_err(BuildError::file("find", &cache))?;
    let dir = cache.join(format!("flasher-{}", &key[..16]));
    if !request.rebuild
        && let Some(built) = cached(&dir)
    {
        return Ok(built);
    }
    let shop = Workshop::open(request.board.arch(), &cache, by, on_step)?;
    let (parts, out) = (shop.file("parts"), shop.out());
    write_flasher(&parts)?;
    let (raw, packed) = (shop.file("os.img"), shop.file("flasher.img.zst"));
    shop.step("payload", {
        let zstd = Tool::new("zstd").args(["--quiet", "--sparse", "-d", "-f", "-o"]);
        shop.run("payload", zstd.arg(&raw).arg(&os.image))
    })
    .await?;
    let image = shop.file("flasher.img");
    shop.step("installer", {
        let own = shop.recipe().join(request.os.script());
        let script = Tool::new("bash").arg(parts.join("flasher.sh")).arg(&raw).arg(&parts).arg(own).arg(&out);
        shop.run("installer", script)
    })
    .await?;
    let sha256 = shop
        .step("compression and hash", async {
            // Its payload is compressed already.
            let zstd = Tool::new("zstd").args(["--quiet", "-T0", "-1", "-f", "-o"]).arg(&packed).arg(&image);
            shop.run("compression", zstd).await?;
            hash(&image).await
        })
        .await?;
    let built = Built {
        image: dir.join("os.img.zst"),
        raw_bytes: size(&image)?,
        sha256,
        packed_bytes: size(&packed)?,
        manifest: os.manifest,
        key,
        test_image: None,
        figures: shop.figures(),
        cached: false,
    };
    let keep = shop.file("keep");
    fs::create_dir_all(&keep).map_err(BuildError::file("create", &keep))?;
    rename(&packed, &keep.join("os.img.zst"))?;
    let record = serde_json::to_vec_pretty(&built).unwrap_or_default();
    put(&keep.join("built.json"), &record)?;
    settle(&keep, &dir)?;
    Ok(built)
}
