//! The driver `rfc2217`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Console, Deadline, Fut, Rig};

use super::check_address;
use super::session::{Server, Speaks};
use crate::console::{ConsoleConf, ConsoleCx, link};
use crate::wiring::WiringProblem;

const NAME: &str = "rfc2217";

/// A serial port behind a server that lets us set it (RFC 2217): ser2net with `telnet(rfc2217)`,
/// terminal servers. Speed, data bits, parity and stop bit are set and compared with the server's
/// answer; DTR and RTS are left as they are. A connection that is lost is made again, and the gap
/// is marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Rfc2217")]
pub struct Conf {
    /// `host:port`.
    pub address: String,
    /// The port's speed (default: the board's).
    #[serde(default)]
    pub baud: Option<u32>,
}

impl ConsoleConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        check_address(&self.address)
    }

    fn open<'a>(&'a self, cx: ConsoleCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Console>> {
        Box::pin(async move {
            let speaks = Speaks::ComPort(self.baud.unwrap_or(cx.baud));
            let dial = Server { driver: NAME, address: self.address.clone(), speaks };
            link::open(NAME, &self.address, &cx, dial, by).await
        })
    }
}
