//! Block devices: loop devices of this host as the DUT's media, and the host's own disk.
//!
//! Without leave to make loop devices, or in a container that shows no mounted device, the tests that
//! need one are listed as ignored.

mod support;

use std::fs::OpenOptions;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Arguments;
use shakedown_conf::{Document, load};
use shakedown_core::{Fault, InfraKind, NoFence, RealClock, Rig, Side, Slot};
use shakedown_host::{Tool, warden};
use shakedown_media::open_source;
use shakedown_rigs::{SlotRequest, Wiring, open};
use support::{Person, board, by, nowhere, trial};

fn main() {
    warden::serve_if_asked();
    let mut args = Arguments::from_args();
    // A process that another test is just starting has our device open, too, for a moment: then it is busy.
    args.test_threads = Some(1);
    let loops = OpenOptions::new().read(true).write(true).open("/dev/loop-control").is_ok();
    let tests = vec![
        trial("an_image_is_written_past_the_cache_and_read_back", written).with_ignored_flag(!loops),
        trial("what_the_host_uses_is_never_opened", in_use).with_ignored_flag(!loops),
        trial("another_device_under_the_same_name_is_refused", exchanged).with_ignored_flag(!loops),
        trial("a_device_that_is_attached_again_is_told_from_the_one_before", attached)
            .with_ignored_flag(!loops),
        trial("the_disk_that_this_host_runs_from_is_refused", own_disk)
            .with_ignored_flag(mounted().is_empty()),
        trial("names_that_do_not_last_are_refused", names),
    ];
    libtest_mimic::run(&args, tests).exit();
}

/// A loop device over a file; gone when it is dropped.
struct Loop {
    node: PathBuf,
    file: PathBuf,
}

impl Loop {
    async fn new(file: &Path, size: u64) -> Self {
        std::fs::File::create(file).unwrap().set_len(size).unwrap();
        let losetup = Tool::new("losetup").package("mount").args(["--find", "--show"]).arg(file);
        let node = losetup.run_ok(&by(Duration::from_secs(60))).await.unwrap().text();
        Self { node: node.into(), file: std::fs::canonicalize(file).unwrap() }
    }

    fn release(&self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (node, by) = (self.node.clone(), by(Duration::from_secs(60)));
        let work = async move { Tool::new("losetup").arg("--detach").arg(&node).run_ok(&by).await };
        std::thread::spawn(move || drop(runtime.block_on(work))).join().unwrap();
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        self.release();
    }
}

async fn slot(path: &Path, more: &str, folder: &Path) -> Rig<Slot> {
    let text = format!(
        "consoles: {{ main: {{ command: {{ run: [cat] }} }} }}\n\
         media: {{ main: {{ block-device: {{ path: '{}', max-size: 64MiB{more} }} }} }}\n",
        path.display()
    );
    let wiring =
        load::<Wiring>(&Document::new("rig.yaml", &text)).unwrap_or_else(|error| panic!("{error:#}")).value;
    let request = SlotRequest {
        id: "desk/test".into(),
        board: board(),
        folder: folder.to_owned(),
        clock: RealClock::start(),
        sink: nowhere(),
        fence: Arc::new(NoFence),
        operator: Person::with(vec![]),
        safe_by: None,
        given: shakedown_rigs::Given::default(),
    };
    open(&wiring, request, &by(Duration::from_secs(60))).await
}

async fn refused(path: &Path, more: &str, folder: &Path) -> Fault {
    let fault = match slot(path, more, folder).await {
        Ok(slot) => {
            let opened = slot.media["main"].open(&by(Duration::from_secs(60))).await;
            opened.map(|medium| medium.identity().clone()).unwrap_err()
        }
        Err(fault) => fault,
    };
    assert_eq!(fault.driver, "block-device", "{fault}");
    fault
}

