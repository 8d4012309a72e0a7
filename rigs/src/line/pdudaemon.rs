//! Outlets behind a pdudaemon.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_core::{Deadline, Fut, Level, Line, Rig};

use super::http::{Ask, Client, check_url};
use super::{LineConf, LineCx};
use crate::wiring::WiringProblem;
use crate::worker::Worker;

const NAME: &str = "pdudaemon";

/// An outlet behind a pdudaemon that others run too. It queues what it is told and has no word
/// about an outlet's state, so nothing is read back: the harness looks for another proof, such
/// as the console's silence. Debian's (0.0.8) answers when its queue has come to the end of the job, well or
/// not; behind one that answers before it, a minimum off time counts from its word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Pdudaemon")]
pub struct Conf {
    /// Where it listens: `http://rack:16421`.
    pub url: String,
    /// The PDU's name in its configuration.
    pub pdu: String,
    /// The outlet's number.
    pub port: u16,
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        check_url(&self.url)?;
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-:".contains(c);
        if self.pdu.is_empty() || !self.pdu.chars().all(plain) {
            return Err(WiringProblem::new(
                "pdu",
                "a name of letters, digits, `.`, `_`, `:` and `-` is needed",
            ));
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move {
            let base = self.url.trim_end_matches('/').to_owned();
            let client = Arc::new(Client {
                driver: NAME,
                endpoint: format!("{} port {} at {base}", self.pdu, self.port),
                base: base.clone(),
                login: None,
                login_in_query: false,
                token: None,
            });
            let worker = Worker::of(NAME, &base)?;
            Ok(Arc::new(Pdudaemon { conf: self.clone(), client, worker }) as Arc<dyn Line>)
        })
    }
}

struct Pdudaemon {
    conf: Conf,
    client: Arc<Client>,
    worker: Arc<Worker>,
}

impl Line for Pdudaemon {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        self.client.endpoint.clone()
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let (op, word) = if on { ("switch on", "on") } else { ("switch off", "off") };
            let Conf { pdu, port, .. } = &self.conf;
            let path = format!("/power/control/{word}?hostname={pdu}&port={port}");
            let ask = Ask { method: "GET".into(), path, ..Ask::default() };
            let client = self.client.clone();
            let said = self.worker.run(op, by, move |by| client.send(op, &ask, by)).await?;
            if said.body.starts_with(b"OK") {
                return Ok(());
            }
            Err(self.client.fault(op).expected("`OK - accepted request`", said.excerpt))
        })
    }

    fn read<'a>(&'a self, _by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        Box::pin(async { Ok(Level::Unknown) })
    }

    fn when_dropped(&self) -> Level {
        // The PDU keeps what it was told.
        Level::Unknown
    }
}
