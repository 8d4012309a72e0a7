//! A real OpenSSH server for the tests, and deadlines.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use shakedown_core::{Deadline, NetPath, Pace, RealClock, ShellError, SshTarget, Unreachable};
use shakedown_host::{Child, KeyPair, Tool, ssh};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

/// A deadline on the real clock.
pub(crate) fn within(seconds: f64, name: &str) -> Deadline {
    let span = Duration::from_secs_f64(seconds);
    Deadline::new(name, span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

/// What a real tool prints; a missing tool fails the test with what to install.
pub(crate) async fn tool(program: &str, package: &str, args: &[&str]) -> String {
    let ran = Tool::new(program).package(package).args(args).run_ok(&within(20.0, program)).await;
    ran.unwrap_or_else(|fault| panic!("{fault}; {}", fault.hint.clone().unwrap_or_default())).text()
}

/// A running sshd of Debian's openssh-server.
pub(crate) struct Sshd {
    pub(crate) child: Child,
    pub(crate) addr: SocketAddr,
    pub(crate) key: KeyPair,
    pub(crate) fingerprint: String,
    pub(crate) dir: TempDir,
}

impl Sshd {
    /// Starts it with a host key of this kind and these further lines of configuration.
    pub(crate) async fn start(kind: &str, more: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let path = |name: &str| dir.path().join(name).display().to_string();
        let key = KeyPair::generate().expect("a key");
        std::fs::write(path("authorized"), &key.public).expect("the authorized key");
        let host_key = path("host-key");
        tool("ssh-keygen", "openssh-client", &["-q", "-t", kind, "-N", "", "-f", &host_key]).await;
        let shown = tool("ssh-keygen", "openssh-client", &["-l", "-f", &host_key]).await;
        let fingerprint = shown.split_ascii_whitespace().nth(1).expect("a fingerprint").to_owned();
        if rustix::process::getuid().is_root() && !Path::new("/run/sshd").exists() {
            std::fs::DirBuilder::new().mode(0o755).create("/run/sshd").expect("the directory of sshd");
        }
        let addr = free_port();
        let config = format!(
            "ListenAddress {addr}\nHostKey {host_key}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PidFile none\nPermitRootLogin yes\nSetEnv HOME={}\nLogLevel VERBOSE\n{more}\n",
            path("authorized"),
            // Else the shell reads the start files of whoever runs the test.
            dir.path().display(),
        );
        std::fs::write(path("config"), config).expect("the configuration");
        let server =
            Tool::new("/usr/sbin/sshd").package("openssh-server").args(["-D", "-e", "-f", &path("config")]);
        let child = server.start().unwrap_or_else(|fault| {
            panic!("{fault}: {}", fault.hint.clone().unwrap_or_default());
        });
        let by = within(10.0, "sshd");
        while ssh::path(addr, &by).await != NetPath::Speaks {
            let seen = || child.tail();
            assert!(child.epitaph().is_none(), "{:?}", child.epitaph());
            by.pause(Duration::from_millis(10), seen).await.expect("sshd listens");
        }
        Self { child, addr, key, fingerprint, dir }
    }

    /// Our login on it, with the right host key pinned.
    pub(crate) fn target(&self) -> SshTarget {
        let user =
            std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "root".into());
        SshTarget {
            addr: self.addr,
            user,
            key: self.key.private.clone(),
            host_key: Some(self.fingerprint.clone()),
        }
    }
}

/// A loopback port on which nobody listens.
pub(crate) fn free_port() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("its address")
}

/// What the DUT did, where it let nobody in.
pub(crate) fn unreachable<T>(result: Result<T, ShellError>) -> Unreachable {
    match result {
        Err(ShellError::Dut(unreachable)) => unreachable,
        Err(ShellError::Rig(fault)) => panic!("a fault of the rig: {fault}"),
        Ok(_) => panic!("it was let in"),
    }
}

/// A server that does one thing to whoever connects, and then keeps the connection open.
pub(crate) fn server(greet: impl Fn(&mut TcpStream) + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let addr = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            greet(&mut stream);
            kept.push(stream);
        }
    });
    addr
}

/// A port whose queue is full: the kernel drops what else wants to connect, without an answer.
pub(crate) fn full_queue() -> (OwnedFd, SocketAddr, Vec<OwnedFd>) {
    use rustix::io::Errno;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, listen, socket_with};
    let open = || socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::NONBLOCK, None).unwrap();
    let (listener, addr) = (open(), free_port());
    bind(&listener, &addr).unwrap();
    listen(&listener, 0).unwrap();
    let waiting =
        (0..4).map(|_| open()).inspect(|fd| assert_eq!(connect(fd, &addr), Err(Errno::INPROGRESS))).collect();
    (listener, addr, waiting)
}
