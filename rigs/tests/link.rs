//! A DUT on an interface of the rig host: in network namespaces of their own, a veth pair between them, real
//! DHCP servers and multicast DNS on both ends.
//!
//! The test runs itself again in a namespace where it may make interfaces; where it may not, its tests are
//! listed as ignored (root may). The DUT is a namespace further in, held by a program that sleeps.

mod support;

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use libtest_mimic::Arguments;
use shakedown_core::{NetPath, Network, NoFence, RealClock, ShellError, Slot, Unreachable};
use shakedown_rigs::{Given, SlotRequest, Wiring, open};
use support::peers::{PYTHON, Peer, command, output, start};
use support::{Person, board, by, nowhere, trial};

/// Said to the copy of this test that is inside.
const INSIDE: &str = "SHAKEDOWN_TEST_NAMESPACE";

fn main() {
    let inside = std::env::var_os(INSIDE).is_some();
    let may = inside || command(UNSHARE).arg("true").status().is_ok_and(|status| status.success());
    if may && !inside {
        let this = std::env::current_exe().unwrap();
        let mut again = command(UNSHARE);
        again.arg(this).args(std::env::args_os().skip(1)).env(INSIDE, "yes");
        std::process::exit(again.status().unwrap().code().unwrap_or(1));
    }
    if inside {
        // Of this namespace, not of the one that mounted it.
        output(["mount", "-t", "sysfs", "sysfs", "/sys"]);
        output(["mount", "-t", "tmpfs", "tmpfs", "/run"]);
        output(["ip", "link", "set", "lo", "up"]);
    }
    let tests = vec![
        trial("leases_of_dnsmasq_and_the_duts_own_answer_find_it", found),
        trial("leases_of_isc_dhcpd_find_it", dhcpd),
        trial("what_is_the_rigs_is_told_from_what_is_the_duts", dark),
    ];
    let mut arguments = Arguments::from_args();
    // They share the names of interfaces.
    arguments.test_threads = Some(1);
    let tests = tests.into_iter().map(|test| test.with_ignored_flag(!may)).collect();
    libtest_mimic::run(&arguments, tests).exit();
}

/// Avahi and the DHCP servers insist on root.
const UNSHARE: [&str; 4] = ["unshare", "-nm", "--kill-child", "--fork"];

/// Both ends of a cable.
struct Cable {
    dut: Peer,
    folder: tempfile::TempDir,
}

impl Drop for Cable {
    fn drop(&mut self) {
        // One of the tests has done it; the kernel itself takes its time.
        drop(command(["ip", "link", "del", "rig0"]).output());
    }
}

impl Cable {
    /// `rig0` here, `dut0` in a namespace of its own.
    async fn new() -> Self {
        let script = "touch ready; exec sleep infinity";
        let dut = start(tempfile::tempdir().unwrap(), 0, ["unshare", "-n", "sh", "-c", script]);
        let ready = dut.folder.path().join("ready");
        let dut = dut.made(&ready).await;
        let pid = dut.pid().to_string();
        output(["ip", "link", "add", "rig0", "type", "veth", "peer", "name", "dut0", "netns", &pid]);
        output(["ip", "address", "add", "10.77.0.1/24", "dev", "rig0"]);
        output(["ip", "link", "set", "rig0", "up"]);
        let this = Self { dut, folder: tempfile::tempdir().unwrap() };
        this.on_dut(["ip", "link", "set", "lo", "up"]);
        this
    }

