//! OpenSSH's server, for whatever stands in for a DUT.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;

use shakedown_host::Tool;

use super::keeper::until;
use super::{Place, by};

/// A server's settings and where it will listen. Started with `/usr/sbin/sshd -D -e -f CONFIG`.
pub(crate) async fn configured(place: &Place, authorized: &str, more: &str) -> (PathBuf, SocketAddr) {
    let host_key = place.path("sshd/host-key").display().to_string();
    place.file("sshd/made", "");
    let made = Tool::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f", &host_key]);
    made.run_ok(&by("ssh-keygen", 60)).await.unwrap();
    if rustix::process::getuid().is_root() {
        std::fs::create_dir_all("/run/sshd").unwrap();
    }
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "ListenAddress {free}\nHostKey {host_key}\nAuthorizedKeysFile {authorized}\nStrictModes no\nUsePAM no\n\
         PidFile none\nPermitRootLogin yes\n{more}"
    );
    (place.file("sshd/config", config), free)
}

/// Waits until it listens.
pub(crate) async fn listens(at: SocketAddr) {
    until("sshd to listen", 30, || TcpStream::connect(at).is_ok()).await;
}

/// Who may log in: whoever runs the test.
pub(crate) fn user() -> String {
    std::env::var("USER").ok().filter(|name| !name.is_empty()).unwrap_or_else(|| "root".into())
}
