//! Values as they are written in a document.

/// A scalar that is read back as this very text: plain where that is safe, else in double quotes.
pub(crate) fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./+ ()*".contains(c);
    let word = |text: &str| !["true", "false", "null", "yes", "no", "on", "off", "~"].contains(&text);
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let safe = text.chars().all(plain) && starts && !text.ends_with(' ') && word(&text.to_ascii_lowercase());
    if safe { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
}

/// A list on one line.
pub(crate) fn list<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| scalar(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}
