//! `shakedown boards list`: a line a board, those that are asked for.

use shakedown_boards::{Catalogue, Resolved};
use shakedown_core::{Capability, ExitCode};

use crate::say::{err, out};

/// `shakedown boards list`.
#[derive(clap::Args, Debug)]
pub(super) struct Args {
    /// Only this CPU architecture: amd64, aarch64, armv7hf …
    #[arg(long, value_name = "ARCH")]
    arch: Option<String>,
    /// Only boards that extend this family, or that their vendor groups so.
    #[arg(long, value_name = "NAME")]
    family: Option<String>,
    /// Only boards that are provisioned so: sd-card, flasher, usb-boot …
    #[arg(long, value_name = "HOW")]
    provision: Option<String>,
    /// Only boards with this capability: wifi, led … (repeatable)
    #[arg(long = "capability", value_name = "WORD")]
    capabilities: Vec<String>,
}

impl Args {
    fn wants(&self, of: &Resolved) -> bool {
        let (board, facts) = (&of.board, &of.facts);
        let is = |asked: &Option<String>, got: &str| asked.as_deref().is_none_or(|asked| asked == got);
        is(&self.arch, &board.arch.to_string())
            && is(&self.provision, board.provision.word())
            && self
                .family
                .as_ref()
                .is_none_or(|name| facts.families.contains(name) || facts.group.as_ref() == Some(name))
            && self.capabilities.iter().all(|word| board.capabilities.contains(&Capability::new(word)))
    }
}

pub(super) fn run(catalogue: &Catalogue, args: &Args) -> ExitCode {
    let mut count = 0;
    for listed in catalogue.list() {
        match &listed.resolved {
            Ok(of) if args.wants(of) => {
                let board = &of.board;
                let support = of.facts.lifecycle.support.map_or("", |support| support.word());
                let arch = board.arch.to_string();
                out!(
                    "{:<38} {arch:<8} {:<16} {support:<12} {}",
                    listed.slug,
                    board.provision.word(),
                    board.name
                );
                count += 1;
            }
            Ok(_) => {}
            Err(error) => out!("{:<38} broken: {error}", listed.slug),
        }
    }
    if count > 0 {
        return ExitCode::Ok;
    }
    err!("no board is so; `shakedown boards list` shows what there is");
    ExitCode::NothingRan
}
