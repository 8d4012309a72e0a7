//! A machine between us and the DUT: its SSH server connects on (`direct-tcpip`, RFC 4254, 7.2).
//!
//! The way is an address of this host, so that everything that speaks TCP can go through it: our
//! shell, the system's `ssh`, probes of ports. Each connection has an SSH session of its own
//! with the jump host, so one that hangs holds up no other. What the jump host does wrong is
//! told apart from what the DUT does: only the former breaks the way.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use shakedown_core::{Clock, Deadline, Fault, InfraKind, NetPath, Pace, Rig, ShellError, Unreachable};
use tokio_util::sync::CancellationToken;

use super::connect::{AUTH, log_in, refuse, shake_hands};
use super::probe::{CONNECT, FIRST_BYTE};
use super::tunnel::{Tunnel, Untaken};
use super::wire::{Halt, Wire, wait_fds};
use super::{Line, on_thread, spawn};

/// From the jump host's address to a login on it.
const LOGIN: Duration = Duration::from_secs(60);
/// How long the jump host may take to reach the DUT: Linux tells that a neighbour does not answer
/// after 3 s, and retries to reach others for minutes.
const REACH: Duration = Duration::from_secs(20);
/// A session that waits for its connection for longer may have died meanwhile.
const FRESH: Duration = Duration::from_secs(30);
/// One look at whether anybody still wants connections.
const LOOK: Duration = Duration::from_secs(60);

/// What opens the jump host. Not shown by `Debug`.
#[derive(Clone)]
pub enum JumpKey {
    /// A private key as OpenSSH writes it.
    Private(Arc<str>),
    /// Any of the keys of an ssh-agent: at this socket, else at `SSH_AUTH_SOCK`.
    Agent(Option<PathBuf>),
}

/// Who we are on a jump host, and who it must be.
#[derive(Clone)]
pub struct JumpLogin {
    /// `host:port`, looked up for each session.
    pub host: String,
    /// The user there.
    pub user: String,
    /// What lets us in.
    pub key: JumpKey,
    /// The fingerprint of its host key: `SHA256:…`.
    pub host_key: String,
}

impl fmt::Debug for JumpLogin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{} ({})", self.user, self.host, self.host_key)
    }
}

/// The ways through one jump host. Dropped, it ends all of them.
#[derive(Debug)]
pub struct Jump(Arc<Shared>);

struct Shared {
    login: JumpLogin,
    /// Of all its sessions: abandoned together.
    line: Arc<Line>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.login.fmt(f)
    }
}

#[derive(Default)]
struct State {
    /// The address of this host that leads to a host and port behind the jump host.
    ways: BTreeMap<(String, u16), SocketAddr>,
    /// A session for the next connection, and when it was opened.
    spare: Option<(Instant, Wire)>,
    /// What the jump host did to a connection since an address was last given out.
    broken: Option<String>,
}

impl Jump {
    /// Connects to nothing yet.
    pub fn new(login: JumpLogin, clock: Arc<dyn Clock>) -> Rig<Self> {
        let name = format!("jump host {}", login.host);
        let line = Line::open(name).map_err(|error| fault(&login.host, &error))?;
        Ok(Self(Arc::new(Shared { login, line, clock, state: Mutex::default() })))
    }

    /// The address of this host behind which that port is, of a host as the jump host sees it. The jump
    /// host has let us in just now, else this is a fault; about what is behind it nothing is known.
    pub async fn tcp(&self, host: &str, port: u16, by: &Deadline) -> Rig<SocketAddr> {
        let wire = self.session(by).await.map_err(|error| fault(&self.0.login.host, &error))?;
        {
            let mut state = self.0.state();
            let spare = state.spare.replace((Instant::now(), wire));
            if let Some((_, old)) = spare {
                old.close();
            }
            state.broken = None;
        }
        self.0.way(host, port)
    }

    /// Logs in to the jump host and out again.
    pub async fn look(&self, by: &Deadline) -> Rig<()> {
        let wire = self.session(by).await.map_err(|error| fault(&self.0.login.host, &error))?;
        wire.close();
        Ok(())
    }

    /// The jump host, as it was given.
    pub fn host(&self) -> &str {
        &self.0.login.host
    }

