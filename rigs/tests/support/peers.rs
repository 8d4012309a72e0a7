//! The counterparts, as others wrote them, started and ended by the tests.
//!
//! From Debian: `snmpd`, `snmp`, `mosquitto`, `mosquitto-clients`, `python3-paho-mqtt`, `lighttpd`, `pdudaemon`, `python3-pymodbus`, `socat`.
//! With `python3-serial-asyncio`, which Debian's pymodbus needs and does not name.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::by;

/// A program that runs as long as this is held, in a folder of its own.
pub(crate) struct Peer {
    child: Child,
    pub(crate) folder: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Drop for Peer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the counterparts' own files lie.
pub(crate) fn script(name: &str) -> String {
    format!("{}/tests/peers/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A TCP port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// The secret of every counterpart; found in a fault or a file, it has leaked.
pub(crate) const CANARY: &str = "canary-hunter2";

/// The distribution's Python, for it has the distribution's packages.
pub(crate) const PYTHON: &str = "/usr/bin/python3";

/// A command that dies with the thread that started it, however that ends.
#[expect(clippy::disallowed_methods, reason = "counterparts that others wrote; only tests start them")]
pub(crate) fn command<S: AsRef<std::ffi::OsStr>>(argv: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).args(argv);
    command
}

/// A program's output; it must succeed.
pub(crate) fn output<S: AsRef<std::ffi::OsStr>>(argv: impl IntoIterator<Item = S>) -> String {
    let mut command = command(argv);
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command:?}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Starts a program in a folder; its words go to `log` there.
pub(crate) fn start<S: AsRef<std::ffi::OsStr>>(
    folder: tempfile::TempDir,
    port: u16,
    argv: impl IntoIterator<Item = S>,
) -> Peer {
    let log = std::fs::File::create(folder.path().join("log")).unwrap();
    let mut command = command(argv);
    command.current_dir(folder.path()).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log);
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Peer { child, folder, port }
}

impl Peer {
    /// Ends it, as a pulled plug does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it said.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Waits until somebody listens on its TCP port.
    pub(crate) async fn listening(mut self) -> Self {
        let wait = by(Duration::from_secs(60));
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}: {}", self.log());
            let seen = || format!("nobody listens on port {}: {}", self.port, self.log());
            wait.pause(Duration::from_millis(20), seen).await.unwrap();
        }
        self
    }

    /// Waits until a file or link is there.
    pub(crate) async fn made(mut self, path: &Path) -> Self {
        let wait = by(Duration::from_secs(60));
        while !path.exists() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "it ended: {ended:?}: {}", self.log());
            wait.pause(Duration::from_millis(10), || self.log()).await.unwrap();
        }
        self
    }
}

/// Debian's lighttpd in front of the models of web relays.
pub(crate) struct Web {
    _models: Peer,
    server: Peer,
    pub(crate) port: u16,
}

impl Web {
    pub(crate) fn folder(&self) -> &Path {
        self.server.folder.path()
    }
}

/// `/rpc` and `/switch/` ask for a digest login, `/lab/rpc`, which is `/rpc` behind a prefix, for one in two lines
/// of which the first cannot be met, `/restapi/` for one with SHA-256, `/netio.json`
/// for a basic one.
pub(crate) async fn web() -> Web {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().display().to_string();
    let states = folder.path().join("state");
    std::fs::create_dir(&states).unwrap();
    let behind = free_port();
    let argv = [PYTHON.into(), script("http_device.py"), behind.to_string(), states.display().to_string()];
    let models = start(tempfile::tempdir().unwrap(), behind, argv).listening().await;
    std::fs::write(folder.path().join("users"), "admin:canary-hunter2\n").unwrap();
    let login = |prefix: &str, method: &str, algorithm: &str| {
        format!(
            "\"{prefix}\" => (\"method\" => \"{method}\", \"algorithm\" => \"{algorithm}\", \
             \"realm\" => \"relay\", \"require\" => \"valid-user\"),\n"
        )
    };
    let port = free_port();
    let conf = [
        format!("server.document-root = \"{here}\"\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\n"),
        "server.modules = (\"mod_auth\", \"mod_authn_file\", \"mod_proxy\")\n".into(),
        "proxy.header = (\"map-urlpath\" => (\"/lab/\" => \"/\"))\n".into(),
        format!("proxy.server = (\"\" => ((\"host\" => \"127.0.0.1\", \"port\" => {behind})))\n"),
        format!(
            "auth.backend = \"plain\"\nauth.backend.plain.userfile = \"{here}/users\"\nauth.require = (\n"
        ),
        login("/rpc", "digest", "MD5"),
        login("/lab/rpc", "digest", "SHA-512-256|MD5"),
        login("/switch/", "digest", "MD5"),
        login("/restapi/", "digest", "SHA-256"),
        login("/netio.json", "basic", "MD5"),
        ")\n".into(),
    ];
    std::fs::write(folder.path().join("lighttpd.conf"), conf.concat()).unwrap();
    let server = start(folder, port, ["lighttpd", "-D", "-f", "lighttpd.conf"]).listening().await;
    Web { _models: models, server, port }
}

