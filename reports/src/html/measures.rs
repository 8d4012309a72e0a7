//! Measures, with a bar where a budget is known.

use maud::{Markup, html};
use shakedown_core::event::{Better, Measure};

use super::bars::percent;
use crate::text;
use crate::view::View;

/// A measure named `X.budget` is the budget of `X`.
pub(super) const BUDGET: &str = ".budget";

/// A measure, whose it is, and its budget.
struct Row<'a> {
    of: Option<String>,
    measure: &'a Measure,
    budget: Option<f64>,
}

impl Row<'_> {
    fn is_over(&self) -> bool {
        self.budget.is_some_and(|budget| match self.measure.better {
            Better::Lower => self.measure.value > budget,
            Better::Higher => self.measure.value < budget,
        })
    }
}

/// The table; `None` when nothing was measured.
pub(super) fn all(view: &View<'_>) -> Option<Markup> {
    let mut rows = pair(None, &view.ledger.measures);
    for attempt in view.cases.iter().flat_map(|case| &case.attempts) {
        rows.extend(pair(Some(&attempt.case.0), &attempt.measures));
    }
    if rows.is_empty() {
        return None;
    }
    // Those over their budget first, else in order.
    rows.sort_by_key(|row| !row.is_over());
    Some(html! {
        table class="measures" {
            thead { tr {
                th scope="col" { "Measure" } th scope="col" class="num" { "Value" }
                th scope="col" class="num" { "Budget" } th scope="col" class="bar" { "Of its budget" }
            } }
            tbody { @for row in &rows { (show(row)) } }
        }
    })
}

/// Budgets join their measures; a budget without a measure stays a row.
fn pair<'a>(of: Option<&str>, measures: &'a [Measure]) -> Vec<Row<'a>> {
    let budget = |name: &str| {
        measures.iter().find(|m| m.name.strip_suffix(BUDGET) == Some(name)).map(|measure| measure.value)
    };
    let has_measure = |name: &str| measures.iter().any(|measure| measure.name == name);
    measures
        .iter()
        .filter(|measure| !measure.name.strip_suffix(BUDGET).is_some_and(has_measure))
        .map(|measure| Row { of: of.map(text::line), measure, budget: budget(&measure.name) })
        .collect()
}

fn show(row: &Row<'_>) -> Markup {
    let value = |value: f64| text::quantity(value, &row.measure.unit);
    html! {
        tr class=[row.is_over().then_some("over")] {
            th scope="row" {
                (text::line(&row.measure.name))
                @if let Some(of) = &row.of { span class="id" { (of) } }
            }
            td class="num" { (value(row.measure.value)) @if row.is_over() { " " span class="word w-fail" { "over" } } }
            td class="num" { @match row.budget { Some(budget) => (value(budget)), None => "–" } }
            td class="bar" { @if let Some(budget) = row.budget { (bar(row, budget)) } }
        }
    }
}

fn bar(row: &Row<'_>, budget: f64) -> Markup {
    let whole = row.measure.value.max(budget) * 1.1;
    let share = if budget == 0.0 { 0.0 } else { row.measure.value / budget * 100.0 };
    html! {
        svg class="budget" width="100%" height="16" role="img" aria-label={ (format!("{share:.0}")) " % of its budget" } {
            rect class="f-idle" x="0" y="4" width="100%" height="8" rx="2" {}
            rect class=(if row.is_over() { "f-fail" } else { "f-value" }) x="0" y="4" height="8" rx="2"
                width=(percent(row.measure.value, whole)) {}
            line class="limit" x1=(percent(budget, whole)) x2=(percent(budget, whole)) y1="0" y2="16" {}
        }
    }
}
