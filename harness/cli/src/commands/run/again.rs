//! The command that repeats a run, as it stands in the journal and in the reports.

use std::path::PathBuf;

use clap::ValueEnum;
use shakedown_core::shell::quote;

use super::Args;

/// Every option that decides what is run, as it was given. A slot, rig file or image that was not
/// named is left out where the same look-up finds it again; what came from the environment is named.
pub(super) fn command(paths: &[PathBuf], args: &Args, slot: &str) -> String {
    let mut words = vec!["shakedown".to_owned(), "run".to_owned()];
    let mut option = |name: &str, value: &str| words.extend([name.to_owned(), quote(value)]);
    let file = |path: &PathBuf| path.display().to_string();
    for path in paths {
        option("--path", &file(path));
    }
    let variable = std::env::var_os("SHAKEDOWN_RIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(rig) = args.rig.as_ref().or(variable.as_ref()) {
        option("--rig", &file(rig));
    }
    match &args.board {
        Some(board) => option("--board", board),
        None => option("--slot", slot),
    }
    if let Some(image) = &args.image {
        option("--image", &file(image));
    }
    if let Some(os) = &args.os {
        option("--os", os);
    }
    for companion in &args.companions {
        option("--companion", companion);
    }
    if let Some(selection) = &args.selection {
        option("--selection", selection);
    }
    if let Some(suite) = &args.suite {
        option("--suite", suite);
    }
    for case in &args.cases {
        option("--case", case);
    }
    if args.repeat != 1 {
        option("--repeat", &args.repeat.to_string());
    }
    if let Some(control) = &args.control {
        option("--control", &file(control));
    }
    if let Some(which) = args.sabotage.and_then(|which| which.to_possible_value()) {
        option("--sabotage", which.get_name());
    }
    if let Some(out) = &args.out {
        option("--out", &file(out));
    }
    if let Some(format) =
        args.message_format.to_possible_value().filter(|format| format.get_name() != "human")
    {
        option("--message-format", format.get_name());
    }
    let flags = [("--keep", args.keep), ("--no-flash", args.no_flash), ("--delta", args.delta)];
    words.extend(flags.into_iter().filter(|(_, set)| *set).map(|(name, _)| name.to_owned()));
    words.join(" ")
}

/// The same of a run without cases, which is a command of its own.
pub(super) fn provisioning(paths: &[PathBuf], args: &Args, slot: &str) -> String {
    let mut words = vec!["shakedown".to_owned(), "provision".to_owned(), quote(slot)];
    let file = |path: &PathBuf| quote(&path.display().to_string());
    words.extend(args.image.as_ref().map(file));
    for path in paths {
        words.extend(["--path".to_owned(), file(path)]);
    }
    let variable = std::env::var_os("SHAKEDOWN_RIG").filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(rig) = args.rig.as_ref().or(variable.as_ref()) {
        words.extend(["--rig".to_owned(), file(rig)]);
    }
    if let Some(os) = &args.os {
        words.extend(["--os".to_owned(), quote(os)]);
    }
    if let Some(out) = &args.out {
        words.extend(["--out".to_owned(), file(out)]);
    }
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::commands::Cli;

    fn parsed(line: &[&str]) -> (Vec<PathBuf>, Args) {
        let cli = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{line:?}: {error}"));
        let args = cli.run_args().unwrap().clone();
        (cli.paths, args)
    }

    #[test]
    fn the_printed_command_is_the_same_run() {
        for line in [
            "--board generic-amd64",
            "--board generic-amd64 --selection quick --repeat 3",
            "--slot amd64 --suite os --case os::* --case container::engine::*",
            "--slot pi --rig desk.yaml --image os.img.zst --os balenaos --companion update=next.tar \
             --companion update-unhealthy=bad.tar --control good.img --no-flash --keep",
            "--path boards --path more --board mine --sabotage proven",
            "--board generic-amd64 --sabotage all --out elsewhere --message-format json",
        ] {
            let words: Vec<&str> = ["shakedown", "run"].into_iter().chain(line.split_whitespace()).collect();
            let (paths, args) = parsed(&words);
            let again = command(&paths, &args, args.slot.as_deref().unwrap_or("first"));
            // No value above needs quotes, so words are words; the quotes of globs are a shell's.
            let again = again.replace('\'', "");
            let again: Vec<&str> = again.split(' ').collect();
            assert_eq!(parsed(&again), (paths, args), "{line}: {again:?}");
        }
    }

    #[test]
    fn a_slot_that_was_found_is_named_and_an_image_that_was_found_is_not() {
        let (paths, args) = parsed(&["shakedown", "run"]);
        assert_eq!(command(&paths, &args, "amd64"), "shakedown run --slot amd64");
        let (paths, args) = parsed(&["shakedown", "run", "--board", "x", "--case", "a b::*"]);
        assert_eq!(command(&paths, &args, "amd64"), "shakedown run --board x --case 'a b::*'");
    }
}
