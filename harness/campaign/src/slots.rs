//! Which slots are in service, which must be looked at first, and which are sick.

use crate::came::{Came, Class};

/// A slot that a campaign may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotSpec {
    /// `rig/slot`.
    pub id: String,
    /// The board type that sits in it.
    pub board: String,
}

/// A slot in the campaign.
#[derive(Clone, Debug)]
pub struct SlotState {
    /// Which.
    pub spec: SlotSpec,
    /// Runs that ended.
    pub runs: u32,
    /// Of them, how many ended because the rig broke.
    pub infra: u32,
    /// The rig broke: it is not used again before its health was looked at.
    pub suspect: Option<String>,
    /// Taken out of service: why.
    pub out: Option<String>,
    in_row: u32,
}

impl SlotState {
    /// In service, nothing known.
    pub fn new(spec: SlotSpec) -> Self {
        Self { spec, runs: 0, infra: 0, suspect: None, out: None, in_row: 0 }
    }

    /// A run on it ended. After so many in a row that the rig broke, it is sick.
    pub fn ended(&mut self, came: &Came, sick_after: u32) {
        self.runs += 1;
        match came.class {
            Class::Infra => {
                (self.infra, self.in_row) = (self.infra + 1, self.in_row + 1);
                self.suspect = Some(came.reason());
                if self.in_row >= sick_after {
                    self.out = Some(format!(
                        "{} runs in a row ended as infra, last: {}",
                        self.in_row,
                        came.reason()
                    ));
                }
            }
            Class::Cut => {}
            Class::Passed | Class::Failed | Class::Undetermined => self.in_row = 0,
        }
    }

    /// Its health was looked at.
    pub fn checked(&mut self, fault: Option<&str>) {
        let before = self.suspect.take();
        if let Some(fault) = fault {
            let before = before.unwrap_or_default();
            self.out = Some(format!("its health check failed: {fault} (the run before: {before})"));
        }
    }
}