    /// What is seen of that port from the jump host. [`NetPath::RigDown`] when the jump host does not
    /// let us through, or broke a connection since [`Self::tcp`] last gave an address.
    pub async fn path(&self, host: &str, port: u16, by: &Deadline) -> NetPath {
        let down = |why: &dyn fmt::Display| NetPath::RigDown(format!("{}: {why}", self.0.line.name));
        if let Some(broken) = &self.0.state().broken {
            return down(broken);
        }
        let (of_thread, host, limit) = (self.0.clone(), host.to_owned(), by.clone());
        let work = move |_: &Arc<Line>| {
            let wire = of_thread.dial(&limit)?;
            let path = look(&wire, &host, port, &limit);
            wire.close();
            path.map_err(|why| ShellError::Dut(Unreachable::Closed(why)))
        };
        // A line of its own: who gives up this look gives up no connection.
        let line = match Line::open(self.0.line.name.clone()) {
            Ok(line) => line,
            Err(error) => return down(&error),
        };
        on_thread(line, by, work).await.unwrap_or_else(|error| down(&error))
    }

    /// A session of which nobody knows yet what it is for.
    async fn session(&self, by: &Deadline) -> Result<Wire, ShellError> {
        let (of_thread, limit) = (self.0.clone(), by.clone());
        let line = Line::open(self.0.line.name.clone())?;
        on_thread(line, by, move |_| of_thread.dial(&limit)).await
    }
}

impl Drop for Jump {
    fn drop(&mut self) {
        drop(super::Abandon(self.0.line.clone(), true));
    }
}

