//! A DUT behind a jump host: both are OpenSSH servers, and servers that misbehave.

mod support;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use shakedown_core::{Cmd, Fault, NetPath, RealClock, Shell, SshTarget, Unreachable};
use shakedown_host::ssh::{Jump, JumpKey, JumpLogin};
use shakedown_host::{SshShell, Tool, key};
use support::{Sshd, free_port, full_queue, tool, unreachable, within};

const HERE: &str = "127.0.0.1";

fn login(sshd: &Sshd) -> JumpLogin {
    let target = sshd.target();
    JumpLogin {
        host: target.addr.to_string(),
        user: target.user,
        key: JumpKey::Private(target.key),
        host_key: sshd.fingerprint.clone(),
    }
}

fn jump(login: JumpLogin) -> Jump {
    Jump::new(login, RealClock::start()).unwrap()
}

/// A login on the DUT, through the jump host.
async fn through(jump: &Jump, dut: &Sshd) -> SshShell {
    let by = within(60.0, "a shell");
    let addr = jump.tcp(HERE, dut.addr.port(), &by).await.unwrap();
    SshShell::connect(&SshTarget { addr, ..dut.target() }, &by).await.unwrap()
}

async fn refused(jump: &Jump, port: u16, seconds: f64) -> Fault {
    let by = within(seconds, "the way");
    let fault = jump.tcp(HERE, port, &by).await.expect_err("it let us in");
    assert_eq!(fault.driver, "jump", "{fault}");
    fault
}

fn down(path: &NetPath) -> &str {
    let NetPath::RigDown(why) = path else { panic!("not the rig's: {path:?}") };
    why
}

#[tokio::test]
async fn commands_files_and_a_flood_go_through() {
    let (bench, dut) = (Sshd::start("ed25519", "").await, Sshd::start("rsa", "").await);
    let jump = jump(login(&bench));
    let shell = through(&jump, &dut).await;
    assert_eq!(shell.fingerprint(), dut.fingerprint, "it is the DUT that answers");
    let by = within(180.0, "64 MiB on each output");
    let line = "head -c 67108864 /dev/zero & head -c 67108864 /dev/zero >&2; wait";
    let ran = shell.run(&Cmd { limit: 128 << 20, ..Cmd::sh(line) }, &by).await.unwrap();
    assert_eq!((ran.out.len(), ran.err.len(), ran.truncated), (64 << 20, 64 << 20, false));
    let data: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let path = dut.dir.path().join("file").display().to_string();
    shell.put(&path, &data, 0o640, &by).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), data);
    assert_eq!(shell.get(&path, data.len() as u64, &by).await.unwrap(), data);
    // Another connection beside it, and the same address for it.
    let again = through(&jump, &dut).await;
    assert_eq!(again.run(&Cmd::sh("echo two"), &by).await.unwrap().text(), "two");
    assert_eq!(shell.run(&Cmd::sh("echo one"), &by).await.unwrap().text(), "one");
    assert_eq!(jump.path(HERE, dut.addr.port(), &by).await, NetPath::Speaks);
    // The way ends with the jump.
    drop(jump);
    let closed = unreachable(shell.run(&Cmd::sh("sleep 30"), &by).await);
    assert!(matches!(closed, Unreachable::Closed(_) | Unreachable::NotSent(_)), "{closed}");
}

#[tokio::test]
async fn a_jump_host_lets_us_in_by_an_agents_key() {
    let (bench, dut) = (Sshd::start("ed25519", "").await, Sshd::start("ed25519", "").await);
    let path = |name: &str| bench.dir.path().join(name);
    let (socket, file) = (path("agent"), path("key"));
    std::fs::write(&file, &*bench.key.private).unwrap();
    std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let at = socket.display().to_string();
    let agent = Tool::new("ssh-agent").package("openssh-client").args(["-D", "-a", &at]).start().unwrap();
    let by = within(30.0, "ssh-agent");
    while !socket.exists() {
        by.pause(Duration::from_millis(10), || agent.tail()).await.unwrap();
    }
    let with = |socket: PathBuf| self::jump(JumpLogin { key: JumpKey::Agent(Some(socket)), ..login(&bench) });
    let empty = refused(&with(socket.clone()), 22, 30.0).await;
    assert!(empty.got.contains("the agent has no keys"), "{empty}");
    let add = Tool::new("ssh-add").package("openssh-client").env("SSH_AUTH_SOCK", &at);
    add.args(["-q", &file.display().to_string()]).run_ok(&by).await.unwrap();
    let jump = with(socket);
    let shell = through(&jump, &dut).await;
    assert_eq!(shell.run(&Cmd::sh("echo in"), &by).await.unwrap().text(), "in");
    let nowhere = refused(&with(path("nowhere")), 22, 30.0).await;
    assert!(nowhere.got.contains("the ssh-agent at"), "{nowhere}");
}

#[tokio::test]
async fn a_jump_host_that_keeps_us_out_is_a_fault_with_its_name() {
    let bench = Sshd::start("ed25519", "").await;
    let host = bench.addr.to_string();
    let pinned = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let other = jump(JumpLogin { host_key: pinned.into(), ..login(&bench) });
    let fault = refused(&other, 22, 30.0).await;
    assert_eq!(fault.endpoint, host);
    assert!(fault.got.contains(pinned) && fault.got.contains(&bench.fingerprint), "{fault}");
    assert!(!bench.child.tail().contains("Accepted"), "{}", bench.child.tail());
    assert!(down(&other.path(HERE, 22, &within(30.0, "path")).await).contains(&host));

    let stranger = JumpKey::Private(key::KeyPair::generate().unwrap().private);
    let denied = refused(&jump(JumpLogin { key: stranger, ..login(&bench) }), 22, 30.0).await;
    assert!(denied.got.contains("user"), "{denied}");
    let nobody = free_port();
    let gone = refused(&jump(JumpLogin { host: nobody.to_string(), ..login(&bench) }), 22, 30.0).await;
    assert_eq!(gone.endpoint, nobody.to_string());
    // The kernel accepts, and nobody ever speaks.
    let mute = TcpListener::bind((HERE, 0)).unwrap();
    let at = mute.local_addr().unwrap().to_string();
    let jump = jump(JumpLogin { host: at.clone(), ..login(&bench) });
    let began = Instant::now();
    let silent = refused(&jump, 22, 1.0).await;
    assert_eq!(silent.endpoint, at);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    assert!(down(&jump.path(HERE, 22, &within(1.0, "path")).await).contains(&at));
}

