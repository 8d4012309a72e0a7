//! The driver `telnet`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Console, Deadline, Fut, Rig};

use super::check_address;
use super::session::{Server, Speaks};
use crate::console::{ConsoleConf, ConsoleCx, link};
use crate::wiring::WiringProblem;

const NAME: &str = "telnet";

/// A TCP port with telnet: a terminal server, ser2net with `telnet`. Its commands are taken out of
/// what comes. A connection that is lost is made again, and the gap is marked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "TelnetConsole")]
pub struct Conf {
    /// `host:port`.
    pub address: String,
}

impl ConsoleConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        check_address(&self.address)
    }

    fn open<'a>(&'a self, cx: ConsoleCx<'a>, by: &'a Deadline) -> Fut<'a, Rig<Console>> {
        Box::pin(async move {
            let dial = Server { driver: NAME, address: self.address.clone(), speaks: Speaks::Telnet };
            link::open(NAME, &self.address, &cx, dial, by).await
        })
    }
}
