//! How fast an expect over a stream is: CPU time, for a lower bound that a busy
//! machine and an unoptimized build still meet.

use std::io::{self, Read};

use shakedown_console::bench::expect_over;

/// The stream that `bench-peers` feeds to other harnesses: lines of a booting system,
/// then a line to be found.
struct Feed {
    left: usize,
    line: usize,
    ready: Vec<u8>,
}

impl Feed {
    fn new(bytes: usize) -> Self {
        Self { left: bytes, line: 0, ready: Vec::new() }
    }
}

impl Read for Feed {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() && self.left > 0 {
            for _ in 0..500 {
                let line = self.line;
                self.ready.extend_from_slice(
                    format!("[   12.345678] systemd[1]: Started Some Unit With A Typical Length Line {line:08}.\r\n").as_bytes(),
                );
                self.line += 1;
            }
            self.left = self.left.saturating_sub(self.ready.len());
            if self.left == 0 {
                self.ready.extend_from_slice(b"THE-END-OF-FEED\r\n");
            }
        }
        let length = out.len().min(self.ready.len());
        out[..length].copy_from_slice(&self.ready[..length]);
        self.ready.drain(..length);
        Ok(length)
    }
}

fn cpu() -> f64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}

#[test]
fn one_expect_over_a_stream_costs_little_more_than_making_the_stream() {
    let began = cpu();
    io::copy(&mut Feed::new(20_000_000), &mut io::sink()).unwrap();
    let feeding = cpu() - began;
    for pattern in ["THE-END-OF-FEED", r"(?i)the-end-\w+-feed\n", r"^[A-Z-]+$"] {
        let began = cpu();
        let done = expect_over(Feed::new(20_000_000), pattern).unwrap();
        let spent = cpu() - began - feeding;
        let hit = done.hit.unwrap();
        assert_eq!(hit.text.trim(), "THE-END-OF-FEED");
        // Catches what is not linear; the real figures are those of `cargo xtask bench`, optimized.
        assert!(spent < 4.0, "{pattern}: 20 MB in {spent} s of CPU");
    }
}
