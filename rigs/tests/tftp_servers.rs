//! Boot files for a DUT's boot loader: by our own server, and by dnsmasq over a folder. Boot loaders ask
//! port 69; without leave to take it (root has it) the tests that need it are listed as ignored.

mod support;

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Arguments;
use shakedown_core::{BootFile, Came, Deadline, Pace, RealClock, Tftp};
use shakedown_host::{Tool, warden};
use shakedown_rigs::TftpConf;
use shakedown_rigs::conf::{TftpFolder, TftpServe};
use support::trial;
use tokio_util::sync::CancellationToken;

fn main() {
    warden::serve_if_asked();
    let refused =
        UdpSocket::bind((own_address(72), 69)).is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
    let tests = vec![
        trial("our_own_server_is_there_while_it_is_held", ours).with_ignored_flag(refused),
        trial("files_lie_in_somebody_else_s_folder_while_they_are_held", theirs).with_ignored_flag(refused),
        trial("what_cannot_serve_is_refused_before_anything_is_served", cannot),
    ];
    libtest_mimic::run(&Arguments::from_args(), tests).exit();
}

fn by(name: &str, seconds: u64) -> Deadline {
    let span = Duration::from_secs(seconds);
    Deadline::new(name, span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

/// Two runs of these tests on one host do not meet.
fn own_address(net: u8) -> Ipv4Addr {
    let [.., high, low] = std::process::id().to_be_bytes();
    Ipv4Addr::new(127, net, high, low)
}

fn files() -> Vec<BootFile> {
    let file = |name: &str, length: usize| BootFile {
        name: name.to_owned(),
        bytes: (0..length).map(|at| (at % 251) as u8).collect(),
    };
    vec![file("abc1234/1-Image", 100_000), file("abc1234/2-initrd.img", 512)]
}

/// What curl gets under this name, if anything.
async fn curl(addr: Ipv4Addr, name: &str, place: &Path) -> Option<Vec<u8>> {
    let got = place.join("got");
    drop(std::fs::remove_file(&got));
    let url = format!("tftp://{addr}/{name}");
    let ran = Tool::new("curl").args(["-sS", "-o", got.to_str().unwrap(), &url]).run(&by("curl", 60)).await;
    ran.unwrap().status.success().then(|| std::fs::read(&got).unwrap())
}

async fn ours() {
    let (address, place) = (own_address(70), tempfile::tempdir().unwrap());
    let conf = TftpServe { address, loader: None };
    let tftp: Arc<dyn Tftp> = conf.open((), &by("open", 10)).await.unwrap();
    assert_eq!(tftp.loader(), None);
    let serving = tftp.serve(files(), &by("serve", 10)).await.unwrap();
    for file in files() {
        assert!(curl(address, &file.name, place.path()).await.as_deref() == Some(&*file.bytes));
        // curl ends before its last word has arrived.
        let wait = by("the record", 60);
        loop {
            let fetches = serving.fetches().unwrap();
            let last = fetches.last().unwrap();
            assert!(last.name == file.name && !matches!(last.came, Came::Failed(_)), "{fetches:?}");
            if matches!(last.came, Came::Whole { .. }) {
                break;
            }
            wait.pause(Duration::from_millis(10), || last.to_string()).await.unwrap();
        }
    }
    // A second one on the same address is told who stands in its way.
    let taken = tftp.serve(files(), &by("serve", 10)).await.err().expect("it is taken");
    assert!(taken.to_string().contains(&format!("{address}:69")), "{taken}");
    drop(serving);
    drop(tftp.serve(vec![], &by("serve", 10)).await.unwrap());
}

async fn theirs() {
    let (address, place) = (own_address(71), tempfile::tempdir().unwrap());
    let folder = place.path().join("tftp");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("theirs"), "theirs").unwrap();
    let root = format!("--tftp-root={}", folder.display());
    let words = ["--no-daemon", "--port=0", "--conf-file=/dev/null", "--bind-interfaces", "--enable-tftp"];
    let more = ["--user=root", "--pid-file=", &root, &format!("--listen-address={address}")];
    let server = Tool::new("dnsmasq").args(words).args(more).start().unwrap();
    let wait = by("dnsmasq", 60);
    while curl(address, "theirs", place.path()).await.as_deref() != Some(b"theirs") {
        assert_eq!(server.try_status().unwrap(), None, "{}", server.tail());
        wait.pause(Duration::from_millis(50), || server.tail()).await.unwrap();
    }
    let conf = TftpFolder { address, folder: folder.clone(), loader: None };
    conf.check().unwrap();
    let tftp = conf.open((), &by("open", 10)).await.unwrap();
    let serving = tftp.serve(files(), &by("serve", 10)).await.unwrap();
    assert_eq!(serving.fetches(), None, "nobody knows who took it");
    for file in files() {
        assert!(curl(address, &file.name, place.path()).await.as_deref() == Some(&*file.bytes));
    }
    drop(serving);
    let left: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["theirs"], "only what was put there is taken away");
    assert_eq!(curl(address, "abc1234/1-Image", place.path()).await, None);
    server.kill_group(&by("dnsmasq's end", 30)).await.unwrap();
}

async fn cannot() {
    let nowhere = TftpServe { address: Ipv4Addr::UNSPECIFIED, loader: None }.check().unwrap_err();
    assert_eq!(nowhere.to_string(), "address: `0.0.0.0` is no address that a boot loader can ask");
    let folder =
        |folder: &str| TftpFolder { address: Ipv4Addr::LOCALHOST, folder: folder.into(), loader: None };
    let relative = folder("srv/tftp").check().unwrap_err();
    assert_eq!(relative.to_string(), "folder: `srv/tftp` is no absolute path");
    let missing = folder("/nonexistent/tftp").open((), &by("open", 10)).await.err().expect("none is there");
    assert!(missing.to_string().contains("/nonexistent/tftp"), "{missing}");
    // An address of nobody's here: documentation's own (RFC 5737).
    let elsewhere = TftpServe { address: Ipv4Addr::new(192, 0, 2, 1), loader: None };
    let tftp = elsewhere.open((), &by("open", 10)).await.unwrap();
    let fault = tftp.serve(files(), &by("serve", 10)).await.err().expect("it is not ours");
    assert!(fault.to_string().contains("UDP 192.0.2.1:69"), "{fault}");
}
