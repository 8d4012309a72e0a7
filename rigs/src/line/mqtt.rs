//! Plugs that speak MQTT as Tasmota does.

use std::sync::Arc;
use std::time::Duration;

use rumqttc::{
    AsyncClient, ConnectionError, Event, EventLoop, Incoming, MqttOptions, Outgoing, QoS, SubscribeFilter,
    SubscribeReasonCode,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use shakedown_conf::Secret;
use shakedown_core::{Deadline, Fault, Fut, InfraKind, Level, Line, Rig};

use super::{LineConf, LineCx};
use crate::wire::show;
use crate::wiring::WiringProblem;

const NAME: &str = "mqtt";
/// A plug in a lab's Wi-Fi answers within a second.
const WITHIN: Duration = Duration::from_secs(10);

/// A plug that speaks MQTT as Tasmota does, through a broker: told on `cmnd/TOPIC/POWER`, heard
/// on `stat/TOPIC/POWER`. Each look asks the plug itself and takes no retained answer; a plug
/// that the broker calls offline (`tele/TOPIC/LWT`) is a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "Mqtt")]
pub struct Conf {
    /// The broker: `host:port`; the port is 1883 as a rule.
    pub broker: String,
    /// The plug's topic, as its web page shows it.
    pub topic: String,
    /// Which relay, counted from 1; left out for a plug with one relay.
    #[serde(default)]
    pub outlet: Option<u8>,
    /// Who may use the broker.
    #[serde(default)]
    pub login: Option<Login>,
}

/// A user of the broker and where the password is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(rename = "MqttLogin")]
pub struct Login {
    /// The user's name.
    pub user: String,
    /// `{ env: NAME }` or `{ file: PATH }`.
    pub password: Secret,
}

impl Conf {
    fn broker(&self) -> Option<(&str, u16)> {
        let (host, port) = self.broker.rsplit_once(':')?;
        Some((host, port.parse().ok().filter(|_| !host.is_empty())?))
    }
}

impl LineConf for Conf {
    fn check(&self) -> Result<(), WiringProblem> {
        if self.broker().is_none() {
            return Err(WiringProblem::new("broker", format!("`{}` is no `host:port`", self.broker)));
        }
        if self.topic.is_empty()
            || self.topic.contains(['+', '#', '\0'])
            || self.topic.contains(char::is_whitespace)
        {
            return Err(WiringProblem::new("topic", "a topic without wildcards and spaces is needed"));
        }
        if self.outlet == Some(0) {
            return Err(WiringProblem::new("outlet", "relays are counted from 1"));
        }
        Ok(())
    }

    fn open<'a>(&'a self, _cx: LineCx<'a>, _by: &'a Deadline) -> Fut<'a, Rig<Arc<dyn Line>>> {
        Box::pin(async move { Ok(Arc::new(Plug { conf: self.clone() }) as Arc<dyn Line>) })
    }
}

struct Plug {
    conf: Conf,
}

/// A connection for one question, with what it listens to.
struct Session {
    client: AsyncClient,
    events: EventLoop,
    power: Vec<String>,
    presence: String,
}

