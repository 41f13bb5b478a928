//! What a controller can do, by the version that it tells with every answer. Pure.

/// The first release that says which queue item a build became.
pub const FIRST_THAT_SERVES: (u32, u32) = (1, 519);

/// The first release whose lists show the labels of nodes and projects.
pub const FIRST_WITH_LABELS: (u32, u32) = (2, 94);

/// Returns whether builds cannot be started in a way that tells what became of them. A version that is not told, or
/// that makes no sense, counts as new.
pub(super) fn is_too_old(version: Option<&str>) -> bool {
    is_before(version, FIRST_THAT_SERVES)
}

/// Returns whether labels are told in `config.xml` alone.
pub(super) fn lacks_labels(version: Option<&str>) -> bool {
    is_before(version, FIRST_WITH_LABELS)
}

fn is_before(version: Option<&str>, first: (u32, u32)) -> bool {
    version.and_then(read).is_some_and(|release| release < first)
}

/// Reads the first two numbers of a version, whatever follows; none if it does not begin with them.
pub fn read(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.split(|char: char| !char.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_by_number_and_what_cannot_be_read_counts_as_new() {
        for (version, too_old, without_labels) in [
            (Some("1.518"), true, true),
            (Some("1.519"), false, true),
            (Some("1.651.3"), false, true),
            (Some("2.9"), false, true),
            (Some("2.89.4"), false, true),
            (Some("2.93"), false, true),
            (Some("2.94"), false, false),
            (Some("2.107-SNAPSHOT (private)"), false, false),
            (Some("2.541"), false, false),
            (Some("3.0"), false, false),
            (Some("?"), false, false),
            (None, false, false),
        ] {
            assert_eq!((is_too_old(version), lacks_labels(version)), (too_old, without_labels), "{version:?}");
        }
    }
}
