//! Files from web servers: fetched once, proven by their hash, kept by it.
//!
//! Nothing is kept that was not proven: the SHA-256 is known before the first byte, from the caller or
//! from a list of sums beside the file. A connection that was cut is taken up where it ended (HTTP
//! range requests, RFC 9110 section 14), or from the start where the server cannot; each further
//! connection must get further than all before.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use sha2::{Digest, Sha256};
use shakedown_core::{Deadline, Sha, Stop};
use tokio::sync::oneshot;
use ureq::http::header;

const TICK: Duration = Duration::from_millis(200);
/// For a connection, and from a question to the first line of its answer.
const ANSWER: Duration = Duration::from_secs(60);
/// The longest list of sums.
const SUMS: u64 = 1 << 20;
/// Of an answer that is no file, so much is shown.
const EXCERPT: u64 = 200;

/// What a file must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sum {
    /// Its SHA-256.
    Known(Sha),
    /// It stands at this address, as `sha256sum` writes it.
    Listed(String),
}

/// A file on a web server.
#[derive(Clone)]
pub struct Wanted {
    /// Its address.
    pub url: String,
    /// What it must be.
    pub sum: Sum,
    /// The value of the `Authorization` header. Never printed.
    pub authorization: Option<String>,
    /// A server that sends nothing for so long is given up.
    pub idle: Duration,
}

/// A file that is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Where it lies.
    pub path: PathBuf,
    /// Its hash.
    pub sha256: Sha,
    /// How many connections its bytes took; none where it was here before.
    pub connections: u32,
}

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The server has no such file for us.
    #[error("{url}: expected the file, got status {status} and `{says}`")]
    Status {
        /// The address, without its query.
        url: String,
        /// HTTP's number.
        status: u16,
        /// How the answer begins.
        says: String,
    },
    /// Fewer bytes came than were announced, again and again.
    #[error("{url}: expected {expected} bytes, got {got}")]
    Short {
        /// The address, without its query.
        url: String,
        /// As announced.
        expected: u64,
        /// What came.
        got: u64,
    },
    /// Other bytes than wanted.
    #[error("{url}: expected SHA-256 {expected}, got {got}")]
    WrongHash {
        /// The address, without its query.
        url: String,
        /// As wanted.
        expected: Sha,
        /// Of what came.
        got: Sha,
    },
    /// The list of sums does not name the file.
    #[error("{url}: expected a SHA-256 of {name}, got `{says}`")]
    NoSum {
        /// The list's address.
        url: String,
        /// The file.
        name: String,
        /// How the list begins.
        says: String,
    },
    /// The server sends the file as something else, or another part of it.
    #[error("{url}: expected {expected}, got {got}")]
    Form {
        /// The address, without its query.
        url: String,
        /// What was asked for.
        expected: String,
        /// What was answered.
        got: String,
    },
    /// There is no connection, or it ended.
    #[error("{url}: {what}")]
    Connection {
        /// The address, without its query.
        url: String,
        /// What is known of it.
        what: String,
    },
    /// It could not be kept.
    #[error("{}: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The time was over, or the run was interrupted.
    #[error("{url}: {stop}")]
    Stopped {
        /// The address, without its query.
        url: String,
        /// What was waited for.
        stop: Stop,
    },
}

impl FetchError {
    /// Whether asking again could help: it is the network's fault or the host's, and not the file's.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Status { status, .. } => *status >= 500,
            Self::Short { .. } | Self::Connection { .. } | Self::Io { .. } | Self::Stopped { .. } => true,
            Self::WrongHash { .. } | Self::NoSum { .. } | Self::Form { .. } => false,
        }
    }
}

/// An address as it may be shown: what its query holds may be a key.
pub fn shown(url: &str) -> &str {
    url.split_once('?').map_or(url, |(plain, _)| plain)
}

#[derive(Default)]
struct Progress {
    /// Grows with each piece.
    beats: AtomicU64,
    /// Nobody waits any more.
    over: AtomicBool,
}

/// Tells the thread that nobody waits any more.
struct Waiting(Arc<Progress>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Relaxed);
    }
}

/// Brings a file below `folder`, on a thread of its own. Two that want the same file fetch it once.
pub async fn fetch(wanted: &Wanted, folder: &Path, by: &Deadline) -> Result<Fetched, FetchError> {
    let url = shown(&wanted.url).to_owned();
    let stopped = |stop| FetchError::Stopped { url: url.clone(), stop };
    let parts = folder.join("parts");
    std::fs::create_dir_all(&parts).map_err(|error| FetchError::Io { path: parts.clone(), error })?;
    let lock = locked(&parts.join(format!("{}.lock", Sha::of(wanted.url.as_bytes()))), &url, by).await?;
    let waiting = Waiting(Arc::default());
    let (send, mut receive) = oneshot::channel();
    let job = Job { wanted: wanted.clone(), folder: folder.to_owned(), progress: waiting.0.clone() };
    let worker = std::thread::Builder::new().name("download".to_owned()).spawn(move || {
        let fetched = job.work();
        drop(lock);
        // Nobody waits where the run was interrupted.
        let _ = send.send(fetched);
    });
    worker.map_err(|error| FetchError::Io { path: PathBuf::from("thread of the download"), error })?;
    let mut before = 0;
    loop {
        let seen = || format!("{} pieces", waiting.0.beats.load(Ordering::Relaxed));
        let next = by.child("the next bytes", wanted.idle);
        match next.run(seen, &mut receive).await {
            Ok(Ok(fetched)) => return fetched,
            Ok(Err(_)) => {
                return Err(FetchError::Connection { url, what: "the download's thread died".into() });
            }
            Err(stop) => {
                let now = waiting.0.beats.load(Ordering::Relaxed);
                if by.is_over() || now == before {
                    return Err(stopped(stop));
                }
                before = now;
            }
        }
    }
}

