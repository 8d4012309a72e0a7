//! The TFTP server with clients that others wrote (curl, BusyBox, tftp-hpa, atftp), and with one that
//! loses, repeats and breaks off.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use shakedown_core::{BootFile, Came, Deadline, Pace, RealClock, Serving};
use shakedown_host::{TftpServer, Tool};
use tokio_util::sync::CancellationToken;

fn by(name: &str, seconds: u64) -> Deadline {
    let span = Duration::from_secs(seconds);
    Deadline::new(name, span, Pace::Rig, RealClock::start(), CancellationToken::new())
}

/// No two blocks of it are the same.
fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| ((at * 31 + at / 251) % 253) as u8).collect()
}

fn server(files: &[(&str, &[u8])]) -> TftpServer {
    let file =
        |(name, bytes): &(&str, &[u8])| BootFile { name: (*name).to_owned(), bytes: Arc::from(*bytes) };
    TftpServer::start(([127, 0, 0, 1], 0).into(), &files.iter().map(file).collect::<Vec<_>>()).unwrap()
}

/// What became of the last request, once it has ended.
async fn ended(server: &TftpServer) -> Came {
    let wait = by("the transfer's end", 60);
    loop {
        let fetches = server.fetches().unwrap();
        match fetches.last().map(|fetch| fetch.came.clone()) {
            None | Some(Came::UnderWay { .. }) => {
                wait.pause(Duration::from_millis(10), || format!("{fetches:?}")).await.unwrap();
            }
            Some(came) => return came,
        }
    }
}

/// Four clients of others' making: each gets all of it, of every awkward length, and no name besides.
#[tokio::test]
async fn real_clients_get_what_was_named_and_nothing_else() {
    // Less than a block, whole blocks (the last is empty), and one byte more.
    let files = [("a/short", content(7)), ("a/whole", content(1024)), ("a/more", content(1_000_001))];
    let named: Vec<_> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    let server = server(&named);
    let port = server.addr().port().to_string();
    let place = tempfile::tempdir().unwrap();
    let got = place.path().join("got");
    let clients = |name: &str| {
        let url = format!("tftp://127.0.0.1:{port}/{name}");
        let got = got.to_str().unwrap();
        [
            Tool::new("curl").args(["-sS", "--path-as-is", "--tftp-blksize", "1468", "-o", got, &url]),
            Tool::new("curl").args(["-sS", "--path-as-is", "--tftp-no-options", "-o", got, &url]),
            Tool::new("busybox").args(["tftp", "-g", "-r", name, "-l", got, "127.0.0.1", &port]),
            Tool::new("busybox").args([
                "tftp",
                "-g",
                "-b",
                "8192",
                "-r",
                name,
                "-l",
                got,
                "127.0.0.1",
                &port,
            ]),
            Tool::new("tftp").args(["-m", "binary", "127.0.0.1", &port, "-c", "get", name, got]),
            Tool::new("atftp").args([
                "--option",
                "blksize 1428",
                "--option",
                "tsize",
                "--option",
                "timeout 2",
                "--option",
                "windowsize 8",
                "-g",
                "-r",
                name,
                "-l",
                got,
                "127.0.0.1",
                &port,
            ]),
        ]
    };
    for (name, bytes) in &files {
        for client in clients(name) {
            drop(std::fs::remove_file(&got));
            let ran = client.run(&by("a client", 60)).await.unwrap();
            assert!(std::fs::read(&got).ok().as_ref() == Some(bytes), "{name}: {client:?}: {ran:?}");
            let came = ended(&server).await;
            assert!(matches!(came, Came::Whole { bytes: all, .. } if all == bytes.len() as u64), "{came:?}");
        }
    }
    for name in ["short", "../etc/passwd", "/etc/passwd", "a/../a/short", "%2e%2e/x", "A/short"] {
        for client in clients(name) {
            drop(std::fs::remove_file(&got));
            let ran = client.run(&by("a client", 60)).await.unwrap();
            assert!(std::fs::read(&got).unwrap_or_default().is_empty(), "{name}: {ran:?}");
        }
        assert_eq!(ended(&server).await, Came::Failed("there is no such file".into()), "{name}");
    }
    // What a client brings is not taken.
    std::fs::write(place.path().join("mine"), "x").unwrap();
    let mine = place.path().join("mine");
    let put = Tool::new("curl").args(["-sS", "-T", mine.to_str().unwrap()]);
    let ran = put.arg(format!("tftp://127.0.0.1:{port}/a/short")).run(&by("a client", 60)).await.unwrap();
    assert!(!ran.status.success(), "{ran:?}");
    assert_eq!(ended(&server).await, Came::Failed("nothing can be written here".into()));
}