fn fault(host: &str, error: &ShellError) -> Fault {
    let wanted = Fault::new(InfraKind::Network, "jump", "log in to", host);
    match error {
        ShellError::Rig(fault) => wanted.expected("a login", fault.to_string()),
        ShellError::Dut(unreachable) => wanted.expected("a login", unreachable.to_string()),
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A deadline for what nobody waits for.
    fn limit(&self, span: Duration) -> Deadline {
        let (name, clock) = (self.line.name.as_str(), self.clock.clone());
        Deadline::new(name, span, Pace::Rig, clock, CancellationToken::new())
    }

    /// A session on the jump host, logged in.
    fn dial(&self, by: &Deadline) -> Result<Wire, ShellError> {
        let JumpLogin { host, user, key, host_key } = &self.login;
        let by = by.child(format!("a login on {}", self.line.name), LOGIN).at_rig_pace();
        let no_address = |why: String| ShellError::Dut(Unreachable::NoRoute(why));
        let mut found = host.to_socket_addrs().map_err(|error| no_address(error.to_string()))?;
        let addr = found.next().ok_or_else(|| no_address("its name has no address".into()))?;
        let (wire, _) = shake_hands(addr, Some(host_key), &self.line, &by)?;
        match key {
            JumpKey::Private(key) => log_in(&wire, user, key, &by)?,
            JumpKey::Agent(socket) => by_agent(&wire, user, socket.as_deref(), &by)?,
        }
        // Its answers show that the jump host lives while the DUT says nothing.
        wire.session.set_keepalive(true, 1);
        Ok(wire)
    }

    /// The session that was opened when the address was given out, or another one.
    fn take(&self) -> Result<Wire, ShellError> {
        let spare = self.state().spare.take();
        match spare {
            Some((since, wire)) if since.elapsed() < FRESH && !wire.peer_closed() => Ok(wire),
            _ => self.dial(&self.limit(LOGIN)),
        }
    }

    fn broke(&self, why: impl fmt::Display) {
        if !self.line.abandoned.load(std::sync::atomic::Ordering::Relaxed) {
            self.state().broken.get_or_insert_with(|| why.to_string());
        }
    }

    fn way(self: &Arc<Self>, host: &str, port: u16) -> Rig<SocketAddr> {
        let wanted = (host.to_owned(), port);
        let mut state = self.state();
        if let Some(addr) = state.ways.get(&wanted) {
            return Ok(*addr);
        }
        let local = |error: std::io::Error| {
            Fault::new(InfraKind::Host, "jump", "listen for", &self.login.host).because(&error)
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(local)?;
        listener.set_nonblocking(true).map_err(local)?;
        let addr = listener.local_addr().map_err(local)?;
        let (shared, behind) = (self.clone(), wanted.clone());
        spawn(&self.line.name, move || shared.listen(&listener, &behind))
            .map_err(|error| fault(&self.login.host, &error))?;
        state.ways.insert(wanted, addr);
        Ok(addr)
    }

    /// Takes connections until nobody wants any.
    fn listen(self: &Arc<Self>, listener: &TcpListener, behind: &(String, u16)) {
        loop {
            let mut fds = [PollFd::new(listener, PollFlags::IN), PollFd::new(&self.line.wake, PollFlags::IN)];
            let polled = wait_fds(&mut fds, LOOK);
            if self.line.abandoned.load(std::sync::atomic::Ordering::Relaxed) {
                return;
            }
            let taken = match (polled, listener.accept()) {
                (Err(halt), _) => Err(halt.to_string()),
                (_, Ok((stream, _))) => {
                    let (shared, behind) = (self.clone(), behind.clone());
                    let carry = move || shared.carry(stream, &behind);
                    spawn(&self.line.name, carry).map_err(|error| error.to_string())
                }
                (_, Err(error)) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(()),
                (_, Err(error)) => Err(error.to_string()),
            };
            if let Err(why) = taken {
                self.broke(why);
                // The next who asks for an address gets a new one.
                self.state().ways.remove(behind);
                return;
            }
        }
    }

    fn carry(&self, stream: TcpStream, (host, port): &(String, u16)) {
        let wire = match self.take() {
            Ok(wire) => wire,
            Err(error) => return self.broke(error),
        };
        match Tunnel::open(&wire, host, *port, &self.limit(REACH)) {
            Ok(tunnel) => tunnel.carry(&stream, || self.limit(REACH)).unwrap_or_else(|why| self.broke(why)),
            Err(Untaken::Jump(why)) => self.broke(why),
            Err(Untaken::NobodyThere | Untaken::Refused) => {}
        }
        wire.close();
        // Only now: whoever sees its end may ask at once who broke it.
        drop(stream);
    }
}

/// Offers each of the agent's keys in turn.
fn by_agent(wire: &Wire, user: &str, socket: Option<&Path>, by: &Deadline) -> Result<(), ShellError> {
    let limit = by.child("SSH login with the agent's keys", AUTH);
    let no_agent = |error: ssh2::Error| {
        let named = socket.map_or_else(|| "SSH_AUTH_SOCK".into(), Path::to_string_lossy);
        let agent = Fault::new(InfraKind::Config, "jump", "ask", format!("the ssh-agent at {named}"));
        ShellError::Rig(agent.expected("its keys", error.message()))
    };
    let mut agent = wire.session.agent().map_err(no_agent)?;
    if let Some(socket) = socket {
        agent.set_identity_path(socket).map_err(no_agent)?;
    }
    agent.connect().map_err(no_agent)?;
    agent.list_identities().map_err(no_agent)?;
    let mut last = None;
    for key in agent.identities().map_err(no_agent)? {
        match wire.drive(&limit, |_| agent.userauth(user, &key)) {
            Ok(()) => return Ok(()),
            Err(halt @ Halt::Failed(_)) => match refuse(halt, &limit, user) {
                denied @ ShellError::Dut(Unreachable::Denied(_)) => last = Some(denied),
                other => return Err(other),
            },
            Err(halt) => return Err(refuse(halt, &limit, user)),
        }
    }
    let none = || ShellError::Dut(Unreachable::Denied(format!("user {user}: the agent has no keys")));
    Err(last.unwrap_or_else(none))
}

/// The port as the jump host sees it; what the jump host did wrong.
fn look(wire: &Wire, host: &str, port: u16, by: &Deadline) -> Result<NetPath, String> {
    let reach = by.child("the jump host to reach the DUT", CONNECT).at_rig_pace();
    let mut tunnel = match Tunnel::open(wire, host, port, &reach) {
        Ok(tunnel) => tunnel,
        Err(Untaken::Refused) => return Ok(NetPath::Refused),
        Err(Untaken::NobodyThere) => return Ok(NetPath::Silent),
        Err(Untaken::Jump(why)) => return Err(why),
    };
    tunnel.first_byte(&by.child("a first byte", FIRST_BYTE).at_rig_pace())
}
