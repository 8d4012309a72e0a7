//! The `shakedown` command.

fn main() -> std::process::ExitCode {
    // When this process is the warden of another, it does nothing else.
    shakedown_host::warden::serve_if_asked();
    shakedown::main()
}