/// More blocks than their numbers count, and several clients at once.
#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_blocks_wrap_and_transfers_do_not_mix() {
    let (small, large) = (content(300_000), content(70_000 * 8 + 3));
    let server = Arc::new(server(&[("small", &small), ("large", &large)]));
    let place = tempfile::tempdir().unwrap();
    let fetch = |name: &'static str, block: &'static str, number: usize| {
        let (got, server) = (place.path().join(format!("{name}{number}")), server.clone());
        tokio::spawn(async move {
            let url = format!("tftp://{}/{name}", server.addr());
            let curl =
                Tool::new("curl").args(["-sS", "--tftp-blksize", block, "-o", got.to_str().unwrap(), &url]);
            curl.run_ok(&by("curl", 120)).await.unwrap();
            std::fs::read(got).unwrap()
        })
    };
    let wraps = fetch("large", "8", 0);
    let others: Vec<_> = (0..4).map(|number| fetch("small", "512", number)).collect();
    for other in others {
        assert!(other.await.unwrap() == small);
    }
    assert!(wraps.await.unwrap() == large);
    let whole = |came: &Came| matches!(came, Came::Whole { .. });
    let wait = by("the records", 30);
    while server.fetches().unwrap().iter().filter(|fetch| whole(&fetch.came)).count() < 5 {
        wait.pause(Duration::from_millis(10), || format!("{:?}", server.fetches())).await.unwrap();
    }
}

/// A client that says what it is told to.
struct Client(UdpSocket);

impl Client {
    fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Self(socket)
    }

    fn ask(&self, server: &TftpServer, request: &str) {
        self.0.send_to(request.as_bytes(), server.addr()).unwrap();
    }

    fn hear(&self) -> (Vec<u8>, SocketAddr) {
        let mut packet = [0; 2048];
        let (length, from) = self.0.recv_from(&mut packet).unwrap();
        (packet[..length].to_vec(), from)
    }

    /// The number and the bytes of the next block.
    fn block(&self) -> (u16, Vec<u8>, SocketAddr) {
        let (packet, from) = self.hear();
        assert_eq!(packet[..2], [0, 3], "{packet:?}");
        (u16::from_be_bytes([packet[2], packet[3]]), packet[4..].to_vec(), from)
    }

    fn ack(&self, block: u16, to: SocketAddr) {
        self.0.send_to(&[&[0, 4][..], &block.to_be_bytes()].concat(), to).unwrap();
    }

    fn hears_nothing(&self, millis: u64) {
        self.0.set_read_timeout(Some(Duration::from_millis(millis))).unwrap();
        let heard = self.0.recv_from(&mut [0; 2048]);
        assert!(heard.is_err(), "{heard:?}");
        self.0.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    }
}

