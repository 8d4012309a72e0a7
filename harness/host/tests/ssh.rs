//! The SSH shell against a real OpenSSH server, and against servers that misbehave.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use shakedown_core::{Cmd, Exit, NetPath, Shell, ShellError, SshTarget, Unreachable};
use shakedown_host::{KeyPair, SshShell, ssh};
use support::{Sshd, free_port, full_queue, server, tool, unreachable, within};

async fn connect(target: &SshTarget) -> Result<SshShell, ShellError> {
    SshShell::connect(target, &within(20.0, "SSH")).await
}

#[tokio::test]
async fn our_keys_are_real_keys() {
    let pair = KeyPair::generate().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("key");
    std::fs::write(&file, &*pair.private).unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(&file, private).unwrap();
    let public = tool("ssh-keygen", "openssh-client", &["-y", "-f", &file.display().to_string()]).await;
    assert_eq!(public, pair.public);
}

#[tokio::test]
async fn commands_run_with_their_outputs_apart_and_their_exit() {
    for kind in ["ed25519", "rsa", "ecdsa"] {
        let sshd = Sshd::start(kind, "").await;
        let shell = connect(&sshd.target()).await.unwrap();
        assert_eq!(shell.fingerprint(), sshd.fingerprint);
        let by = within(10.0, "command");
        let ran = shell.run(&Cmd::sh("cat; echo wrong >&2; exit 7").stdin("in\0put"), &by).await.unwrap();
        assert_eq!((&ran.out[..], &ran.err[..]), (&b"in\0put"[..], &b"wrong\n"[..]), "{kind}");
        assert_eq!(ran.exit, Exit::Code(7), "{kind}");
        let ran = shell.run(&Cmd::sh("kill -9 $$"), &by).await.unwrap();
        assert_eq!(ran.exit, Exit::Signal("KILL".into()), "{kind}");
    }
}

#[tokio::test]
async fn the_key_that_the_console_showed_is_found_among_several() {
    let dir = tempfile::tempdir().unwrap();
    let rsa = dir.path().join("rsa").display().to_string();
    tool("ssh-keygen", "openssh-client", &["-q", "-t", "rsa", "-N", "", "-f", &rsa]).await;
    let shown = tool("ssh-keygen", "openssh-client", &["-l", "-f", &rsa]).await;
    let sshd = Sshd::start("ed25519", &format!("HostKey {rsa}")).await;
    let pinned = shown.split_ascii_whitespace().nth(1).map(str::to_owned);
    let shell = connect(&SshTarget { host_key: pinned.clone(), ..sshd.target() }).await.unwrap();
    assert_eq!(Some(shell.fingerprint()), pinned.as_deref());
}

#[tokio::test]
async fn a_wrong_host_key_is_refused_before_we_log_in() {
    let sshd = Sshd::start("ed25519", "").await;
    let pinned = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let target = SshTarget { host_key: Some(pinned.into()), ..sshd.target() };
    let Unreachable::WrongHostKey { expected, got } = unreachable(connect(&target).await) else {
        panic!("another refusal");
    };
    assert_eq!((expected.as_str(), got), (pinned, sshd.fingerprint.clone()));
    assert!(!sshd.child.tail().contains("Accepted"), "{}", sshd.child.tail());
    let first = connect(&SshTarget { host_key: None, ..sshd.target() }).await.unwrap();
    assert_eq!(first.fingerprint(), sshd.fingerprint);
}

#[tokio::test]
async fn a_server_that_does_not_let_us_in_says_so() {
    let sshd = Sshd::start("ed25519", "PubkeyAuthentication no").await;
    assert!(matches!(unreachable(connect(&sshd.target()).await), Unreachable::Denied(_)));
    let sshd = Sshd::start("ed25519", "PasswordAuthentication no\nKbdInteractiveAuthentication no").await;
    let stranger = KeyPair::generate().unwrap();
    let target = SshTarget { key: stranger.private, ..sshd.target() };
    assert!(matches!(unreachable(connect(&target).await), Unreachable::Denied(_)));
}