async fn written() {
    let place = tempfile::tempdir().unwrap();
    let device = Loop::new(&place.path().join("card"), 16 << 20).await;
    std::fs::write(&device.file, vec![0xaa; 16 << 20]).unwrap();
    let lasting = place.path().join("lasting");
    symlink(&device.node, &lasting).unwrap();
    let named = format!(", serial: '{}'", device.file.display());
    let slot = slot(&lasting, &named, place.path()).await.unwrap();
    let (storage, by) = (&slot.media["main"], by(Duration::from_secs(120)));
    assert_eq!(storage.side(&by).await, Ok(Side::Host));
    let mut medium = storage.open(&by).await.unwrap();
    assert_eq!(
        (medium.len(), medium.identity().serial.clone()),
        (16 << 20, Some(device.file.display().to_string()))
    );
    // Two at once, ours or another program's, do not write.
    assert_eq!(storage.open(&by).await.map(|medium| medium.len()).unwrap_err().kind, InfraKind::Storage);
    // An image with holes and an odd end.
    let mut image = vec![0; (9 << 20) + 512 * 3];
    image[510..512].copy_from_slice(&[0x55, 0xaa]);
    image[446..462].copy_from_slice(&[0x80, 0, 0, 0, 0x0c, 0, 0, 0, 0, 8, 0, 0, 0, 64, 0, 0]);
    image[(5 << 20) + 777..(6 << 20) + 3].fill(0x5a);
    let end = image.len() - 100;
    image[end..].fill(0x33);
    let file = place.path().join("image");
    std::fs::write(&file, &image).unwrap();
    let mut source = open_source(&file).unwrap();
    let written = shakedown_media::write_image(&mut source, medium.as_mut(), &mut |_| {
        std::ops::ControlFlow::Continue(())
    });
    let written = written.unwrap();
    assert!(written.wrote() && written.bytes() == image.len() as u64, "{written:?}");
    // Odd places, over the borders of blocks and windows.
    for (off, len) in
        [(1, 1), (511, 2), (4095, 4097), ((1 << 20) - 3, 7), ((16 << 20) - 5, 5), (100, 3 << 20)]
    {
        let bytes: Vec<u8> = (0..len).map(|index| (index % 251) as u8).collect();
        let mut around = vec![0; len + 2];
        let before = off.max(1) - 1;
        let end = (before + around.len() as u64).min(16 << 20);
        around.truncate((end - before) as usize);
        medium.read_at(before, &mut around).unwrap();
        medium.write_at(off, &bytes).unwrap();
        let mut now = vec![0; around.len()];
        medium.read_at(before, &mut now).unwrap();
        let skip = (off - before) as usize;
        assert!(now[..skip] == around[..skip] && now[skip..skip + len] == bytes[..], "{off}+{len}");
        assert!(now[skip + len..] == around[skip + len..], "{off}+{len}: what lies behind it");
    }
    medium.zero(1000, 5000).unwrap();
    let mut zeros = vec![1; 5002];
    medium.read_at(999, &mut zeros).unwrap();
    assert!(zeros[0] != 0 && zeros[5001] != 0 && zeros[1..5001].iter().all(|byte| *byte == 0));
    assert!(medium.read_at((16 << 20) - 1, &mut [0; 2]).is_err(), "behind the end");
    medium.barrier().unwrap();
    assert!(storage.switch(Side::Dut, &by).await.is_err(), "given away while it is written");
    drop(medium);
    assert_eq!(storage.switch(Side::Dut, &by).await, Ok(Side::Dut));
    let given = storage.open(&by).await.map(|medium| medium.len()).unwrap_err();
    assert_eq!(given.got, "it was given to the DUT");
    assert_eq!(storage.switch(Side::Host, &by).await, Ok(Side::Host));
}

