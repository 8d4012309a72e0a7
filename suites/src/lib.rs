//! The cases: YAML checks and Rust cases side by side.
