//! "Did you mean": the known word that is nearest to what somebody wrote. Pure.

/// Returns the known word that the written one is likely to stand for.
pub(super) fn closest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may be wrong; more than that and the hint would be a guess.
    let bound = (written.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|word| (distance(&normal(written), &normal(word)), word))
        .filter(|(distance, _)| *distance <= bound)
        .min()
        .map(|(_, word)| word)
}

/// Takes letter case and the choice of separator out of the comparison.
fn normal(word: &str) -> Vec<char> {
    word.chars().map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() }).collect()
}

/// Counts the insertions, deletions, replacements and swaps of neighbours between two words.
fn distance(one: &[char], other: &[char]) -> usize {
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(a != b);
            let mut best = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_none() {
        let known = ["server", "kind", "connect_timeout", "token_file", "token_env"];
        for (written, meant) in [
            ("servr", Some("server")),
            ("sevrer", Some("server")),
            ("Server", Some("server")),
            ("connect-timeout", Some("connect_timeout")),
            ("connection_timeout", Some("connect_timeout")),
            ("tokenfile", Some("token_file")),
            ("knd", Some("kind")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(closest(written, known), meant, "{written:?}");
        }
    }
}