    fn inside<'a>(&self, argv: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let enter = ["nsenter".to_owned(), "-n".to_owned(), "-t".to_owned(), self.dut.pid().to_string()];
        enter.into_iter().chain(argv.into_iter().map(str::to_owned)).collect()
    }

    fn on_dut<'a>(&self, argv: impl IntoIterator<Item = &'a str>) -> String {
        output(self.inside(argv))
    }

    fn start_on_dut<'a>(&self, argv: impl IntoIterator<Item = &'a str>) -> Peer {
        start(tempfile::tempdir().unwrap(), 0, self.inside(argv))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The DUT asks for an address, under this name, and configures it.
    fn ask_for_address(&self, name: &str) {
        let script = "#!/bin/sh\n[ \"$1\" = bound ] || exit 0\nip address flush dev dut0 scope global\n\
                      exec ip address add \"$ip/24\" dev dut0\n";
        let script = self.file("configure", script);
        output(["chmod", "+x", script.to_str().unwrap()]);
        self.on_dut(["ip", "link", "set", "dut0", "up"]);
        let name = format!("hostname:{name}");
        let script = script.to_str().unwrap();
        self.on_dut([
            "busybox", "udhcpc", "-i", "dut0", "-q", "-n", "-t", "20", "-T", "1", "-x", &name, "-s", script,
        ]);
    }

    fn mac(&self) -> String {
        let said = self.on_dut(["ip", "-o", "link", "show", "dut0"]);
        said.split_once("link/ether ").unwrap().1.split(' ').next().unwrap().to_owned()
    }

    async fn slot(&self, link: &str) -> Slot {
        let text = format!(
            "consoles: {{ main: {{ command: {{ run: [cat] }} }} }}\nnetwork: {{ link: {{ interface: rig0, {link} }} }}\n"
        );
        let wiring: Wiring = shakedown_conf::load(&shakedown_conf::Document::new("rig.yaml", &text))
            .unwrap_or_else(|error| panic!("{error:#}"))
            .value;
        let request = SlotRequest {
            id: "desk/test".into(),
            board: board(),
            folder: self.folder.path().join("slot"),
            clock: RealClock::start(),
            sink: nowhere(),
            fence: Arc::new(NoFence),
            operator: Person::with(Vec::new()),
            safe_by: None,
            given: Given::default(),
        };
        open(&wiring, request, &by(Duration::from_secs(10))).await.unwrap()
    }
}

async fn address(network: &dyn Network) -> Result<IpAddr, ShellError> {
    network.tcp(22, &by(Duration::from_secs(20))).await.map(|addr: SocketAddr| addr.ip())
}

/// What the DUT did not do.
async fn unreachable(network: &dyn Network) -> String {
    match address(network).await {
        Err(ShellError::Dut(Unreachable::NoRoute(why))) => why,
        other => panic!("{other:?}"),
    }
}

async fn rigs_fault(network: &dyn Network) -> String {
    let path = network.path(22, &by(Duration::from_secs(20))).await;
    let look = network.look(&by(Duration::from_secs(20))).await;
    match (path, address(network).await) {
        (NetPath::RigDown(why), Err(ShellError::Rig(fault))) => {
            assert_eq!(why, fault.to_string());
            assert_eq!(look, Err(fault), "the doctor sees it too");
            why
        }
        other => panic!("{other:?}"),
    }
}

