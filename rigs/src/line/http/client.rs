//! One request and its answer, with the login that the device asks for.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use shakedown_conf::{Revealed, Secret, SecretError};
use shakedown_core::{Deadline, Fault, InfraKind, Rig};
use ureq::http;

use super::{Login, digest};
use crate::worker::left;

/// The longest answer that is read: a PDU's whole status page.
const LONGEST: u64 = 256 << 10;

/// One request, with nothing left to fill in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) method: String,
    /// From the first `/`, with the query.
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
}

/// The device's address and what opens it. Secrets are read for each request and forgotten.
pub(crate) struct Client {
    pub(crate) driver: &'static str,
    /// For people.
    pub(crate) endpoint: String,
    /// Without a slash at its end.
    pub(crate) base: String,
    pub(crate) login: Option<Login>,
    /// Tasmota takes the login as a part of the address.
    pub(crate) login_in_query: bool,
    pub(crate) token: Option<Secret>,
}

/// What must not be shown, in every form in which a device may echo it.
struct Hidden(Vec<String>);

impl Hidden {
    fn new(secrets: &[&Revealed]) -> Self {
        let all = secrets.iter().map(|secret| secret.expose()).filter(|secret| !secret.is_empty());
        let forms = |secret: &str| [secret.to_owned(), encode(secret), BASE64.encode(secret)];
        Self(all.flat_map(forms).collect())
    }

    fn add(&mut self, made: String) {
        self.0.push(made);
    }

    /// The beginning of what a device said, on one line, without secrets.
    fn excerpt(&self, bytes: &[u8]) -> String {
        let text = String::from_utf8_lossy(bytes);
        let text = self.0.iter().fold(text.into_owned(), |text, secret| text.replace(secret, "<secret>"));
        let short: String = text.chars().take(200).collect();
        format!("{short:?}")
    }
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

impl Client {
    pub(crate) fn fault(&self, op: &str) -> Fault {
        Fault::new(InfraKind::Power, self.driver, op, &self.endpoint)
    }

    /// Sends it and gives what came, if the device says that all is well. Blocks.
    pub(crate) fn send(&self, op: &str, ask: &Ask, by: &Deadline) -> Rig<Said> {
        let not_at_hand = |error: SecretError| {
            let fault = Fault::new(InfraKind::Config, self.driver, op, &self.endpoint);
            fault.expected("its login at hand", error.to_string())
        };
        let password = self.login.as_ref().map(|login| login.password.reveal());
        let password = password.transpose().map_err(not_at_hand)?;
        let token = self.token.as_ref().map(Secret::reveal).transpose();
        let token = token.map_err(not_at_hand)?;
        let mut hidden = Hidden::new(&password.iter().chain(&token).collect::<Vec<_>>());
        let login = self.login.as_ref().zip(password.as_ref());

        let mut ask = ask.clone();
        if let Some(token) = &token {
            ask.headers.push(("Authorization".into(), format!("Bearer {}", token.expose())));
        }
        if let (Some((login, password)), true) = (login, self.login_in_query) {
            let (user, password) = (encode(&login.user), encode(password.expose()));
            ask.path = format!("{}&user={user}&password={password}", ask.path);
        }
        let mut said = self.once(op, &ask, by, &hidden)?;
        if said.status == 401
            && let (Some((login, password)), false) = (login, said.challenges.is_empty())
        {
            // The first request was refused, so nothing is done twice.
            let cnonce = format!("{:016x}", by.clock().now().0);
            let uri = self.target(&ask.path);
            let secret = password.expose();
            // A server offers several logins in lines of their own; Basic only where no digest can be met.
            let digest = said.challenges.iter().find_map(|challenge| {
                digest::answer(challenge, &login.user, secret, &ask.method, &uri, &cnonce)
            });
            let basic = |challenge: &String| challenge.to_ascii_lowercase().starts_with("basic");
            let pair = said.challenges.iter().any(basic);
            let pair = pair.then(|| BASE64.encode(format!("{}:{secret}", login.user)));
            // By itself: a device may say it back without the word before it.
            if let Some(pair) = &pair {
                hidden.add(pair.clone());
            }
            let Some(header) = digest.or_else(|| pair.map(|pair| format!("Basic {pair}"))) else {
                let known = "a login by Basic, or by Digest with MD5 or SHA-256";
                let got = format!("the challenge {}", hidden.excerpt(said.challenges.join(", ").as_bytes()));
                return Err(self.fault(op).expected(known, got));
            };
            hidden.add(header.clone());
            ask.headers.push(("Authorization".into(), header));
            said = self.once(op, &ask, by, &hidden)?;
        }
        match said.status {
            200..=299 => Ok(said),
            401 | 403 => Err(self
                .fault(op)
                .expected("to be let in", format!("status {} and {}", said.status, said.excerpt))
                .hint("check `login` or `token` in the rig file")),
            status => {
                Err(self.fault(op).expected("status 200", format!("status {status} and {}", said.excerpt)))
            }
        }
    }

    /// What the request line names: the path of the device's address, and the request's own.
    fn target(&self, path: &str) -> String {
        let host = self.base.strip_prefix("http://").unwrap_or(&self.base);
        let prefix = host.find('/').map_or("", |at| &host[at..]);
        format!("{prefix}{path}")
    }

    fn once(&self, op: &str, ask: &Ask, by: &Deadline, hidden: &Hidden) -> Rig<Said> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(left(by)))
            .http_status_as_error(false)
            // A device that sends us elsewhere is not the one that the rig file names.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .build()
            .into();
        // The address may hold a secret in its query, and so may the library's words about it.
        let wrong = |error: &ureq::Error| {
            let words = hidden.excerpt(error.to_string().as_bytes());
            let fault = self.fault(op).expected("an answer", words);
            if matches!(error, ureq::Error::Timeout(_)) { fault.stopped(by.stop("no answer")) } else { fault }
        };
        let url = format!("{}{}", self.base, ask.path);
        let mut request = http::Request::builder().method(ask.method.as_str()).uri(url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        // Small servers (ESP-IDF's) want a Content-Length wherever a body may come, also of none.
        let none = matches!(ask.method.as_str(), "POST" | "PUT" | "PATCH").then(String::new);
        let sent = match ask.body.clone().or(none) {
            Some(body) => request.body(body).map_err(ureq::Error::from).and_then(|it| agent.run(it)),
            None => request.body(()).map_err(ureq::Error::from).and_then(|it| agent.run(it)),
        };
        let mut answer = sent.map_err(|error| wrong(&error))?;
        let challenges = answer.headers().get_all(http::header::WWW_AUTHENTICATE);
        let challenges =
            challenges.iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect();
        let body = answer.body_mut().with_config().limit(LONGEST).read_to_vec();
        let body = body.map_err(|error| wrong(&error))?;
        let excerpt = hidden.excerpt(&body);
        Ok(Said { status: answer.status().as_u16(), challenges, body, excerpt })
    }
}

/// What a device answered.
pub(crate) struct Said {
    status: u16,
    /// Each line of `WWW-Authenticate`.
    challenges: Vec<String>,
    pub(crate) body: Vec<u8>,
    /// For people: without secrets.
    pub(crate) excerpt: String,
}