impl Plug {
    fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Power, NAME, op, self.endpoint())
    }

    /// Connected, with the plug's answers subscribed to.
    async fn connect(&self, op: &str) -> Rig<Session> {
        let Conf { topic, outlet, login, .. } = &self.conf;
        let (host, port) = self.conf.broker().ok_or_else(|| self.fault(op).expected("a broker", "none"))?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| self.fault(op).because(&error))?;
        let id = format!("shakedown-{:016x}", u64::from_ne_bytes(random));
        let mut options = MqttOptions::new(id, host, port);
        options.set_keep_alive(Duration::from_secs(60)).set_clean_session(true);
        if let Some(login) = login {
            let password = login.password.reveal().map_err(|error| {
                let fault = Fault::new(InfraKind::Config, NAME, op, self.endpoint());
                fault.expected("its login at hand", error.to_string())
            })?;
            options.set_credentials(&login.user, password.expose());
        }
        let (client, events) = AsyncClient::new(options, 10);
        // A plug with one relay says `POWER`, one with several `POWER1`; the first may say either.
        let power: Vec<_> = match outlet {
            None | Some(1) => vec![format!("stat/{topic}/POWER"), format!("stat/{topic}/POWER1")],
            Some(number) => vec![format!("stat/{topic}/POWER{number}")],
        };
        let presence = format!("tele/{topic}/LWT");
        let mut session = Session { client, events, power, presence };
        let topics = session.power.iter().chain([&session.presence]);
        let filters: Vec<_> =
            topics.map(|topic| SubscribeFilter::new(topic.clone(), QoS::AtLeastOnce)).collect();
        session.client.subscribe_many(filters).await.map_err(|error| self.fault(op).because(&error))?;
        loop {
            if let Event::Incoming(Incoming::SubAck(ack)) = self.next(op, &mut session).await? {
                if ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    return Err(self.fault(op).expected("the broker to let us listen", "a refusal"));
                }
                return Ok(session);
            }
        }
    }

    /// The next packet from or to the broker.
    async fn next(&self, op: &str, session: &mut Session) -> Rig<Event> {
        // The next poll after an error would connect anew; an action is done once.
        let wrong =
            |error: ConnectionError| self.fault(op).expected("a broker that serves us", error.to_string());
        session.events.poll().await.map_err(wrong)
    }

    /// Tells the plug, and waits for its answer; `wanted` where only one answer will do.
    async fn tell(&self, op: &str, payload: &str, wanted: Option<Level>, seen: &mut String) -> Rig<Level> {
        let mut session = self.connect(op).await?;
        let number = self.conf.outlet.map(|number| number.to_string()).unwrap_or_default();
        let to = format!("cmnd/{}/POWER{number}", self.conf.topic);
        let sent = session.client.publish(to, QoS::AtLeastOnce, false, payload).await;
        sent.map_err(|error| self.fault(op).because(&error))?;
        let mut asked = false;
        loop {
            let packet = match self.next(op, &mut session).await? {
                Event::Incoming(packet) => packet,
                Event::Outgoing(Outgoing::Publish(_)) => {
                    asked = true;
                    continue;
                }
                Event::Outgoing(_) => continue,
            };
            match packet {
                Incoming::Publish(said)
                    if said.topic == session.presence && said.payload.eq_ignore_ascii_case(b"offline") =>
                {
                    let fault = self.fault(op);
                    return Err(fault.expected("a plug that is online", "the broker says `Offline`"));
                }
                // What was retained is a memory, and what came before the question is no answer.
                Incoming::Publish(said) if session.power.contains(&said.topic) && !said.retain && asked => {
                    let level = match said.payload.to_ascii_uppercase().as_slice() {
                        b"ON" => Level::On,
                        b"OFF" => Level::Off,
                        other => return Err(self.fault(op).expected("`ON` or `OFF`", show(other))),
                    };
                    if wanted.is_none_or(|wanted| wanted == level) {
                        return Ok(level);
                    }
                    *seen = format!("the plug said {level}");
                }
                _ => {}
            }
        }
    }

    async fn within(&self, op: &str, payload: &str, wanted: Option<Level>, by: &Deadline) -> Rig<Level> {
        let by = by.child(format!("{NAME} to {op}"), WITHIN).at_rig_pace();
        let mut seen = String::new();
        let told = by.run(String::new, self.tell(op, payload, wanted, &mut seen)).await;
        told.map_err(|_| {
            let got = if seen.is_empty() { "none" } else { &seen };
            let fault = self.fault(op).expected("the plug's answer", got).stopped(by.stop(&*seen));
            fault.hint("is it switched on, in the Wi-Fi, and is this its topic?")
        })?
    }
}

impl Line for Plug {
    fn driver(&self) -> &'static str {
        NAME
    }

    fn endpoint(&self) -> String {
        let outlet = self.conf.outlet.map(|outlet| format!(" relay {outlet}")).unwrap_or_default();
        format!("{}{outlet} at {}", self.conf.topic, self.conf.broker)
    }

    fn set<'a>(&'a self, on: bool, by: &'a Deadline) -> Fut<'a, Rig<()>> {
        Box::pin(async move {
            let (op, payload) = if on { ("switch on", "ON") } else { ("switch off", "OFF") };
            self.within(op, payload, Some(Level::from(on)), by).await.map(drop)
        })
    }

    fn read<'a>(&'a self, by: &'a Deadline) -> Fut<'a, Rig<Level>> {
        // An empty command is Tasmota's question for the state.
        Box::pin(async move { self.within("read back", "", None, by).await })
    }

    fn when_dropped(&self) -> Level {
        // A plug keeps what it was told.
        Level::Unknown
    }
}