#[tokio::test]
async fn logins_to_be_refused_tell_a_refusal_from_a_welcome() {
    let by = within(20.0, "logins");
    let sshd = Sshd::start("ed25519", "PasswordAuthentication yes").await;
    let came = ssh::try_password(&sshd.target(), "letmein", &by).await.unwrap();
    assert_eq!((came.let_in, came.tried.first()), (false, Some(&"password")), "{came:?}");
    let came = ssh::try_unknown_key(&sshd.target(), &by).await.unwrap();
    assert_eq!((came.let_in, came.tried.as_slice()), (false, &["publickey"][..]));
    let came = ssh::try_key(&sshd.target(), &sshd.key.private, &by).await.unwrap();
    assert!(came.let_in, "the key that is authorized: {came:?}");
    let sshd = Sshd::start("ed25519", "PasswordAuthentication no\nKbdInteractiveAuthentication no").await;
    let came = ssh::try_password(&sshd.target(), "letmein", &by).await.unwrap();
    assert_eq!((came.let_in, came.offered.as_str(), came.tried.len()), (false, "publickey", 0));
}

#[tokio::test]
async fn both_outputs_are_read_together_and_kept_within_the_limit() {
    let sshd = Sshd::start("ed25519", "").await;
    let shell = connect(&sshd.target()).await.unwrap();
    let by = within(60.0, "64 MiB on each output");
    let line = "head -c 67108864 /dev/zero & head -c 67108864 /dev/zero >&2; wait";
    let ran = shell.run(&Cmd { limit: 1 << 20, ..Cmd::sh(line) }, &by).await.unwrap();
    assert_eq!((ran.out.len(), ran.err.len(), ran.truncated), (1 << 20, 1 << 20, true));
    let whole = Cmd { limit: 128 << 20, ..Cmd::sh(line) };
    let ran = shell.run(&whole, &by).await.unwrap();
    assert_eq!((ran.out.len(), ran.err.len(), ran.truncated), (64 << 20, 64 << 20, false));
}

#[tokio::test]
async fn files_arrive_whole_or_not_at_all() {
    let sshd = Sshd::start("ed25519", "").await;
    let shell = connect(&sshd.target()).await.unwrap();
    let by = within(30.0, "files");
    let data: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let path = sshd.dir.path().join("a file's name").display().to_string();
    shell.put(&path, &data, 0o640, &by).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), data);
    let mode = std::os::unix::fs::MetadataExt::mode(&std::fs::metadata(&path).unwrap());
    assert_eq!(mode & 0o777, 0o640);
    assert_eq!(shell.get(&path, data.len() as u64, &by).await.unwrap(), data);
    let larger = unreachable(shell.get(&path, 100, &by).await);
    assert!(larger.to_string().contains("larger than 100 bytes"), "{larger}");
    let nowhere = unreachable(shell.put("/no/such/folder/x", b"x", 0o644, &by).await);
    assert!(nowhere.to_string().contains("/no/such/folder"), "{nowhere}");
    // The DUT let us in: this is no matter of keys.
    assert!(matches!(nowhere, Unreachable::Refusal(_)), "{nowhere}");
    let folder = sshd.dir.path().join("folder");
    std::fs::create_dir(&folder).unwrap();
    let folder = unreachable(shell.put(&folder.display().to_string(), b"x", 0o644, &by).await);
    assert!(folder.to_string().contains("it is a folder"), "{folder}");
    let left = std::fs::read_dir(sshd.dir.path()).unwrap().flatten();
    assert!(left.map(|entry| entry.file_name()).all(|name| !name.to_string_lossy().ends_with(".part")));
}

#[tokio::test]
async fn a_command_that_hangs_is_given_up_and_later_ones_are_not_sent() {
    let sshd = Sshd::start("ed25519", "").await;
    let shell = connect(&sshd.target()).await.unwrap();
    let began = Instant::now();
    let hung = unreachable(shell.run(&Cmd::sh("echo started; sleep 60"), &within(0.5, "sleep")).await);
    assert!(matches!(&hung, Unreachable::Hung(stop) if stop.waited().last_seen == "started"), "{hung}");
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    let late = unreachable(shell.run(&Cmd::sh("true"), &within(5.0, "true")).await);
    assert!(matches!(&late, Unreachable::NotSent(_)), "{late}");
}

#[tokio::test]
async fn a_dropped_future_stops_nothing() {
    let sshd = Sshd::start("ed25519", "").await;
    let shell = connect(&sshd.target()).await.unwrap();
    let file = sshd.dir.path().join("done");
    let by = within(10.0, "commands");
    let cmd = Cmd::sh(format!("sleep 0.5; echo yes > {}", file.display()));
    let dropped = within(0.1, "impatience").run(String::new, shell.run(&cmd, &by)).await;
    assert!(dropped.is_err());
    let ran = shell.run(&Cmd::sh(format!("cat {}", file.display())), &by).await.unwrap();
    assert_eq!(ran.text(), "yes");
}