#[tokio::test]
async fn a_jump_host_that_does_not_connect_on_is_to_blame_for_it() {
    let (bench, dut) =
        (Sshd::start("ed25519", "AllowTcpForwarding no").await, Sshd::start("ed25519", "").await);
    let (jump, by) = (jump(login(&bench)), within(60.0, "the way"));
    let addr = jump.tcp(HERE, dut.addr.port(), &by).await.unwrap();
    let closed = unreachable(SshShell::connect(&SshTarget { addr, ..dut.target() }, &by).await);
    assert!(matches!(closed, Unreachable::Closed(_)), "{closed}");
    let path = jump.path(HERE, dut.addr.port(), &by).await;
    assert!(down(&path).contains("administratively prohibited"), "{path:?}");
}

#[tokio::test]
async fn a_dut_that_is_down_is_not_the_jump_hosts_fault() {
    let bench = Sshd::start("ed25519", "").await;
    let (jump, by) = (jump(login(&bench)), within(60.0, "the DUT"));
    let nobody = free_port().port();
    let addr = jump.tcp(HERE, nobody, &by).await.unwrap();
    let target = SshTarget { addr, ..bench.target() };
    let closed = unreachable(SshShell::connect(&target, &by).await);
    assert!(matches!(closed, Unreachable::Closed(_)), "{closed}");
    let (_full, silent, _waiting) = full_queue();
    let mute = TcpListener::bind((HERE, 0)).unwrap();
    let port = mute.local_addr().unwrap().port();
    let paths = tokio::join!(
        jump.path(HERE, nobody, &by),
        jump.path(HERE, silent.port(), &by),
        jump.path(HERE, port, &by)
    );
    assert_eq!(paths, (NetPath::Refused, NetPath::Silent, NetPath::Mute));
}

#[tokio::test]
async fn who_ended_a_session_is_told_apart() {
    let (bench, dut) = (Sshd::start("ed25519", "").await, Sshd::start("ed25519", "").await);
    let (jump, by) = (jump(login(&bench)), within(60.0, "sessions"));
    let port = dut.addr.port();
    let shell = through(&jump, &dut).await;
    let ended = unreachable(shell.run(&Cmd::sh("kill -9 $PPID; sleep 30"), &by).await);
    assert!(matches!(ended, Unreachable::Closed(_)), "{ended}");
    assert_eq!(jump.path(HERE, port, &by).await, NetPath::Speaks, "it was the DUT");

    let shell = through(&jump, &dut).await;
    let began = dut.dir.path().join("began");
    let cmd = Cmd::sh(format!("touch {}; sleep 30", began.display()));
    let kill = async {
        while !began.exists() {
            by.pause(Duration::from_millis(10), || "the command has not begun".into()).await.unwrap();
        }
        kill_sessions(&bench);
    };
    let (ended, ()) = tokio::join!(shell.run(&cmd, &by), kill);
    assert!(matches!(unreachable(ended), Unreachable::Closed(_)));
    // Its server speaks to whoever comes now, and the broken session is its own all the same.
    let path = jump.path(HERE, port, &by).await;
    assert!(down(&path).contains(&bench.addr.to_string()), "{path:?}");
    let shell = through(&jump, &dut).await;
    assert_eq!(shell.run(&Cmd::sh("echo back"), &by).await.unwrap().text(), "back");
    assert_eq!(jump.path(HERE, port, &by).await, NetPath::Speaks);
}

/// The server itself lives on.
fn kill_sessions(sshd: &Sshd) {
    let pid = sshd.child.pid();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let mut sessions = children.split_ascii_whitespace().peekable();
    assert!(sessions.peek().is_some(), "no sessions");
    for session in sessions {
        kill_process(Pid::from_raw(session.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    }
}

#[tokio::test]
async fn a_host_key_is_known_by_its_line_and_by_its_fingerprint() {
    let bench = Sshd::start("ecdsa", "").await;
    let public = std::fs::read_to_string(bench.dir.path().join("host-key.pub")).unwrap();
    assert_eq!(key::fingerprint(&public).as_ref(), Some(&bench.fingerprint));
    assert_eq!(key::fingerprint(&bench.fingerprint).as_ref(), Some(&bench.fingerprint));
    let addr: SocketAddr = bench.addr;
    let scan = ["-t", "ecdsa", "-p", &addr.port().to_string(), &addr.ip().to_string()];
    let scanned = tool("ssh-keyscan", "openssh-client", &scan).await;
    let (_, line) = scanned.lines().last().unwrap().split_once(' ').unwrap();
    assert_eq!(key::fingerprint(line).as_ref(), Some(&bench.fingerprint));
    let wrong_kind = public.replace("ecdsa-sha2-nistp256 ", "ssh-ed25519 ");
    for none in ["", "SHA256:", "SHA256:abc", "MD5:00:11", "ssh-ed25519", "ssh-ed25519 AAAA", &wrong_kind] {
        assert_eq!(key::fingerprint(none), None, "{none}");
    }
}
