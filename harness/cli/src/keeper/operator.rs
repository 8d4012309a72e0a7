//! The person at the bench, asked through the command that is being served.

use std::sync::{Mutex, PoisonError};

use shakedown_core::{Deadline, Fault, Fut, InfraKind, Rig};
use shakedown_rigs::{Answer, Operator};
use tokio::sync::{mpsc, oneshot};

/// A question, and the way back for its answer.
pub(super) type Question = (String, oneshot::Sender<Answer>);

/// Passes questions on to whoever is served now. Without anybody there is nobody to ask.
#[derive(Debug, Default)]
pub(super) struct Asker(Mutex<Option<mpsc::Sender<Question>>>);

impl Asker {
    /// From now on questions come out here.
    pub(super) fn listen(&self) -> mpsc::Receiver<Question> {
        let (way, questions) = mpsc::channel(1);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(way);
        questions
    }
}

impl Operator for Asker {
    fn ask<'a>(&'a self, question: &'a str, by: &'a Deadline) -> Fut<'a, Rig<Answer>> {
        Box::pin(async move {
            let way = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let (back, answer) = oneshot::channel();
            let asked = match &way {
                Some(way) => way.send((question.to_owned(), back)).await.is_ok(),
                None => false,
            };
            if !asked {
                return shakedown_rigs::Nobody.ask(question, by).await;
            }
            let fault = || Fault::new(InfraKind::Power, "operator", "ask", question);
            match by.run(String::new, answer).await {
                Ok(Ok(answer)) => Ok(answer),
                Ok(Err(_)) => Err(fault().expected("an answer", "the command has ended")),
                Err(stop) => Err(fault().stopped(stop)),
            }
        })
    }
}
