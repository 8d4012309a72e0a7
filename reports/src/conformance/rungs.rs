//! The rungs of a bring-up, from the wire up: what each is made of, as data.

/// One rung: steps and cases of the run that show it.
#[derive(Clone, Copy, Debug)]
pub struct Rung {
    /// As `--only` names it.
    pub name: &'static str,
    /// What holds when it passes.
    pub title: &'static str,
    /// Outputs that must have been seen off and, after that, on. What the run measured of them,
    /// named `OUTPUT.WHAT`, are its figures.
    pub outputs: &'static [&'static str],
    /// Steps of the run that must have ended with their proof.
    pub steps: &'static [&'static str],
    /// Ids of cases; one that ends with `::` stands for all of its module.
    pub cases: &'static [&'static str],
    /// Its cases are about what somebody claims: one that is skipped because nobody does leaves it
    /// a pass. Elsewhere what was skipped was not shown.
    pub of_claims: bool,
}

/// In the order in which a porter climbs them.
pub static RUNGS: &[Rung] = &[
    Rung {
        name: "wiring",
        title: "each part answers, and the console speaks when the supply is switched, and not before",
        outputs: &[],
        steps: &["examine wiring"],
        cases: &[],
        of_claims: false,
    },
    Rung {
        name: "power",
        title: "the supply is switched, read back or seen on the console, and the board starts anew each time",
        outputs: &["power"],
        steps: &["cycle power"],
        cases: &[],
        of_claims: false,
    },
    Rung {
        name: "provisioning",
        title: "the image is on the medium, read back, with this run's identity where the OS takes one",
        outputs: &[],
        steps: &["write image", "inject identity"],
        cases: &[],
        of_claims: false,
    },
    Rung {
        name: "boot",
        title: "the board climbs all of its stages, each time that its power comes back",
        outputs: &[],
        steps: &[],
        cases: &["boot::cold::ready", "power::cuts::cold-boots"],
        of_claims: false,
    },
    Rung {
        name: "console",
        title: "the console loses no byte at full rate",
        outputs: &[],
        steps: &[],
        cases: &["console::line::full-rate"],
        of_claims: false,
    },
    Rung {
        name: "shells",
        title: "there are two ways in, the network's and the console's, and none for strangers",
        outputs: &[],
        steps: &[],
        cases: &["os::ssh::", "console::line::login"],
        of_claims: false,
    },
    Rung {
        name: "storage",
        title: "the layout is as the OS promises, and what is synced outlives the power",
        outputs: &[],
        steps: &[],
        cases: &["os::storage::", "os::root::read-only", "power::cuts::synced-data-survives"],
        of_claims: false,
    },
    Rung {
        name: "reboot-and-watchdog",
        title: "it reboots when asked, and its watchdog resets it when it hangs",
        outputs: &[],
        steps: &[],
        cases: &["os::reboot::"],
        of_claims: false,
    },
    Rung {
        name: "engine",
        title: "the container engine answers, is as promised, and runs containers",
        outputs: &[],
        steps: &[],
        cases: &["container::engine::", "container::run::app-answers", "container::run::memory-limit"],
        of_claims: true,
    },
    Rung {
        name: "update",
        title: "an update commits, and a broken one rolls back",
        outputs: &[],
        steps: &[],
        cases: &["update::commit::", "update::rollback::"],
        of_claims: false,
    },
    Rung {
        name: "capabilities",
        title: "the hardware that the descriptor claims is there",
        outputs: &[],
        steps: &[],
        cases: &["hardware::found::"],
        of_claims: true,
    },
];

impl Rung {
    /// The rung of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        RUNGS.iter().find(|rung| rung.name == name)
    }

    /// Whether a case is a part of it.
    pub fn has(&self, case: &str) -> bool {
        self.cases.iter().any(|of| stands_for(of, case))
    }

    /// The patterns of `--case` that choose its cases; the run's own first boot needs none.
    pub fn patterns(&self) -> Vec<String> {
        let own = |id: &&&str| **id != shakedown_core::ledger::BOOT;
        let pattern = |id: &&str| if id.ends_with("::") { format!("{id}*") } else { (*id).to_owned() };
        self.cases.iter().filter(own).map(pattern).collect()
    }
}

/// Whether an entry of [`Rung::cases`] means this case.
pub(super) fn stands_for(of: &str, case: &str) -> bool {
    if of.ends_with("::") { case.starts_with(of) } else { case == of }
}

#[cfg(test)]
mod tests {
    use super::{RUNGS, Rung};

    #[test]
    fn a_case_stands_on_one_rung_at_most() {
        let boot = Rung::named("boot").unwrap();
        assert!(boot.has("boot::cold::ready") && !boot.has("boot::cold::ready-again"));
        assert_eq!(boot.patterns(), ["power::cuts::cold-boots"]);
        let shells = Rung::named("shells").unwrap();
        assert!(shells.has("os::ssh::refuses-passwords") && !shells.has("os::sshd::x"));
        assert_eq!(shells.patterns()[0], "os::ssh::*");
        for case in ["power::cuts::cold-boots", "power::cuts::synced-data-survives", "console::line::login"] {
            assert_eq!(RUNGS.iter().filter(|rung| rung.has(case)).count(), 1, "{case}");
        }
    }
}
