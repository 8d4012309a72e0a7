//! The shakedown command: composition root and one file a subcommand.
