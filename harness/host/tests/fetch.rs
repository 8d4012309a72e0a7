//! Downloads from servers that others wrote, lighttpd and Python's, some of them over a line that is cut.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use shakedown_core::{Deadline, Pace, RealClock, Sha};
use shakedown_host::fetch::{FetchError, Fetched, Sum, Wanted, fetch};
use shakedown_host::{Child, Tool};
use tokio_util::sync::CancellationToken;

const CANARY: &str = "canary-hunter2";

fn by(seconds: u64) -> Deadline {
    let span = Duration::from_secs(seconds);
    Deadline::new("the file", span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A server that runs as long as this is held.
struct Server {
    _child: Child,
    folder: tempfile::TempDir,
    port: u16,
}

impl Server {
    async fn start(folder: tempfile::TempDir, port: u16, tool: Tool) -> Self {
        let child = tool.dir(folder.path()).start().unwrap();
        let wait = by(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert_eq!(child.try_status().unwrap(), None, "{}", child.tail());
            wait.pause(Duration::from_millis(20), || child.tail()).await.unwrap();
        }
        Self { _child: child, folder, port }
    }

    /// Debian's lighttpd: it knows ranges, and `/closed/` asks for a login.
    async fn lighttpd() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let here = folder.path().display().to_string();
        std::fs::write(folder.path().join("users"), format!("ci:{CANARY}\n")).unwrap();
        std::fs::create_dir_all(folder.path().join("www/closed")).unwrap();
        let conf = format!(
            "server.document-root = \"{here}/www\"\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\n\
             server.modules = (\"mod_auth\", \"mod_authn_file\")\n\
             auth.backend = \"plain\"\nauth.backend.plain.userfile = \"{here}/users\"\n\
             auth.require = (\"/closed/\" => (\"method\" => \"basic\", \"realm\" => \"builds\", \"require\" => \"valid-user\"))\n"
        );
        std::fs::write(folder.path().join("lighttpd.conf"), conf).unwrap();
        Self::start(folder, port, Tool::new("lighttpd").args(["-D", "-f", "lighttpd.conf"])).await
    }

    /// Python's own: it knows no ranges, and sends a file from its start.
    async fn python() -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        std::fs::create_dir_all(folder.path().join("www")).unwrap();
        let port_word = port.to_string();
        let args = ["-m", "http.server", &port_word, "--bind", "127.0.0.1", "--directory", "www"];
        Self::start(folder, port, Tool::new("/usr/bin/python3").args(args)).await
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.folder.path().join("www").join(name), bytes).unwrap();
    }
}

/// A line to a port that is cut after so many bytes of each answer, for the first `cuts` connections.
/// The connections that were made are counted.
fn cut_line(to: u16, after: usize, cuts: u32) -> (u16, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let made = Arc::new(AtomicU32::new(0));
    let count = made.clone();
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let left = if count.fetch_add(1, Ordering::SeqCst) < cuts { after } else { usize::MAX };
            std::thread::spawn(move || carry(&client, to, left));
        }
    });
    (port, made)
}

