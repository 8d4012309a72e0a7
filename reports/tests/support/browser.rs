//! Debian's Chromium, headless, driven over its debugging pipe: messages are JSON, each ended by a zero byte.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The longest wait for one answer; a busy two-core machine needs most of it at the start.
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Call<'a, P> {
    id: u64,
    method: &'a str,
    params: P,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<&'a str>,
}

#[derive(Deserialize)]
struct Message {
    id: Option<u64>,
    method: Option<String>,
    result: Option<Box<RawValue>>,
    params: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

#[derive(Serialize)]
pub struct Nothing {}

pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: Receiver<Message>,
    next: u64,
    session: Option<String>,
    /// What pages said on their console, and exceptions.
    pub said: Vec<String>,
    loaded: bool,
    profile: tempfile::TempDir,
}

impl Browser {
    /// Starts one with a profile of its own and opens a page.
    pub fn start() -> Self {
        let profile = tempfile::tempdir().expect("a folder for the profile");
        // The pipe is file descriptors 3 and 4; a shell moves ours there.
        let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking \
                     --disable-component-update --disable-sync --hide-scrollbars --force-device-scale-factor=1 --remote-debugging-pipe";
        let line = format!(
            "exec chromium {flags} --user-data-dir=\"$0\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>\"$0/stderr\""
        );
        #[expect(
            clippy::disallowed_methods,
            reason = "the real browser is the counterpart here; only tests start it"
        )]
        let mut child = Command::new("sh")
            .args(["-c", &line])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let (tx, from) = channel();
        let mut out = BufReader::new(child.stdout.take().expect("stdout"));
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            while out.read_until(0, &mut bytes).is_ok_and(|read| read > 0) {
                bytes.pop();
                let message = serde_json::from_slice(&bytes).expect("a message of the protocol");
                bytes.clear();
                if tx.send(message).is_err() {
                    return;
                }
            }
        });
        let to = child.stdin.take().expect("stdin");
        let mut browser =
            Self { child, to, from, next: 0, session: None, said: Vec::new(), loaded: false, profile };
        browser.open();
        browser
    }

    fn open(&mut self) {
        #[derive(Serialize)]
        struct Create {
            url: &'static str,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Created {
            target_id: String,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Attach {
            target_id: String,
            flatten: bool,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Attached {
            session_id: String,
        }
        let Created { target_id } = self.call("Target.createTarget", Create { url: "about:blank" });
        let attached: Attached = self.call("Target.attachToTarget", Attach { target_id, flatten: true });
        self.session = Some(attached.session_id);
        for method in ["Page.enable", "Runtime.enable", "Log.enable", "DOM.enable"] {
            self.tell(method, Nothing {});
        }
    }

    /// Calls and forgets the answer, which must not be an error.
    pub fn tell(&mut self, method: &str, params: impl Serialize) {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
    }

    /// Calls and reads the answer.
    pub fn call<R: serde::de::DeserializeOwned>(&mut self, method: &str, params: impl Serialize) -> R {
        let raw = self.try_call(method, params).unwrap_or_else(|error| panic!("{method}: {error}"));
        serde_json::from_str(raw.get()).unwrap_or_else(|error| panic!("{method}: {error} in {raw}"))
    }

    /// Calls; the browser's refusal is an `Err`.
    pub fn try_call(&mut self, method: &str, params: impl Serialize) -> Result<Box<RawValue>, String> {
        self.next += 1;
        let id = self.next;
        let call = Call { id, method, params, session_id: self.session.as_deref() };
        let mut bytes = serde_json::to_vec(&call).expect("JSON");
        bytes.push(0);
        self.to.write_all(&bytes).and_then(|()| self.to.flush()).expect(
            "chromium takes calls (is it installed? `apt install chromium`; its words are in the profile's `stderr`)",
        );
        let by = Instant::now() + PATIENCE;
        loop {
            let message = self.message(by, method);
            if message.id == Some(id) {
                return match (message.result, message.error) {
                    (Some(result), _) => Ok(result),
                    (None, error) => Err(error.map(|error| error.to_string()).unwrap_or_default()),
                };
            }
        }
    }

    fn message(&mut self, by: Instant, waiting_for: &str) -> Message {
        let left = by.saturating_duration_since(Instant::now());
        let message = match self.from.recv_timeout(left) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => panic!("chromium did not answer {waiting_for} in {PATIENCE:?}"),
            Err(RecvTimeoutError::Disconnected) => {
                let log = std::fs::read_to_string(self.profile.path().join("stderr")).unwrap_or_default();
                panic!("chromium ended while waiting for {waiting_for} (`apt install chromium`?): {log}")
            }
        };
        let params = || message.params.as_ref().map(std::string::ToString::to_string).unwrap_or_default();
        match message.method.as_deref() {
            Some("Page.loadEventFired") => self.loaded = true,
            Some(method @ ("Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded")) => {
                self.said.push(format!("{method} {}", params()));
            }
            _ => {}
        }
        message
    }

    /// Loads a page and waits until it is.
    pub fn visit(&mut self, url: &str) {
        #[derive(Serialize)]
        struct Navigate<'a> {
            url: &'a str,
        }
        self.loaded = false;
        self.tell("Page.navigate", Navigate { url });
        let by = Instant::now() + PATIENCE;
        while !self.loaded {
            self.message(by, "the page's load event");
        }
    }

    /// A viewport of this width.
    pub fn width(&mut self, width: u32, height: u32) {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Metrics {
            width: u32,
            height: u32,
            device_scale_factor: f64,
            mobile: bool,
        }
        let metrics = Metrics { width, height, device_scale_factor: 1.0, mobile: width < 700 };
        self.tell("Emulation.setDeviceMetricsOverride", metrics);
    }

    /// `light`, `dark`, `print`.
    pub fn scheme(&mut self, scheme: &str) {
        #[derive(Serialize)]
        struct Feature<'a> {
            name: &'static str,
            value: &'a str,
        }
        #[derive(Serialize)]
        struct Media<'a> {
            media: &'static str,
            features: [Feature<'a>; 1],
        }
        let media = if scheme == "print" { "print" } else { "screen" };
        self.tell(
            "Emulation.setEmulatedMedia",
            Media { media, features: [Feature { name: "prefers-color-scheme", value: scheme }] },
        );
    }

    pub fn scripts(&mut self, on: bool) {
        #[derive(Serialize)]
        struct Disabled {
            value: bool,
        }
        self.tell("Emulation.setScriptExecutionDisabled", Disabled { value: !on });
    }

    /// The value of an expression that is a string.
    pub fn ask(&mut self, expression: &str) -> String {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Evaluate<'a> {
            expression: &'a str,
            return_by_value: bool,
        }
        #[derive(Deserialize)]
        struct Value {
            value: Option<String>,
            description: Option<String>,
        }
        #[derive(Deserialize)]
        struct Evaluated {
            result: Value,
        }
        let evaluated: Evaluated =
            self.call("Runtime.evaluate", Evaluate { expression, return_by_value: true });
        evaluated.result.value.unwrap_or_else(|| panic!("{expression}: {:?}", evaluated.result.description))
    }

    /// The width of all that the page lays out, in CSS pixels; works without scripts.
    pub fn content_width(&mut self) -> f64 {
        #[derive(Deserialize)]
        struct Size {
            width: f64,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Layout {
            css_content_size: Size,
        }
        self.call::<Layout>("Page.getLayoutMetrics", Nothing {}).css_content_size.width
    }

    /// Whether the first element that fits the selector has a box on the page; works without scripts.
    pub fn is_laid_out(&mut self, selector: &str) -> bool {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Node {
            node_id: u64,
        }
        #[derive(Deserialize)]
        struct Document {
            root: Node,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Query<'a> {
            node_id: u64,
            selector: &'a str,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Which {
            node_id: u64,
        }
        let root: Document = self.call("DOM.getDocument", Nothing {});
        let found: Node = self.call("DOM.querySelector", Query { node_id: root.root.node_id, selector });
        found.node_id != 0 && self.try_call("DOM.getBoxModel", Which { node_id: found.node_id }).is_ok()
    }

    /// The whole page as PNG, in base64.
    pub fn screenshot(&mut self) -> Vec<u8> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Shot {
            capture_beyond_viewport: bool,
        }
        #[derive(Deserialize)]
        struct Taken {
            data: String,
        }
        let taken: Taken = self.call("Page.captureScreenshot", Shot { capture_beyond_viewport: true });
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, taken.data).expect("base64")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let by = Instant::now() + Duration::from_secs(10);
        let _ = self.to.write_all(b"{\"id\":999999,\"method\":\"Browser.close\",\"params\":{}}\0");
        // Its end closes the pipe, and with it the channel.
        while let Ok(_message) = self.from.recv_timeout(by.saturating_duration_since(Instant::now())) {}
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