async fn locked(path: &Path, url: &str, by: &Deadline) -> Result<File, FetchError> {
    let failed = |error| FetchError::Io { path: path.to_owned(), error };
    let file = OpenOptions::new().append(true).create(true).open(path).map_err(failed)?;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
            Err(TryLockError::WouldBlock) => {}
        }
        let paused = by.pause(TICK, || "another process fetches it".to_owned()).await;
        paused.map_err(|stop| FetchError::Stopped { url: url.to_owned(), stop })?;
    }
}

/// How a connection ended that did not bring the whole.
enum Ended {
    /// Another one may go on.
    Cut(FetchError),
    /// None will do better.
    For(FetchError),
}

struct Job {
    wanted: Wanted,
    folder: PathBuf,
    progress: Arc<Progress>,
}

impl Job {
    fn work(&self) -> Result<Fetched, FetchError> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            // Whoever the server sends us to gets no login of ours.
            .redirect_auth_headers(ureq::config::RedirectAuthHeaders::SameHost)
            .build()
            .into();
        let name = name_of(&self.wanted.url);
        let sha256 = match &self.wanted.sum {
            Sum::Known(sha) => *sha,
            Sum::Listed(list) => self.listed(&agent, list, &name)?,
        };
        let kept = self.folder.join(sha256.to_string());
        let path = kept.join(&name);
        if path.is_file() {
            return Ok(Fetched { path, sha256, connections: 0 });
        }
        // What was begun of another build at the same address is another part.
        let part = Sha::of(format!("{} {sha256}", self.wanted.url).as_bytes()).to_string();
        let part = self.folder.join("parts").join(part);
        let mut fresh = length(&part) == 0;
        let mut connections = 0;
        loop {
            connections += self.whole(&agent, &part)?;
            let got = self.hash(&part)?;
            if got == sha256 {
                break;
            }
            std::fs::remove_file(&part).map_err(|error| io_at(&part, error))?;
            if fresh {
                return Err(FetchError::WrongHash { url: self.url(), expected: sha256, got });
            }
            // What an earlier life left may have been of another file.
            fresh = true;
        }
        std::fs::create_dir_all(&kept).map_err(|error| io_at(&kept, error))?;
        std::fs::rename(&part, &path).map_err(|error| io_at(&path, error))?;
        Ok(Fetched { path, sha256, connections })
    }

    fn url(&self) -> String {
        shown(&self.wanted.url).to_owned()
    }

    /// All bytes, over as many connections as it takes while each gets further than those before.
    fn whole(&self, agent: &ureq::Agent, part: &Path) -> Result<u32, FetchError> {
        let mut furthest = length(part);
        let mut connections = 0;
        loop {
            connections += 1;
            match self.once(agent, part) {
                Ok(()) => return Ok(connections),
                Err(Ended::Cut(_)) if length(part) > furthest => furthest = length(part),
                Err(Ended::Cut(error) | Ended::For(error)) => return Err(error),
            }
        }
    }

    fn once(&self, agent: &ureq::Agent, part: &Path) -> Result<(), Ended> {
        let io = |error| Ended::For(io_at(part, error));
        let have = length(part);
        let mut answer = self.ask(agent, &self.wanted.url, have).map_err(Ended::Cut)?;
        let from = match answer.status().as_u16() {
            200 => 0,
            206 => have,
            // The part is whole, or is none of this file: its hash tells.
            416 if have > 0 => return Ok(()),
            status => return Err(Ended::For(self.status(&self.wanted.url, status, answer))),
        };
        let text = |name| answer.headers().get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
        let form = |expected: &str, got: &str| {
            Ended::For(FetchError::Form { url: self.url(), expected: expected.into(), got: got.into() })
        };
        if let Some(encoding) = text(header::CONTENT_ENCODING).filter(|encoding| *encoding != "identity") {
            return Err(form("the file as it lies there", &format!("it packed as {encoding}")));
        }
        let range = text(header::CONTENT_RANGE).unwrap_or_default();
        if from > 0 && !range.starts_with(&format!("bytes {from}-")) {
            return Err(form(&format!("the bytes from {from} on"), &format!("`{range}`")));
        }
        let announced = text(header::CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
        let mut file = OpenOptions::new().append(true).create(true).open(part).map_err(io)?;
        // A server without ranges begins anew.
        file.set_len(from).map_err(io)?;
        let mut got = from;
        let mut body = answer.body_mut().as_reader();
        let mut piece = vec![0; 1 << 16];
        let cut = loop {
            if self.progress.over.load(Ordering::Relaxed) {
                break Some("nobody waits for it any more".to_owned());
            }
            match body.read(&mut piece) {
                Ok(0) => break None,
                Ok(count) => {
                    file.write_all(&piece[..count]).map_err(io)?;
                    got += count as u64;
                    self.progress.beats.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => break Some(self.hidden(&error.to_string())),
            }
        };
        file.sync_all().map_err(io)?;
        match (announced.map(|length| from + length), cut) {
            (Some(expected), _) if got != expected => {
                Err(Ended::Cut(FetchError::Short { url: self.url(), expected, got }))
            }
            (_, Some(what)) => Err(Ended::Cut(FetchError::Connection { url: self.url(), what })),
            (_, None) => Ok(()),
        }
    }

    fn ask(
        &self,
        agent: &ureq::Agent,
        url: &str,
        from: u64,
    ) -> Result<ureq::http::Response<ureq::Body>, FetchError> {
        let mut request = agent.get(url).header(header::ACCEPT_ENCODING, "identity");
        if let Some(login) = &self.wanted.authorization {
            request = request.header(header::AUTHORIZATION, login);
        }
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|error| FetchError::Connection {
            url: shown(url).to_owned(),
            what: self.hidden(&error.to_string()),
        })
    }

    fn status(&self, url: &str, status: u16, mut answer: ureq::http::Response<ureq::Body>) -> FetchError {
        let mut says = Vec::new();
        // What cannot be read is not shown.
        let _ = answer.body_mut().as_reader().take(EXCERPT).read_to_end(&mut says);
        FetchError::Status { url: shown(url).to_owned(), status, says: self.excerpt(&says) }
    }

    /// The sum of the file in a list: the only one, or the one beside its name.
    fn listed(&self, agent: &ureq::Agent, list: &str, name: &str) -> Result<Sha, FetchError> {
        let mut answer = self.ask(agent, list, 0)?;
        let status = answer.status().as_u16();
        if status != 200 {
            return Err(self.status(list, status, answer));
        }
        let mut text = Vec::new();
        let read = answer.body_mut().as_reader().take(SUMS).read_to_end(&mut text);
        read.map_err(|error| FetchError::Connection {
            url: shown(list).to_owned(),
            what: self.hidden(&error.to_string()),
        })?;
        let words = String::from_utf8_lossy(&text);
        let lines: Vec<Vec<&str>> = words
            .lines()
            .map(|line| line.split_whitespace().collect())
            .filter(|line: &Vec<_>| !line.is_empty())
            .collect();
        let named = |line: &&Vec<&str>| {
            let file = line.get(1).map(|file| file.trim_start_matches('*'));
            file.is_some_and(|file| file.rsplit('/').next() == Some(name))
        };
        let line = match &lines[..] {
            [only] if only.len() == 1 => Some(only),
            lines => lines.iter().find(named),
        };
        line.and_then(|line| Sha::from_hex(line[0])).ok_or_else(|| FetchError::NoSum {
            url: shown(list).to_owned(),
            name: name.to_owned(),
            says: self.excerpt(&text[..text.len().min(EXCERPT as usize)]),
        })
    }

    fn hash(&self, part: &Path) -> Result<Sha, FetchError> {
        let mut file = File::open(part).map_err(|error| io_at(part, error))?;
        let (mut sha, mut piece) = (Sha256::new(), vec![0; 1 << 20]);
        loop {
            let count = file.read(&mut piece).map_err(|error| io_at(part, error))?;
            if count == 0 {
                return Ok(Sha(sha.finalize().into()));
            }
            sha.update(&piece[..count]);
            self.progress.beats.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The first line of it, without what must not be shown.
    fn excerpt(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let line: String = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().into();
        self.hidden(&line.replace(|c: char| c.is_control(), " "))
    }

    /// Words of others, who may say back what we sent.
    fn hidden(&self, words: &str) -> String {
        let login = self.wanted.authorization.as_deref().unwrap_or_default();
        let query = self.wanted.url.split_once('?').map_or("", |(_, query)| query);
        let secrets = [login, login.split_once(' ').map_or("", |(_, word)| word), query];
        secrets
            .iter()
            .filter(|secret| !secret.is_empty())
            .fold(words.to_owned(), |words, secret| words.replace(secret, "<secret>"))
    }
}

fn io_at(path: &Path, error: io::Error) -> FetchError {
    FetchError::Io { path: path.to_owned(), error }
}

fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |meta| meta.len())
}

/// What the file is called here.
fn name_of(url: &str) -> String {
    let name = shown(url).rsplit('/').next().unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-+".contains(c) { c } else { '_' };
    let name: String = name.chars().map(plain).collect();
    if name.trim_matches('.').is_empty() { "image".to_owned() } else { name }
}
