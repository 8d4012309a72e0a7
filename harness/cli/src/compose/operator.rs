//! The person at the bench, asked on this terminal.

use std::io::{BufRead, IsTerminal};

use shakedown_core::{Deadline, Fault, Fut, InfraKind, Rig};
use shakedown_rigs::{Answer, Operator};

/// Asks on standard error, reads standard input. Without a terminal nobody is there to answer.
pub struct Terminal;

impl Operator for Terminal {
    fn ask<'a>(&'a self, question: &'a str, by: &'a Deadline) -> Fut<'a, Rig<Answer>> {
        Box::pin(async move {
            if !std::io::stdin().is_terminal() {
                return shakedown_rigs::Nobody.ask(question, by).await;
            }
            let fault = |got: &str| {
                Fault::new(InfraKind::Power, "operator", "ask", question)
                    .expected("y, n or ?", got.to_owned())
            };
            crate::say::to_err(format_args!("{question} [y/n/?] "));
            let (answer, wait) = tokio::sync::oneshot::channel();
            let reader = std::thread::Builder::new().name("operator".to_owned()).spawn(move || {
                let mut line = String::new();
                let read = std::io::stdin().lock().read_line(&mut line).map(|_| line);
                // Nobody waits any more when the deadline passed.
                drop(answer.send(read));
            });
            reader.map_err(|error| fault("no thread to read with").because(&error))?;
            let line = match by.run(String::new, wait).await {
                Ok(Ok(Ok(line))) => line,
                Ok(_) => return Err(fault("a closed input")),
                Err(stop) => return Err(fault("no answer").stopped(stop)),
            };
            match line.trim() {
                "y" | "yes" => Ok(Answer::Yes),
                "n" | "no" => Ok(Answer::No),
                "?" => Ok(Answer::DoNotKnow),
                other => Err(fault(other)),
            }
        })
    }
}
