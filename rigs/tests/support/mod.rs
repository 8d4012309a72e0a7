//! What the tests of this crate share.

#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod peers;
pub(crate) mod proxy;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libtest_mimic::Trial;
use shakedown_core::event::{Nowhere, Sink};
use shakedown_core::{Arch, Board, Clock, Deadline, Fut, Pace, Provision, RealClock, Rig, Sha};
use shakedown_rigs::{Answer, Operator};
use tokio_util::sync::CancellationToken;

/// A test of a target with a main of its own.
pub(crate) fn trial<F: Future<Output = ()> + 'static>(name: &'static str, test: fn() -> F) -> Trial {
    Trial::test(name, move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(test());
        Ok(())
    })
}

/// A deadline on the real clock.
pub(crate) fn by(span: Duration) -> Deadline {
    let clock: Arc<dyn Clock> = RealClock::start();
    Deadline::new("this test", span, Pace::Rig, clock, CancellationToken::new())
}

/// A sink that forgets.
pub(crate) fn nowhere() -> Arc<dyn Sink> {
    Arc::new(Nowhere)
}

/// A person who gives these answers and then falls silent.
pub(crate) struct Person(Mutex<VecDeque<Answer>>);

impl Person {
    pub(crate) fn with(answers: Vec<Answer>) -> Arc<dyn Operator> {
        Arc::new(Self(Mutex::new(answers.into())))
    }
}

impl Operator for Person {
    fn ask<'a>(&'a self, question: &'a str, by: &'a Deadline) -> Fut<'a, Rig<Answer>> {
        let answer = self.0.lock().unwrap().pop_front();
        Box::pin(async move {
            assert!(question.ends_with('?'), "{question}");
            match answer {
                Some(answer) => Ok(answer),
                None => Err(by.run(String::new, std::future::pending::<()>()).await.map_or_else(
                    |stop| {
                        shakedown_core::Fault::new(
                            shakedown_core::InfraKind::Config,
                            "operator",
                            "ask",
                            question,
                        )
                        .stopped(stop)
                    },
                    |()| unreachable!("pending never ends"),
                )),
            }
        })
    }
}

/// A board without a card.
pub(crate) fn board() -> Arc<Board> {
    Arc::new(Board {
        slug: "test-board".into(),
        name: "Test".into(),
        arch: Arch::Aarch64,
        soc: None,
        capabilities: [].into(),
        provision: Provision::DiskImage,
        baud: 115_200,
        min_off: Duration::from_millis(50),
        stages: Vec::new(),
        bad: Vec::new(),
        config_txt: Vec::new(),
        hash: Sha::of(b"test"),
    })
}
