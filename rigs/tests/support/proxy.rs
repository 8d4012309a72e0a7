//! One proxy between a driver and its counterpart, which adds what goes wrong on the way.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

/// What goes wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Nothing.
    Clear,
    /// The question is taken, and no answer comes.
    Silence,
    /// The answer comes after the deadline.
    Late,
    /// The answer is noise.
    Garbage,
    /// The first half of the answer comes.
    Half,
    /// The first half of the answer comes, then the end.
    HalfThenEnd,
    /// The line ends with the question.
    Disconnect,
    /// Nobody is there.
    Refusal,
}

pub(crate) const WAYS: [Way; 8] = [
    Way::Clear,
    Way::Silence,
    Way::Late,
    Way::Garbage,
    Way::Half,
    Way::HalfThenEnd,
    Way::Disconnect,
    Way::Refusal,
];

/// Later than the deadline of a test whose answer is late.
pub(crate) const LATE: Duration = Duration::from_secs(4);

/// A TCP port that leads to another one, this way.
pub(crate) fn tcp(to: u16, way: Way) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    if way == Way::Refusal {
        return port;
    }
    std::thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || carry(client, to, way));
        }
    });
    port
}

/// Noise that is the same each time, and is no end of line and no known frame.
pub(crate) fn noise() -> Vec<u8> {
    let mut state = 0x2545_F491_u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state as u8
    };
    (0..96).map(|_| next()).collect()
}

fn carry(mut client: TcpStream, to: u16, way: Way) {
    let mut buffer = [0; 4096];
    match way {
        Way::Silence | Way::Garbage | Way::Disconnect => {
            let Ok(1..) = client.read(&mut buffer) else { return };
            match way {
                Way::Disconnect => return,
                Way::Garbage => drop(client.write_all(&noise())),
                _ => {}
            }
            // Held until the client goes.
            while matches!(client.read(&mut buffer), Ok(1..)) {}
        }
        Way::Clear | Way::Late | Way::Half | Way::HalfThenEnd | Way::Refusal => {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { return };
            let (mut up, mut asked) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut asked, &mut up);
                let _ = up.shutdown(Shutdown::Write);
            });
            answer(server, client, way);
        }
    }
}

fn answer(mut server: TcpStream, mut client: TcpStream, way: Way) {
    let mut buffer = [0; 4096];
    let mut first = true;
    while let Ok(count @ 1..) = server.read(&mut buffer) {
        let half = if way == Way::Half || way == Way::HalfThenEnd { count.div_ceil(2) } else { count };
        // A single byte has no half.
        let half = if count == 1 && half != count { 0 } else { half };
        if way == Way::Late && first {
            // The client's next words, or its end, are not waited for: only time passes.
            let until = Instant::now() + LATE;
            let _ = server.set_read_timeout(Some(LATE));
            while Instant::now() < until && matches!(server.peek(&mut [0]), Ok(1..)) {
                std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
            }
            let _ = server.set_read_timeout(None);
        }
        first = false;
        if client.write_all(&buffer[..half]).is_err() {
            break;
        }
        match way {
            Way::HalfThenEnd => break,
            Way::Half => while matches!(server.read(&mut buffer), Ok(1..)) {},
            _ => {}
        }
    }
    let _ = client.shutdown(Shutdown::Both);
}

/// A UDP port that leads to another one, this way.
pub(crate) fn udp(to: u16, way: Way) -> u16 {
    let outside = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = outside.local_addr().unwrap().port();
    if way == Way::Refusal {
        return port;
    }
    let inside = UdpSocket::bind("127.0.0.1:0").unwrap();
    inside.connect(("127.0.0.1", to)).unwrap();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok((count, client)) = outside.recv_from(&mut buffer) {
            let answer = match way {
                Way::Silence | Way::Disconnect | Way::Refusal => continue,
                Way::Garbage => noise(),
                Way::Clear | Way::Late | Way::Half | Way::HalfThenEnd => {
                    inside.send(&buffer[..count]).unwrap();
                    let count = inside.recv(&mut buffer).unwrap();
                    let part = if matches!(way, Way::Half | Way::HalfThenEnd) { count / 2 } else { count };
                    buffer[..part].to_vec()
                }
            };
            if way == Way::Late {
                let until = Instant::now() + LATE;
                while Instant::now() < until {
                    std::thread::park_timeout(until.saturating_duration_since(Instant::now()));
                }
            }
            let _ = outside.send_to(&answer, client);
        }
    });
    port
}