#[tokio::test]
async fn what_is_lost_is_sent_again_and_what_comes_twice_makes_nothing_twice() {
    let bytes = content(1100);
    let server = server(&[("f", &bytes)]);
    let client = Client::new();
    client.ask(&server, "\0\x01f\0octet\0tsize\x000\0timeout\x005\0");
    // The answer to the options is lost once; asking again starts no second transfer.
    let (options, from) = client.hear();
    assert_eq!(options, b"\0\x06tsize\x001100\0timeout\x005\0");
    client.ask(&server, "\0\x01f\0octet\0tsize\x000\0timeout\x005\0");
    assert_eq!(client.hear(), (options, from));
    client.ack(0, from);
    // Block 1 is lost once.
    let first = client.block();
    assert_eq!((first.0, first.1.as_slice()), (1, &bytes[..512]));
    assert_eq!(client.block(), first);
    // Its acknowledgement comes three times, and block 2 goes out once.
    for _ in 0..3 {
        client.ack(1, from);
    }
    assert_eq!(client.block().0, 2);
    client.hears_nothing(400);
    // Somebody else's packet does not disturb it, and is told so.
    let stranger = Client::new();
    stranger.ack(2, from);
    assert_eq!(stranger.hear().0[..4], [0, 5, 0, 5]);
    // Nor do packets that are none, or that acknowledge what was never sent.
    client.0.send_to(b"\0", from).unwrap();
    client.ack(9, from);
    client.ack(2, from);
    // What was not acknowledged in time may have gone out a second time.
    let third = loop {
        let block = client.block();
        if block.0 == 3 {
            break block;
        }
    };
    assert_eq!(third.1, &bytes[1024..]);
    // Without the last acknowledgement nobody has it.
    assert!(matches!(server.fetches().unwrap()[0].came, Came::UnderWay { acked: 2, blocks: 3 }));
    client.ack(3, from);
    assert_eq!(ended(&server).await, Came::Whole { bytes: 1100, blocks: 3 });
    assert_eq!(server.fetches().unwrap().len(), 1);
}

#[tokio::test]
async fn a_window_is_sent_at_once_and_goes_on_where_it_was_broken() {
    let bytes = content(512 * 9);
    let server = server(&[("f", &bytes)]);
    let client = Client::new();
    client.ask(&server, "\0\x01f\0octet\0windowsize\x004\0timeout\x0010\0");
    let (_, from) = client.hear();
    client.ack(0, from);
    let numbers = |count| -> Vec<u16> { (0..count).map(|_| client.block().0).collect() };
    assert_eq!(numbers(4), [1, 2, 3, 4]);
    // Block 3 was lost.
    client.ack(2, from);
    assert_eq!(numbers(4), [3, 4, 5, 6]);
    client.ack(6, from);
    assert_eq!(numbers(4), [7, 8, 9, 10]);
    client.ack(10, from);
    assert_eq!(ended(&server).await, Came::Whole { bytes: 512 * 9, blocks: 10 });
}

#[tokio::test]
async fn a_client_that_ends_it_or_dies_is_no_fetch() {
    let bytes = content(5000);
    let server = server(&[("f", &bytes)]);
    let client = Client::new();
    client.ask(&server, "\0\x01f\0octet\0");
    let (_, _, from) = client.block();
    client.0.send_to(b"\0\x05\0\x03Disk full\0", from).unwrap();
    assert_eq!(ended(&server).await, Came::Failed("the client ended it: Disk full (3)".into()));
    // What was sent again while we were slow came before its end.
    client.0.set_nonblocking(true).unwrap();
    while client.0.recv_from(&mut [0; 2048]).is_ok() {}
    client.0.set_nonblocking(false).unwrap();
    client.hears_nothing(1500);
    let dying = Client::new();
    dying.ask(&server, "\0\x01f\0octet\0");
    let (_, _, from) = dying.block();
    dying.ack(1, from);
    drop(dying);
    let Came::Failed(why) = ended(&server).await else { panic!("nobody took it") };
    assert_eq!(why, "the client fell silent: no answer to 6 times block 2 of 10");
}

#[tokio::test]
async fn the_port_is_free_as_soon_as_the_server_is_dropped() {
    let bytes = content(5000);
    let first = server(&[("f", &bytes)]);
    let addr = first.addr();
    let client = Client::new();
    client.ask(&first, "\0\x01f\0octet\0");
    assert_eq!(client.block().0, 1);
    let taken = TftpServer::start(addr, &[]).unwrap_err();
    assert!(taken.to_string().contains(&addr.to_string()), "{taken}");
    // In the middle of a transfer, whose client is told.
    drop(first);
    while client.hear().0[..2] != [0, 5] {}
    let second = TftpServer::start(addr, &[]).unwrap();
    assert_eq!(second.fetches().unwrap(), []);
}
