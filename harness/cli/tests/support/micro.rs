//! Private documents for guests of the tests: a board, OS profiles, a suite, and rigs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use shakedown_qemu::micro::{Kind, Kit};

use super::{Place, by, guest};

const BOARD: &str = "board: micro-board
name: Board of the tests
arch: amd64
extends: linux
provision: { disk-image: {} }
boot:
  stages:
    - { name: kernel, within: 10s }
";

/// An OS that is up at its login, and that nobody can log in to.
const OS: &str = "os: micro
name: OS of the tests
os-release-ids: [micro]
offers: [shell]
ssh: { port: PORT, user: root }
engine: { command: none, unit: none.service, process: none, healthy: 'true', tcp-port: 2375 }
partitions: { boot: MICRO-BOOT, data: none }
config: { file: config.json, mounted: /config.json, keys: { hostname: hostname, uuid: uuid, ssh-keys: sshKeys } }
evidence: ['boot:/config.json']
shutdown: 10s
boot:
  stages:
    - { name: userspace, seen: { console: ['micro: (init|ready)'] }, within: 15s }
    - { name: login, seen: { console: ['micro login: '] }, within: 20s }
";

/// One look at the DUT, which needs a shell.
const SUITE: &str = "module: micro::looks
cases:
  - id: answers
    title: the DUT answers
    effect: read-only
    within: WITHIN
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { equals: up }
    sabotage:
      - id: none-that-works
        edits: [{ shell: 'false' }]
        must-say: nothing
  - id: second
    title: the DUT answers once more
    effect: read-only
    within: 4s
    check:
      - run: echo up
        says: the DUT does not answer
        expect: { equals: up }
    sabotage:
      - id: none-that-works
        edits: [{ shell: 'false' }]
        must-say: nothing
";

/// Writes board, profiles and suite below `private/`, for `--path private`.
///
/// `micro` is up at its login; its SSH port accepts and stays mute on the guest of [`serving_rig`].
/// `micro-refused`, `micro-mute` and `micro-other` want a shell after it, on a port that is
/// refused, stays mute, and says something that is not SSH. `micro-login` is `micro-refused` with
/// the root login that the micro guests have on their console.
pub(crate) fn documents(place: &Place, within: &str) {
    place.file("private/catalogue/micro-board.yaml", BOARD);
    place.file("private/suites/micro/looks.yaml", SUITE.replace("WITHIN", within));
    place.file("private/os/micro.yaml", OS.replace("PORT", "2000"));
    let shell = "    - { name: shell, seen: shell, within: 4s }\n";
    for (name, port) in [("refused", "22"), ("mute", "2000"), ("other", "2001")] {
        let text = OS.replace("os: micro", &format!("os: micro-{name}"));
        let text = text.replace("[micro]", &format!("[micro-{name}]")).replace("PORT", port) + shell;
        place.file(&format!("private/os/micro-{name}.yaml"), text);
    }
    let login = "login: { prompt: 'micro login: ', user: root, shell: 'micro# ' }\nengine:";
    let refused = std::fs::read_to_string(place.path("private/os/micro-refused.yaml")).unwrap();
    let text = refused.replace("micro-refused", "micro-login").replacen("engine:", login, 1);
    place.file("private/os/micro-login.yaml", text);
}

/// A rig whose one slot boots what is on its disk.
pub(crate) fn disk_rig(place: &Place) {
    rig(place, "");
}

/// A rig whose one slot boots this micro guest, whatever is on its disk.
pub(crate) async fn guest_rig(place: &Place, kind: Kind) {
    let doc = kit().await.machine(kind);
    let direct = doc.direct.expect("a micro guest is loaded directly");
    direct_rig(place, &direct.kernel, &direct.initrd, &direct.append);
}

/// A guest at its login that takes every connection: port 2000 stays mute, port 2001 says what no
/// SSH server says. (Those of the micro guests take one at a time.) `first` is a line of shell
/// that runs beside it; busybox has no links yet.
pub(crate) async fn serving_rig(place: &Place, first: &str) {
    let serve = |port: u16, what: &str| format!("/bin/busybox nc -ll -p {port} -e /bin/busybox {what} &");
    // A shell's background needs /dev/null.
    let line = format!(
        "/bin/busybox mount -t devtmpfs dev /dev; {} {} ({first}) & exec /bin/sh /init",
        serve(2000, "sleep 999"),
        serve(2001, "echo hello")
    );
    scripted_rig(place, &format!("console=ttyS0 micro=login rdinit=/bin/sh -- -c \"{line}\"")).await;
}

/// A rig whose one slot boots the micro guests' kernel with this command line.
pub(crate) async fn scripted_rig(place: &Place, append: &str) {
    let (kernel, initrd) = parts().await;
    direct_rig(place, &kernel, &initrd, append);
}

/// The command line of a guest that mounts this partition of its own disk, if there is one, and is the usual guest
/// with its login then.
pub(crate) fn mounting(partition: &str) -> String {
    working(&format!(
        "/bin/busybox mkdir /mnt /etc /tmp; /bin/busybox mount -t vfat /dev/{partition} /mnt && \
         /bin/busybox cp /mnt/os-release /etc/os-release; exec /bin/sh /init"
    ))
}

/// The command line of a guest whose first process does this, once it has its disks.
pub(crate) fn working(line: &str) -> String {
    format!(
        "console=ttyS0 micro=login rdinit=/bin/sh -- -c \"/bin/busybox mount -t devtmpfs dev /dev; \
         for m in /modules/*.ko /more/*.ko; do /bin/busybox insmod $m; done; {line}\""
    )
}

/// Makes `micro` the profile of such a guest: it is let in at its console, and what it mounted is its own.
pub(crate) fn mounted_profile(place: &Place) {
    let os = std::fs::read_to_string(place.path("private/os/micro.yaml")).unwrap();
    let login = "login: { prompt: 'micro login: ', user: root, shell: 'micro# ' }\nfacts: { root-mount: /mnt }\nengine:";
    let os = os.replace("micro: (init|ready)", "micro: ready").replacen("engine:", login, 1);
    let os = os.replace("mounted: /config.json", "mounted: /mnt/config.json");
    place.file("private/os/micro.yaml", os.replace("within: 15s", "within: 60s"));
}

fn direct_rig(place: &Place, kernel: &Path, initrd: &Path, append: &str) {
    let mut block = String::from("      direct:\n");
    for (name, value) in [
        ("kernel", kernel.display().to_string()),
        ("initrd", initrd.display().to_string()),
        ("append", append.to_owned()),
    ] {
        writeln!(block, "        {name}: '{}'", value.replace('\'', "''")).unwrap();
    }
    rig(place, &block);
}

fn rig(place: &Place, more: &str) {
    let disk = guest::DISK >> 20;
    place.file(
        "rig.yaml",
        format!(
            "rig: tests\nslots:\n  one:\n    board: micro-board\n    qemu:\n      machine: q35\n      cpus: 1\n      memory: 192MiB\n      disk: {{ size: {disk}MiB }}\n{more}"
        ),
    );
}

/// The kernel and the initial file system of the guests with a login.
pub(crate) async fn parts() -> (PathBuf, PathBuf) {
    let direct = kit().await.machine(Kind::Login).direct.expect("a micro guest is loaded directly");
    (direct.kernel, direct.initrd)
}

/// Kernel and busybox come from the machine's own cache: they are the same for all tests.
async fn kit() -> Kit {
    let cache = shakedown_host::dirs::cache().unwrap();
    Kit::at(&cache, &by("the micro guests' kernel and busybox", 300)).await.unwrap()
}