/// pymodbus's server; with `rtu`, frames as on a serial line.
pub(crate) async fn modbus(kind: &str) -> Peer {
    let port = free_port();
    let argv = [PYTHON.to_owned(), script("modbus_server.py"), kind.to_owned(), port.to_string()];
    start(tempfile::tempdir().unwrap(), port, argv).listening().await
}

/// The model of a relay board; what it was sent is in `sent`.
pub(crate) async fn relay_board() -> Peer {
    let port = free_port();
    let argv = [PYTHON.to_owned(), script("serial_relay.py"), port.to_string(), "sent".to_owned()];
    start(tempfile::tempdir().unwrap(), port, argv).listening().await
}

/// A serial port: a terminal whose other end is a TCP port, by socat.
pub(crate) struct Tty {
    _socat: Peer,
    // The port is there as long as somebody has it open, as a chip's is while it is plugged in.
    _held: std::fs::File,
    pub(crate) path: PathBuf,
}

pub(crate) async fn serial_to(port: u16) -> Tty {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tty");
    let argv = [
        "socat".to_owned(),
        format!("PTY,link={},raw,echo=0", path.display()),
        format!("TCP:127.0.0.1:{port}"),
    ];
    let socat = start(folder, port, argv).made(&path).await;
    let held = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    Tty { _socat: socat, _held: held, path }
}

/// Debian's pdudaemon with these PDUs (the inside of its JSON object).
pub(crate) async fn pdudaemon(pdus: &str) -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let conf = format!(
        "{{\"daemon\": {{\"hostname\": \"127.0.0.1\", \"port\": {port}, \"dbname\": \"{}/db\", \
         \"logging_level\": \"DEBUG\", \"listener\": \"http\"}}, \"pdus\": {{{pdus}}}}}",
        folder.path().display()
    );
    std::fs::write(folder.path().join("conf"), conf).unwrap();
    start(folder, port, ["pdudaemon", "--conf", "conf", "--listener", "http"]).listening().await
}

/// Debian's snmpd with the tables of PDUs: the state of outlet N is in `state/N`.
pub(crate) async fn snmp() -> Peer {
    let folder = tempfile::tempdir().unwrap();
    // A UDP port; nobody else on this machine takes the one that the system gave.
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    drop(socket);
    let states = folder.path().join("state");
    std::fs::create_dir(&states).unwrap();
    let trees = ["4.1.318", "4.1.534", "4.1.13742", "4.1.1718", "4.1.3808", "2.1.105"];
    let table = |tree: &str| {
        format!("pass_persist .1.3.6.1.{tree} {PYTHON} {} {}\n", script("snmp_table.py"), states.display())
    };
    let conf = [
        format!("agentaddress udp:127.0.0.1:{port}\nrocommunity canary-read 127.0.0.1\n"),
        "rwcommunity canary-hunter2 127.0.0.1\n".into(),
        "createUser admin SHA-256 canary-hunter2 AES canary-hunter2\nrwuser admin priv\n".into(),
        "createUser signer SHA canary-hunter2\nrwuser signer auth\n".into(),
        trees.map(table).concat(),
    ];
    std::fs::write(folder.path().join("conf"), conf.concat()).unwrap();
    let argv = ["snmpd", "-f", "-Lo", "-C", "-c", "conf", "-p", "pid", "-I", "-smux"];
    let here = folder.path().to_owned();
    let mut environment: Vec<String> = vec!["env".into(), "MIBS=".into()];
    environment.push(format!("SNMP_PERSISTENT_DIR={}", here.display()));
    environment.extend(argv.map(str::to_owned));
    start(folder, port, environment).made(&here.join("pid")).await
}

/// Debian's mosquitto, which lets in `plug` and `admin`.
pub(crate) async fn mosquitto() -> Peer {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let users = folder.path().join("users");
    let file = users.display().to_string();
    output(["mosquitto_passwd", "-b", "-c", &file, "plug", CANARY]);
    output(["mosquitto_passwd", "-b", &file, "admin", CANARY]);
    // Started as root it becomes the user `mosquitto`, who may not look into our folder.
    let conf = format!(
        "user root\nlistener {port} 127.0.0.1\nallow_anonymous false\npassword_file {file}\npersistence false\n"
    );
    std::fs::write(folder.path().join("conf"), conf).unwrap();
    start(folder, port, ["mosquitto", "-c", "conf"]).listening().await
}

/// The model of a plug on that broker, once the broker calls it online.
pub(crate) fn plug(broker: &Peer, topic: &str) -> Peer {
    let argv =
        [PYTHON.to_owned(), script("tasmota_mqtt.py"), broker.port.to_string(), topic.into(), CANARY.into()];
    let plug = start(tempfile::tempdir().unwrap(), broker.port, argv);
    let (port, topic) = (broker.port.to_string(), format!("tele/{topic}/LWT"));
    let said = output([
        "mosquitto_sub",
        "-p",
        &port,
        "-u",
        "admin",
        "-P",
        CANARY,
        "-t",
        &topic,
        "-C",
        "1",
        "-W",
        "60",
    ]);
    assert_eq!(said, "Online\n", "{}", plug.log());
    plug
}
