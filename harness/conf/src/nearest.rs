//! The name that was probably meant.

use std::cmp::Reverse;

/// The candidate closest to `got` by edit distance (a swap of neighbours counts
/// one), where it is close enough to be a slip and not another word.
pub fn nearest<'a, S: AsRef<str> + ?Sized + 'a>(
    got: &str,
    candidates: impl IntoIterator<Item = &'a S>,
) -> Option<&'a str> {
    let got: Vec<char> = got.chars().take(64).flat_map(char::to_lowercase).collect();
    let limit = (got.len() / 3).max(1);
    candidates
        .into_iter()
        .map(|name| {
            let name = name.as_ref();
            let chars: Vec<char> = name.chars().take(64).flat_map(char::to_lowercase).collect();
            let common = got.iter().zip(&chars).take_while(|(a, b)| a == b).count();
            (distance(&got, &chars), Reverse(common), name)
        })
        .filter(|(distance, _, name)| *distance <= limit && *distance < name.chars().count())
        // Among equals, the one that begins as it was typed.
        .min_by_key(|(distance, common, _)| (*distance, *common))
        .map(|(_, _, name)| name)
}

/// Optimal string alignment distance.
fn distance(a: &[char], b: &[char]) -> usize {
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let changed = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = changed.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_find_their_word_and_other_words_do_not() {
        let fields = ["on", "off", "chip", "line", "active-low", "board"];
        for (got, want) in [
            ("lnie", Some("line")),
            ("lines", Some("line")),
            ("of", Some("off")),
            ("active_low", Some("active-low")),
            ("Board", Some("board")),
            ("brd", None),
            ("pin", None),
            ("", None),
        ] {
            assert_eq!(nearest(got, &fields), want, "{got}");
        }
    }
}
