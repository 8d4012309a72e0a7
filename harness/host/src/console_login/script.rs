//! The loop that runs on the DUT, and the lines that it reads.

/// Typed first, at the prompt: short, so that no line editor wraps it. What comes next is
/// read by `read`, where the kernel's terminal echoes each byte as it is. It must not be
/// typed before [`OPENED`]: what a terminal takes in a line editor's mode and gives in its
/// cooked one, it may give as an early end of the line.
pub(super) const OPEN: &str = "printf '\\036';IFS= read -r _sdl;eval \"$_sdl\"";

/// What the first line prints when the terminal is out of the line editor's hands.
pub(super) const OPENED: u8 = 0x1e;

/// The loop. A line is `ID:LENGTH:MODE TEXT`. Marks begin with the byte 0x1e, which never
/// occurs in what is typed, so an echo is never taken for one. The end is printed twice: a
/// kernel message in the middle of one spares the other.
pub(super) const LOOP: &str = concat!(
    "stty sane 2>/dev/null;export TERM=dumb;while IFS= read -r _sdl;do ",
    "_sdi=${_sdl%%:*};_sdl=${_sdl#*:};_sdn=${_sdl%%:*};_sdl=${_sdl#*:};",
    "if [ ${#_sdl} = \"$_sdn\" ];then printf '\\n\\036b%s\\n' \"$_sdi\";",
    "case $_sdl in p*)eval \"${_sdl#p}\" </dev/null;;*)(eval \"${_sdl#s}\") </dev/null;;esac;_sds=$?;",
    "printf '\\n\\036e%s:%s:\\n' \"$_sdi\" $_sds;printf '\\036e%s:%s:\\n' \"$_sdi\" $_sds;",
    "else printf '\\n\\036x%s\\n' \"$_sdi\";fi;done",
);

/// What the loop says of a line end that was typed at it, with or without an interrupt before it.
pub(super) const NO_LINE: &str = r"\x1ex[\x03\x1c]*$";

/// Longer ones go through a file.
const TYPED: usize = 2000;

/// Where a line is evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// In the loop's own shell: saves a fork, for what cannot change or end that shell.
    Plain,
    /// In a subshell: `exit`, `cd` and syntax errors end there.
    Subshell,
}

/// What is typed to have the loop run `text`.
pub(super) fn line(id: &str, mode: Mode, text: &str) -> String {
    let mode = if mode == Mode::Plain { 'p' } else { 's' };
    format!("{id}:{}:{mode}{text}", text.len() + 1)
}

/// Whether the text survives a terminal in its cooked mode: one line of printable ASCII.
pub(super) fn can_be_typed(text: &str) -> bool {
    text.len() <= TYPED && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether the text is words without any meaning to the shell, the first of which neither
/// changes the shell nor is part of its grammar.
pub(super) fn leaves_shell_as_it_is(text: &str) -> bool {
    const OTHERS: [&str; 46] = [
        ".", ":", "alias", "bg", "bind", "break", "builtin", "case", "cd", "command", "continue", "coproc",
        "declare", "disown", "do", "enable", "eval", "exec", "exit", "export", "fg", "for", "function",
        "getopts", "hash", "if", "let", "local", "logout", "mapfile", "popd", "pushd", "read", "readonly",
        "return", "select", "set", "shift", "shopt", "source", "trap", "typeset", "ulimit", "umask", "unset",
        "while",
    ];
    const MORE: [&str; 12] = [
        "until",
        "unalias",
        "wait",
        "time",
        "times",
        "then",
        "else",
        "fi",
        "done",
        "esac",
        "suspend",
        "readarray",
    ];
    let plain = |c: char| c.is_ascii_alphanumeric() || " -_./:@%+,".contains(c);
    let first = text.split(' ').find(|word| !word.is_empty());
    text.chars().all(plain) && first.is_some_and(|word| !OTHERS.contains(&word) && !MORE.contains(&word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_harmless_lines_are_run_without_a_subshell() {
        for harmless in ["echo hello-1", "cat /etc/os-release", "systemctl is-system-running", "true"] {
            assert!(leaves_shell_as_it_is(harmless), "{harmless}");
        }
        for other in [
            "exit 3",
            " exit 3",
            "cd /tmp",
            "a=1",
            "echo $(exit)",
            "true; exit",
            "if",
            "echo 'x",
            "",
            "x=1 y",
        ] {
            assert!(!leaves_shell_as_it_is(other), "{other}");
        }
    }

    #[test]
    fn what_is_typed_holds_no_mark_and_fits_a_terminal() {
        assert!(can_be_typed(OPEN) && can_be_typed(LOOP) && OPEN.len() < 60);
        assert_eq!(line("a1", Mode::Subshell, "exit 3"), "a1:7:sexit 3");
        assert!(!can_be_typed("a\nb") && !can_be_typed("ü") && !can_be_typed(&"x".repeat(TYPED + 1)));
    }
}