fn written(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// Avahi under this name, as an OS runs it.
async fn avahi(cable: &Cable, name: &str) -> Peer {
    let conf = format!(
        "[server]\nhost-name={name}\nallow-interfaces=dut0\nenable-dbus=no\nuse-ipv6=yes\n[publish]\npublish-workstation=no\n"
    );
    let conf = cable.file("avahi.conf", &conf);
    let argv = [
        "/usr/sbin/avahi-daemon",
        "--no-drop-root",
        "--no-chroot",
        "--no-rlimits",
        "-f",
        conf.to_str().unwrap(),
    ];
    let peer = cable.start_on_dut(argv);
    let up = by(Duration::from_secs(30));
    while !peer.log().contains("Server startup complete") {
        up.pause(Duration::from_millis(20), || peer.log()).await.unwrap();
    }
    peer
}

async fn found() {
    let cable = Cable::new().await;
    let leases = cable.folder.path().join("dnsmasq.leases");
    let file = format!("--dhcp-leasefile={}", leases.display());
    let range = "--dhcp-range=10.77.0.50,10.77.0.60,1h";
    let argv = [
        "/usr/sbin/dnsmasq",
        // Stays in front, and stays who it is.
        "-d",
        "-C",
        "/dev/null",
        "--port=0",
        "-i",
        "rig0",
        range,
        &file,
    ];
    let server = start(
        tempfile::tempdir().unwrap(),
        0,
        argv.iter().copied().chain(["--dhcp-authoritative", "--no-ping"]),
    );
    let both = cable.slot(&format!("leases: {}", leases.display())).await;
    let network = both.network.as_ref().unwrap();
    let server = server.made(&leases).await;

    cable.on_dut(["ip", "link", "set", "dut0", "up"]);
    // Nobody has said yet how the DUT is called.
    let nameless = address(network.as_ref()).await.unwrap_err();
    let ShellError::Rig(fault) = nameless else { panic!("{nameless:?}") };
    assert_eq!(fault.got, "none: no run has named the DUT");
    assert_eq!(network.look(&by(Duration::from_secs(5))).await.unwrap(), "rig0 is up, with a carrier");

    network.named("abc1234");
    assert_eq!(unreachable(network.as_ref()).await, "no lease and no answer for abc1234.local on rig0");
    cable.ask_for_address("abc1234");
    let first =
        address(network.as_ref()).await.unwrap_or_else(|error| panic!("{error}: {}", written(&leases)));
    assert!(written(&leases).contains(&format!("{} {first} abc1234", cable.mac())), "{}", written(&leases));
    assert!(cable.on_dut(["ip", "-4", "-o", "address"]).contains(&format!(" {first}/24 ")));
    // By its hardware address, where no run gave it a name.
    let by_mac = cable.slot(&format!("leases: {}, mac: '{}'", leases.display(), cable.mac())).await;
    assert_eq!(address(by_mac.network.as_ref().unwrap().as_ref()).await.unwrap(), first);
    // Another name is another system, and a name that it had before is still its.
    let other = cable.slot(&format!("leases: {}, hostname: board", leases.display())).await;
    let other = other.network.as_ref().unwrap();
    assert_eq!(unreachable(other.as_ref()).await, "no lease and no answer for board.local on rig0");
    other.named("def5678");
    let none = "no lease and no answer for def5678.local on rig0";
    assert_eq!(unreachable(other.as_ref()).await, none);
    network.named("abc1234-b");
    assert_eq!(address(network.as_ref()).await.unwrap(), first);

    // It comes back under another address: what was found before is not given out again.
    cable.on_dut(["ip", "link", "set", "dut0", "down"]);
    cable.on_dut(["ip", "link", "set", "dut0", "address", "52:54:00:00:00:77"]);
    cable.ask_for_address("abc1234");
    let second = address(network.as_ref()).await.unwrap();
    assert_ne!(second, first);
    assert!(cable.on_dut(["ip", "-4", "-o", "address"]).contains(&format!(" {second}/24 ")));
    drop(server);

    // Without any lease, it answers for itself; each time anew.
    let alone = cable.slot("direct: true").await;
    let network = alone.network.as_ref().unwrap();
    network.named("abc1234");
    let silent = unreachable(network.as_ref()).await;
    assert_eq!(silent, "no answer for abc1234.local on rig0");
    network.named("abc1234-b");
    let daemon = avahi(&cable, "abc1234").await;
    assert_eq!(address(network.as_ref()).await.unwrap(), second, "{}", daemon.log());
    // A server there, and none.
    let port = Duration::from_secs(20);
    assert_eq!(network.path(22, &by(port)).await, NetPath::Refused);
    let greet = "import socket; s = socket.create_server(('', 22)); open('ready', 'w')\nwhile 1: s.accept()[0].sendall(b'SSH-2.0-x\\r\\n')";
    let ssh = cable.start_on_dut([PYTHON, "-c", greet]);
    let ready = ssh.folder.path().join("ready");
    let _ssh = ssh.made(&ready).await;
    assert_eq!(network.path(22, &by(port)).await, NetPath::Speaks);
    drop(daemon);
    cable.on_dut(["ip", "address", "flush", "dev", "dut0", "scope", "global"]);
    let silent = "no answer for abc1234.local or abc1234-b.local on rig0";
    assert_eq!(unreachable(network.as_ref()).await, silent, "an address from before");
    // With nothing but what every interface has: reached, because it is said on which.
    let _daemon = avahi(&cable, "abc1234").await;
    let local = network.tcp(22, &by(port)).await.unwrap();
    assert!(matches!(local, SocketAddr::V6(v6) if v6.scope_id() != 0), "{local}");
    assert_eq!(network.path(22, &by(port)).await, NetPath::Refused, "it listens for IPv4 alone");
}

async fn dhcpd() {
    let cable = Cable::new().await;
    let conf = cable.file(
        "dhcpd.conf",
        "subnet 10.77.0.0 netmask 255.255.255.0 { range 10.77.0.50 10.77.0.60; }\nauthoritative;\n",
    );
    let leases = cable.file("dhcpd.leases", "");
    let (conf, file) = (conf.to_str().unwrap(), leases.to_str().unwrap());
    cable.on_dut(["ip", "link", "set", "dut0", "up"]);
    let server = start(
        tempfile::tempdir().unwrap(),
        0,
        ["/usr/sbin/dhcpd", "-4", "-f", "-cf", conf, "-lf", file, "-pf", "pid", "rig0"],
    );
    let slot = cable.slot(&format!("leases: {file}")).await;
    let network = slot.network.as_ref().unwrap();
    network.named("abc1234");
    cable.ask_for_address("abc1234");
    let got = address(network.as_ref())
        .await
        .unwrap_or_else(|error| panic!("{error}: {} {}", written(&leases), server.log()));
    assert!(cable.on_dut(["ip", "-4", "-o", "address"]).contains(&format!(" {got}/24 ")));
    let other = cable.slot(&format!("leases: {file}, hostname: def5678")).await;
    unreachable(other.network.as_ref().unwrap().as_ref()).await;
}

async fn dark() {
    let cable = Cable::new().await;
    let [switched, direct] =
        [cable.slot("hostname: board").await, cable.slot("hostname: board, direct: true").await];
    let [switched, direct] = [&switched, &direct].map(|slot| slot.network.clone().unwrap());
    // The DUT's end is still down: no carrier.
    let says = "link: cannot use rig0: expected a carrier, got none: the cable, or the switch behind it";
    assert_eq!(rigs_fault(switched.as_ref()).await, says);
    assert_eq!(unreachable(direct.as_ref()).await, "rig0 has no carrier");
    assert_eq!(
        direct.look(&by(Duration::from_secs(5))).await.unwrap(),
        "rig0 is up, and dark, as its DUT is"
    );
    cable.on_dut(["ip", "link", "set", "dut0", "up"]);
    let silent = "no answer for board.local on rig0";
    assert_eq!(unreachable(switched.as_ref()).await, silent);
    assert_eq!(switched.path(22, &by(Duration::from_secs(20))).await, NetPath::Silent);
    assert_eq!(unreachable(direct.as_ref()).await, silent);
    let no_leases =
        cable.slot(&format!("hostname: board, leases: {}/none", cable.folder.path().display())).await;
    let fault = rigs_fault(no_leases.network.as_ref().unwrap().as_ref()).await;
    assert!(fault.contains("expected leases of dnsmasq or ISC dhcpd, got No such file"), "{fault}");
    output(["ip", "address", "flush", "dev", "rig0"]);
    let fault = rigs_fault(direct.as_ref()).await;
    assert!(fault.contains("got one without an address: "), "{fault}");
    output(["ip", "link", "set", "rig0", "down"]);
    for network in [&switched, &direct] {
        let fault = rigs_fault(network.as_ref()).await;
        assert!(fault.ends_with("got one that is down: `ip link set rig0 up`"), "{fault}");
    }
    output(["ip", "link", "del", "rig0"]);
    let fault = rigs_fault(direct.as_ref()).await;
    assert!(fault.ends_with("got none: this host has no rig0 (it has lo)"), "{fault}");
}