fn carry(mut client: &TcpStream, to: u16, mut left: usize) {
    let mut server = TcpStream::connect(("127.0.0.1", to)).unwrap();
    let (mut asks, mut asked) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    std::thread::spawn(move || std::io::copy(&mut asks, &mut asked));
    let mut piece = [0; 1 << 14];
    while left > 0 {
        let Ok(count @ 1..) = server.read(&mut piece) else { break };
        let count = count.min(left);
        if client.write_all(&piece[..count]).is_err() {
            break;
        }
        left -= count;
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Bytes that differ from place to place.
fn bytes(length: usize) -> Vec<u8> {
    let mut random = 0x2545_F491_u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

fn wanted(port: u16, path: &str, sum: Sum) -> Wanted {
    let url = format!("http://127.0.0.1:{port}/{path}");
    Wanted { url, sum, authorization: None, idle: Duration::from_secs(60) }
}

async fn get(wanted: &Wanted, cache: &Path) -> Result<Fetched, FetchError> {
    fetch(wanted, cache, &by(300)).await
}

/// Files that lie in the cache, apart from locks.
fn kept(cache: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_none_or(|end| end != "lock") {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_file_is_fetched_once_and_kept_by_its_hash() {
    let (server, cache) = (Server::lighttpd().await, tempfile::tempdir().unwrap());
    let image = bytes(300_000);
    let sha = Sha::of(&image);
    server.put("os-1.2.img", &image);
    let by_hash = wanted(server.port, "os-1.2.img", Sum::Known(sha));
    // Two at once, and one later: one download.
    let (one, two) = tokio::join!(get(&by_hash, cache.path()), get(&by_hash, cache.path()));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.connections + two.connections, 1, "{one:?} {two:?}");
    assert_eq!((&one.path, one.sha256), (&cache.path().join(sha.to_string()).join("os-1.2.img"), sha));
    assert_eq!(std::fs::read(&one.path).unwrap(), image);
    // A list beside it says the hash: alone, or among others.
    let url = |name: &str| format!("http://127.0.0.1:{}/{name}", server.port);
    server.put("os-1.2.img.sha256", format!("{sha}\n").as_bytes());
    server.put("SHA256SUMS", format!("{} *os-1.1.img\n{sha} *os-1.2.img\n", Sha::of(b"1.1")).as_bytes());
    for list in ["os-1.2.img.sha256", "SHA256SUMS"] {
        let wanted = wanted(server.port, "os-1.2.img", Sum::Listed(url(list)));
        let again = get(&wanted, cache.path()).await.unwrap();
        assert_eq!((again.sha256, again.connections), (sha, 0), "{list}");
    }
    // What is here needs no server.
    drop(server);
    assert_eq!(get(&by_hash, cache.path()).await.unwrap().connections, 0);
}

#[tokio::test]
async fn a_connection_that_was_cut_is_taken_up_or_begun_anew() {
    let image = bytes(1_000_000);
    let sha = Sha::of(&image);
    let (ranges, none) = (Server::lighttpd().await, Server::python().await);
    for server in [&ranges, &none] {
        server.put("os.img", &image);
    }
    let cache = tempfile::tempdir().unwrap();
    // Each connection ends after 300,000 bytes: with ranges, the fourth one brings the rest.
    let (port, made) = cut_line(ranges.port, 300_000, u32::MAX);
    let resumed = get(&wanted(port, "os.img", Sum::Known(sha)), cache.path()).await.unwrap();
    assert_eq!((resumed.connections, made.load(Ordering::SeqCst)), (4, 4));
    assert_eq!(std::fs::read(&resumed.path).unwrap(), image);
    // Without ranges, the one that is not cut brings all of it.
    let cache = tempfile::tempdir().unwrap();
    let (port, _) = cut_line(none.port, 300_000, 1);
    let anew = get(&wanted(port, "os.img", Sum::Known(sha)), cache.path()).await.unwrap();
    assert_eq!((anew.connections, std::fs::read(&anew.path).unwrap() == image), (2, true));
    // One that always ends at the same place is told, and is no endless loop.
    let cache = tempfile::tempdir().unwrap();
    let (port, made) = cut_line(none.port, 300_000, u32::MAX);
    let error = get(&wanted(port, "os.img", Sum::Known(sha)), cache.path()).await.unwrap_err();
    let FetchError::Short { expected: 1_000_000, got, .. } = error else { panic!("{error:?}") };
    assert!((1..300_000).contains(&got) && error.is_passing(), "{error}");
    assert!(made.load(Ordering::SeqCst) <= 3, "{made:?}");
    // The next life goes on where this one ended, over the server that knows ranges.
    let part = kept(cache.path()).pop().unwrap();
    let other = cache
        .path()
        .join("parts")
        .join(Sha::of(format!("http://127.0.0.1:{}/os.img {sha}", ranges.port).as_bytes()).to_string());
    std::fs::rename(part, &other).unwrap();
    let (port, made) = cut_line(ranges.port, 750_000, u32::MAX);
    let moved = cache
        .path()
        .join("parts")
        .join(Sha::of(format!("http://127.0.0.1:{port}/os.img {sha}").as_bytes()).to_string());
    std::fs::rename(other, moved).unwrap();
    let rest = get(&wanted(port, "os.img", Sum::Known(sha)), cache.path()).await.unwrap();
    assert_eq!((rest.connections, made.load(Ordering::SeqCst)), (1, 1), "the rest fits into one");
    // What is left of another file is found out, and does not end it.
    let cache = tempfile::tempdir().unwrap();
    let url = format!("http://127.0.0.1:{}/os.img", ranges.port);
    std::fs::create_dir(cache.path().join("parts")).unwrap();
    let part = cache.path().join("parts").join(Sha::of(format!("{url} {sha}").as_bytes()).to_string());
    std::fs::write(part, bytes(2_000)[1_000..].repeat(3)).unwrap();
    let healed = get(&wanted(ranges.port, "os.img", Sum::Known(sha)), cache.path()).await.unwrap();
    assert_eq!(std::fs::read(healed.path).unwrap(), image);
}

#[tokio::test]
async fn what_is_not_the_file_is_told_and_nothing_of_it_is_kept() {
    let (server, cache) = (Server::lighttpd().await, tempfile::tempdir().unwrap());
    let sha = Sha::of(b"the image");
    server.put("os.img", b"another image");
    server.put("os.img.sha256", b"<html>sign in</html>");
    server.put("closed/os.img", b"the image");
    let known = Sum::Known(sha);
    let error = get(&wanted(server.port, "none.img", known.clone()), cache.path()).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::Status { status: 404, says, .. } if says.starts_with('<')),
        "{error}"
    );
    let error = get(&wanted(server.port, "os.img", known.clone()), cache.path()).await.unwrap_err();
    let other = Sha::of(b"another image");
    assert!(
        matches!(&error, FetchError::WrongHash { expected, got, .. } if (*expected, *got) == (sha, other))
    );
    assert!(!error.is_passing());
    let list = Sum::Listed(format!("http://127.0.0.1:{}/os.img.sha256", server.port));
    let error = get(&wanted(server.port, "os.img", list), cache.path()).await.unwrap_err();
    assert!(
        matches!(&error, FetchError::NoSum { name, says, .. } if name == "os.img" && says.contains("sign in")),
        "{error}"
    );
    let list = Sum::Listed(format!("http://127.0.0.1:{}/none.sha256?key={CANARY}", server.port));
    let error = get(&wanted(server.port, "os.img", list), cache.path()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Status { status: 404, .. }), "{error}");
    assert!(!format!("{error} {error:?}").contains(CANARY), "{error:?}");
    // Nobody is there.
    let nobody = get(&wanted(free_port(), "os.img", known.clone()), cache.path()).await.unwrap_err();
    assert!(matches!(nobody, FetchError::Connection { .. }) && nobody.is_passing(), "{nobody}");
    // A login is asked for, and is never said.
    let closed = wanted(server.port, "closed/os.img", known.clone());
    let error = get(&closed, cache.path()).await.unwrap_err();
    assert!(matches!(&error, FetchError::Status { status: 401, .. }), "{error}");
    assert!(kept(cache.path()).is_empty(), "{:?}", kept(cache.path()));
    let pair = |password: &str| {
        use base64::Engine as _;
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("ci:{password}"));
        Some(format!("Basic {pair}"))
    };
    let wrong = Wanted { authorization: pair("wrong"), ..closed.clone() };
    assert!(matches!(get(&wrong, cache.path()).await, Err(FetchError::Status { status: 401, .. })));
    let right = Wanted { authorization: pair(CANARY), ..closed };
    assert_eq!(std::fs::read(get(&right, cache.path()).await.unwrap().path).unwrap(), b"the image");
}

#[tokio::test]
async fn a_server_that_falls_silent_is_given_up() {
    let cache = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // Takes the question, and never answers.
    let silent = std::thread::spawn(move || listener.accept().map(|(line, _)| line));
    let silence =
        Wanted { idle: Duration::from_millis(300), ..wanted(port, "os.img", Sum::Known(Sha::of(b""))) };
    let error = get(&silence, cache.path()).await.unwrap_err();
    assert!(matches!(error, FetchError::Stopped { .. }), "{error}");
    assert!(error.to_string().contains("the next bytes"), "{error}");
    drop(silent.join());
}
