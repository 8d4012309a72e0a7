//! Renderers of the journal: terminal, JUnit, TAP, JSON, HTML, summary.
