//! A plan: which images are tested by which suites on which boards, and what happens when something goes wrong.

mod doc;
mod expand;

pub use doc::{
    ImageDoc, ImageFrom, LoginDoc, PlanDoc, PreviousDoc, RetryDoc, SickDoc, Then, UrlDoc, WorkDoc,
};
pub use expand::{Job, Plan, fill};