async fn in_use() {
    let place = tempfile::tempdir().unwrap();
    let device = Loop::new(&place.path().join("card"), 16 << 20).await;
    let lasting = place.path().join("lasting");
    symlink(&device.node, &lasting).unwrap();
    let before = std::fs::read(&device.file).unwrap();
    // Fixed, and not named.
    let fault = refused(&lasting, "", place.path()).await;
    assert!(fault.got.contains("is fixed, and the rig file does not name its `serial`"), "{fault}");
    let fault = refused(&lasting, ", serial: other", place.path()).await;
    assert_eq!(fault.expected, "the device with the serial number other", "{fault}");
    let named = format!(", serial: '{}'", device.file.display());
    let swap = Tool::new("mkswap").package("util-linux").arg(&device.node);
    swap.run_ok(&by(Duration::from_secs(60))).await.unwrap();
    let before = if before.is_empty() { before } else { std::fs::read(&device.file).unwrap() };
    // Swap is asked of the kernel, as far as it gives leave.
    let on =
        Tool::new("swapon").package("mount").arg(&device.node).run_ok(&by(Duration::from_secs(60))).await;
    if on.is_ok() {
        let fault = refused(&lasting, &named, place.path()).await;
        let off = Tool::new("swapoff").arg(&device.node).run_ok(&by(Duration::from_secs(60))).await;
        assert!(fault.got.ends_with("is swap space of this host"), "{fault}");
        off.unwrap();
    }
    // A loop device shows it: the kernel would open it exclusively all the same.
    let losetup = Tool::new("losetup").args(["--find", "--show"]).arg(&device.node);
    let over = losetup.run_ok(&by(Duration::from_secs(60))).await.unwrap().text();
    let fault = refused(&lasting, &named, place.path()).await;
    let off = Tool::new("losetup").arg("--detach").arg(&over).run_ok(&by(Duration::from_secs(60))).await;
    let [over, under] =
        [&over, device.node.to_str().unwrap()].map(|node| node.trim_start_matches("/dev/").to_owned());
    assert_eq!(fault.got, format!("{under} is a member of {over} (loop device)"), "{fault}");
    off.unwrap();
    // Another program has it exclusively: only the kernel knows.
    let flags = rustix::fs::OFlags::EXCL.bits().cast_signed();
    let held = std::os::unix::fs::OpenOptionsExt::custom_flags(OpenOptions::new().read(true), flags)
        .open(&device.node)
        .unwrap();
    let fault = refused(&lasting, &named, place.path()).await;
    assert_eq!(fault.got, "one that the kernel calls busy", "{fault}");
    drop(held);
    // udev and well-behaved programs lock it.
    let locked = std::fs::File::open(&device.node).unwrap();
    rustix::fs::flock(&locked, rustix::fs::FlockOperation::NonBlockingLockExclusive).unwrap();
    let slot = slot(&lasting, &named, place.path()).await.unwrap();
    let storage = &slot.media["main"];
    let fault = storage.open(&by(Duration::from_secs(2))).await.map(|medium| medium.len()).unwrap_err();
    assert_eq!((fault.op.as_str(), fault.stop.is_some()), ("lock", true), "{fault}");
    assert!(std::fs::read(&device.file).unwrap() == before, "a refused device was changed");
    // They let go.
    let look = async {
        by(Duration::from_secs(60)).pause(Duration::from_millis(500), String::new).await.unwrap();
        drop(locked);
    };
    let limit = by(Duration::from_secs(60));
    let (opened, ()) = tokio::join!(storage.open(&limit), look);
    opened.unwrap();
}

/// The card was taken out, and another lies in the same reader.
async fn exchanged() {
    let place = tempfile::tempdir().unwrap();
    let first = Loop::new(&place.path().join("card"), 16 << 20).await;
    let lasting = place.path().join("lasting");
    symlink(&first.node, &lasting).unwrap();
    let named = format!(", serial: '{}'", first.file.display());
    let slot = slot(&lasting, &named, place.path()).await.unwrap();
    let by = by(Duration::from_secs(60));
    drop(slot.media["main"].open(&by).await.unwrap());
    first.release();
    std::fs::remove_file(&lasting).unwrap();
    assert_eq!(slot.media["main"].side(&by).await, Ok(Side::Dut), "nothing is there");
    let absent = slot.media["main"].open(&by).await.map(|medium| medium.len()).unwrap_err();
    assert_eq!((absent.expected.as_str(), absent.got.as_str()), ("a medium", "none is there"));
    let second = Loop::new(&place.path().join("card"), 32 << 20).await;
    symlink(&second.node, &lasting).unwrap();
    let fault = slot.media["main"].open(&by).await.map(|medium| medium.len()).unwrap_err();
    assert!(fault.expected.starts_with("the medium of the slot (16777216 bytes"), "{fault}");
    assert!(std::fs::read(&second.file).unwrap().iter().all(|byte| *byte == 0));
}

