//! YAML text to a typed value, with places for every error; no domain nouns.
