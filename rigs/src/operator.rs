//! The person at the bench.

use shakedown_core::{Deadline, Fault, Fut, InfraKind, Rig};

/// What a person answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is so, or it is done.
    Yes,
    /// It is not so, or it cannot be done.
    No,
    /// The person cannot tell.
    DoNotKnow,
}

/// The person at the bench, as far as the harness can reach them. Given by the cli, which
/// talks to a terminal.
pub trait Operator: Send + Sync {
    /// Asks one question and waits for its answer, within the deadline.
    fn ask<'a>(&'a self, question: &'a str, by: &'a Deadline) -> Fut<'a, Rig<Answer>>;
}

/// There is nobody: a run without a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Nobody;

impl Operator for Nobody {
    fn ask<'a>(&'a self, question: &'a str, _by: &'a Deadline) -> Fut<'a, Rig<Answer>> {
        Box::pin(async move {
            Err(Fault::new(InfraKind::Config, "operator", "ask", question)
                .expected("a person at a terminal", "a run without one")
                .hint("run it from a terminal, or use a driver that needs nobody"))
        })
    }
}