/// As a board's storage comes and goes: the same file under the same name is another attachment.
async fn attached() {
    let folder = tempfile::tempdir().unwrap();
    let (link, file) = (folder.path().join("main"), folder.path().join("storage"));
    std::fs::File::create(&file).unwrap();
    let serial = std::fs::canonicalize(&file).unwrap();
    let slot = slot(&link, &format!(", serial: '{}'", serial.display()), folder.path()).await.unwrap();
    let limit = by(Duration::from_secs(60));
    let now = || slot.media["main"].attached(&limit);
    assert_eq!(now().await, Ok(None), "nothing is there yet");
    let attach = async || {
        let device = Loop::new(&file, 4 << 20).await;
        symlink(&device.node, &link).unwrap();
        device
    };
    // The name goes with the device, as udev does it: the node may be somebody else's at once.
    let detach = |device: Loop| {
        std::fs::remove_file(&link).unwrap();
        drop(device);
    };
    let device = attach().await;
    let first = now().await.unwrap().expect("it is there");
    assert_eq!((first.medium.size, first.medium.serial), (4 << 20, Some(serial.display().to_string())));
    let first = now().await.unwrap().unwrap();
    assert_eq!(now().await, Ok(Some(first.clone())), "it stayed");
    detach(device);
    assert_eq!(now().await, Ok(None), "it is gone");
    let device = attach().await;
    let second = now().await.unwrap().expect("it is there again");
    assert_eq!(second.medium, first.medium);
    assert_ne!(second.as_what, first.as_what, "the same medium, attached anew");
    detach(device);
    // Another one comes in its place.
    let other = Loop::new(&folder.path().join("other"), 4 << 20).await;
    symlink(&other.node, &link).unwrap();
    let fault = now().await.unwrap_err();
    assert!(fault.expected.contains("serial number"), "{fault}");
}

async fn own_disk() {
    let place = tempfile::tempdir().unwrap();
    for name in mounted() {
        let lasting = place.path().join(&name);
        symlink(PathBuf::from("/dev").join(&name), &lasting).unwrap();
        // Named or not: nothing gives leave.
        let serial = std::fs::read_to_string(format!("/sys/class/block/{name}/serial")).unwrap_or_default();
        for more in [String::new(), format!(", serial: '{}'", serial.trim())] {
            let fault = refused(&lasting, &more, place.path()).await;
            let why = ["is mounted at", "root file system", "is a partition"];
            assert!(why.iter().any(|why| fault.got.contains(why)), "{fault}");
            assert_eq!(fault.kind, InfraKind::Config, "{fault}");
        }
    }
}

/// The block devices of this host that are mounted, by the kernel's names.
fn mounted() -> Vec<String> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let names = std::fs::read_dir("/sys/class/block").into_iter().flatten().flatten();
    let names = names.filter_map(|entry| entry.file_name().into_string().ok());
    let is_mounted = |name: &String| {
        let number = std::fs::read_to_string(format!("/sys/class/block/{name}/dev")).unwrap_or_default();
        Path::new("/dev").join(name).exists()
            && mounts.lines().any(|line| line.split(' ').nth(2) == Some(number.trim()))
    };
    names.filter(is_mounted).collect()
}

async fn names() {
    let wiring = |path: &str| {
        let text = format!(
            "consoles: {{ main: {{ command: {{ run: [cat] }} }} }}\nmedia: {{ main: {{ block-device: {{ path: {path}, max-size: 64GiB }} }} }}\n"
        );
        load::<Wiring>(&Document::new("rig.yaml", &text)).unwrap().value
    };
    for (path, want) in [
        ("/dev/sdb", "media.main.block-device.path: another device may have this name tomorrow"),
        ("sdb", "media.main.block-device.path: a whole path is needed"),
    ] {
        let problem = wiring(path).check(&board()).unwrap_err().to_string();
        assert!(problem.starts_with(want), "{problem}");
    }
    wiring("/dev/disk/by-path/pci-0-usb-0:1.4:1.0-scsi-0:0:0:0").check(&board()).unwrap();
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("file");
    std::fs::write(&file, "data").unwrap();
    let fault = refused(&file, "", place.path()).await;
    assert_eq!(fault.expected, "a block device", "{fault}");
    assert_eq!(std::fs::read(&file).unwrap(), b"data");
}