#[tokio::test]
async fn a_server_killed_in_mid_command_is_a_closed_connection() {
    let sshd = Sshd::start("ed25519", "").await;
    let shell = connect(&sshd.target()).await.unwrap();
    let by = within(10.0, "command");
    // The parent of the command is the server's process for this session.
    let ran = shell.run(&Cmd::sh("echo last words; kill -9 $PPID; sleep 5; echo not reached"), &by).await;
    let closed = unreachable(ran);
    assert!(matches!(&closed, Unreachable::Closed(_)), "{closed}");
    sshd.child.kill_group(&by).await.unwrap();
    let refused = unreachable(connect(&sshd.target()).await);
    assert!(matches!(&refused, Unreachable::Refused(_)), "{refused}");
}

#[tokio::test]
async fn servers_that_are_none_are_told_apart() {
    let key = KeyPair::generate().unwrap().private;
    let target = |addr| SshTarget { addr, user: "root".into(), key: key.clone(), host_key: None };
    let came = |addr| {
        let target = target(addr);
        async move { unreachable(SshShell::connect(&target, &within(1.0, "SSH")).await) }
    };
    let mute = came(server(|_| ())).await;
    assert!(matches!(mute, Unreachable::Mute(_)), "{mute}");
    let banner_only = came(server(|stream| stream.write_all(b"SSH-2.0-Broken\r\n").unwrap())).await;
    assert!(matches!(banner_only, Unreachable::Mute(_)), "{banner_only}");
    let half = came(server(|stream| stream.write_all(b"SSH-2").unwrap())).await;
    assert!(matches!(half, Unreachable::Garbage(_)), "{half}");
    let noise = |stream: &mut TcpStream| stream.write_all(&[0xA5; 9000]).unwrap();
    let garbage = came(server(noise)).await;
    assert!(matches!(garbage, Unreachable::Garbage(_)), "{garbage}");
    let after_banner = |stream: &mut TcpStream| {
        stream.write_all(b"SSH-2.0-Broken\r\n").unwrap();
        stream.write_all(&[0xA5; 9000]).unwrap();
    };
    let garbage = came(server(after_banner)).await;
    assert!(matches!(garbage, Unreachable::Garbage(_)), "{garbage}");
    let hang_up = |stream: &mut TcpStream| stream.shutdown(std::net::Shutdown::Both).unwrap();
    let closed = came(server(hang_up)).await;
    assert!(matches!(closed, Unreachable::Closed(_)), "{closed}");
    let after_client = |stream: &mut TcpStream| {
        stream.write_all(b"SSH-2.0-Broken\r\n").unwrap();
        let _ = stream.read(&mut [0; 64]);
        stream.shutdown(std::net::Shutdown::Both).unwrap();
    };
    let closed = came(server(after_client)).await;
    assert!(matches!(closed, Unreachable::Closed(_)), "{closed}");
    let refused = came(free_port()).await;
    assert!(matches!(refused, Unreachable::Refused(_)), "{refused}");
    let (_full, addr, _waiting) = full_queue();
    let nobody = came(addr).await;
    assert!(matches!(nobody, Unreachable::NoRoute(_)), "{nobody}");
}

#[tokio::test]
async fn the_path_is_probed_without_logging_in() {
    let sshd = Sshd::start("ed25519", "").await;
    let brief = || within(0.3, "probe");
    assert_eq!(ssh::path(sshd.addr, &within(5.0, "probe")).await, NetPath::Speaks);
    assert_eq!(ssh::path(server(|_| ()), &brief()).await, NetPath::Mute);
    let hang_up = server(|stream| stream.shutdown(std::net::Shutdown::Both).unwrap());
    assert_eq!(ssh::path(hang_up, &brief()).await, NetPath::Refused);
    assert_eq!(ssh::path(free_port(), &brief()).await, NetPath::Refused);
}

#[tokio::test]
async fn a_round_trip_is_a_matter_of_milliseconds() {
    let sshd = Sshd::start("ed25519", "").await;
    let shell = connect(&sshd.target()).await.unwrap();
    let by = within(30.0, "round trips");
    let mut spans = Vec::new();
    for _ in 0..100 {
        spans.push(shell.run(&Cmd::sh("true"), &by).await.unwrap().took);
    }
    spans.sort();
    // Nagle or a polling sleep would show as 40 ms or more.
    assert!(spans[50] < Duration::from_millis(30), "{:?}", spans[50]);
}
