//! One run on one slot: provision, boot, cases, collect; adjudicates blame.
