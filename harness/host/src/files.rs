//! Files over a shell: written beside their place, proven, then renamed into it.

use shakedown_core::shell::quote;
use shakedown_core::{Cmd, Deadline, Ran, Sha, Shell, ShellError, Unreachable};

/// The DUT answered, and will not.
pub(crate) fn refused(what: String) -> ShellError {
    ShellError::Dut(Unreachable::Refusal(what))
}

/// A command that must have returned 0.
pub(crate) fn must(ran: &Ran, op: &str, path: &str) -> Result<(), ShellError> {
    if ran.exit.is_ok() {
        return Ok(());
    }
    let said = if ran.err.is_empty() { &ran.out } else { &ran.err };
    let said = String::from_utf8_lossy(said);
    Err(refused(format!("cannot {op} {path}: {}: {}", ran.exit, said.trim())))
}

/// A new name in the same folder, so that the rename is one step.
pub(crate) fn temp_beside(to: &str) -> String {
    format!("{to}.{}.part", nonce(6))
}

/// So many random bytes, as hex digits.
pub(crate) fn nonce(bytes: usize) -> String {
    let mut nonce = vec![0; bytes];
    // Without random numbers names are only easier to guess.
    let _ = getrandom::fill(&mut nonce);
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    nonce.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// A line of shell that writes its input into `temp`, readable by nobody else.
pub(crate) fn fill(temp: &str) -> String {
    format!("umask 077; cat > {}", quote(temp))
}

/// Proves that `temp` holds `data`, then renames it to `to`.
pub(crate) async fn finish(
    shell: &dyn Shell,
    temp: &str,
    to: &str,
    data: &[u8],
    mode: u32,
    by: &Deadline,
) -> Result<(), ShellError> {
    let proof = prove(shell, temp, data, by).await;
    let name = quote(temp);
    if let Err(error) = proof {
        let _ = shell.run(&Cmd::sh(format!("rm -f {name}")), by).await;
        return Err(error);
    }
    // A folder of that name would swallow the file.
    let to_name = quote(to);
    let line = format!(
        "if [ -d {to_name} ]; then rm -f {name}; echo it is a folder >&2; exit 1; fi; \
         chmod {mode:o} {name} && mv -f {name} {to_name}"
    );
    let ran = shell.run(&Cmd::sh(line), by).await?;
    must(&ran, "put into place", to)
}

/// By the DUT's SHA-256; where it has none, by reading everything back.
async fn prove(shell: &dyn Shell, temp: &str, data: &[u8], by: &Deadline) -> Result<(), ShellError> {
    let ran = shell.run(&Cmd::sh(format!("sha256sum < {}", quote(temp))), by).await?;
    let expected = Sha::of(data);
    let wrong = |got: String| {
        let what = format!("{temp} was written as SHA-256 {expected} and reads back as {got}");
        ShellError::Dut(Unreachable::Mangled(what))
    };
    if ran.exit.is_ok() {
        let text = ran.text();
        let got = text.split_ascii_whitespace().next().unwrap_or_default();
        return if Sha::from_hex(got) == Some(expected) { Ok(()) } else { Err(wrong(got.to_owned())) };
    }
    let back = shell.get(temp, data.len() as u64, by).await?;
    if back == data { Ok(()) } else { Err(wrong(Sha::of(&back).to_string())) }
}
