//! Labels with a number at their end, and atoms that compare it.

use alloc::vec::Vec;
use core::cmp::Ordering;

/// The most digits of one part of a version; more would not fit into a `u64`.
const MOST_DIGITS: usize = 18;

/// `ubuntu-22.04` or `gpu=4`, taken apart.
#[derive(Debug)]
pub(crate) struct Versioned<'a> {
    label: &'a str,
    pub(crate) name: &'a str,
    separator: char,
    version: Version,
}

/// `gpu>=2`, taken apart.
#[derive(Debug)]
pub(crate) struct Comparison<'a> {
    pub(crate) name: &'a str,
    accepted: &'static [Ordering],
    version: Version,
}

/// Numbers separated by dots, compared one by one. A missing one counts as 0.
#[derive(Debug)]
struct Version(Vec<u64>);

impl<'a> Versioned<'a> {
    pub(crate) fn read(label: &'a str) -> Option<Self> {
        let at = label.rfind(['-', '='])?;
        let (name, rest) = label.split_at(at);
        let mut rest = rest.chars();
        let separator = rest.next()?;
        let version = Version::read(rest.as_str())?;
        (!name.is_empty()).then_some(Self { label, name, separator, version })
    }

    /// Returns `ubuntu-22` and `ubuntu` for `ubuntu-22.04`.
    ///
    /// `gpu=4` says how much and serves only comparisons; `gpu-0` says that there is none.
    pub(crate) fn shorter_forms(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let (label, name) = (self.label, self.name);
        let applies = self.separator == '-' && self.version.0 != [0];
        let version_start = name.len() + 1;
        let shortened = label.match_indices('.').map(|(dot, _)| dot).filter(move |dot| *dot > version_start);
        shortened.map(move |dot| &label[..dot]).chain([name]).filter(move |_| applies)
    }
}

impl<'a> Comparison<'a> {
    pub(crate) fn read(atom: &'a str) -> Option<Self> {
        const OPERATORS: [(&str, &[Ordering]); 6] = [
            (">=", &[Ordering::Greater, Ordering::Equal]),
            ("<=", &[Ordering::Less, Ordering::Equal]),
            ("==", &[Ordering::Equal]),
            (">", &[Ordering::Greater]),
            ("<", &[Ordering::Less]),
            ("=", &[Ordering::Equal]),
        ];
        let (name, rest) = atom.split_at(atom.find(['<', '>', '='])?);
        let (operator, accepted) = OPERATORS.into_iter().find(|(operator, _)| rest.starts_with(operator))?;
        let version = Version::read(rest[operator.len()..].trim())?;
        let name = name.trim();
        (!name.is_empty()).then_some(Self { name, accepted, version })
    }

    pub(crate) fn holds(&self, versioned: &Versioned<'_>) -> bool {
        versioned.name == self.name && self.accepted.contains(&versioned.version.compare(&self.version))
    }
}

impl Version {
    fn read(text: &str) -> Option<Self> {
        let number = |part: &str| {
            let digits = (1..=MOST_DIGITS).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| part.parse().ok())?
        };
        text.split('.').map(number).collect::<Option<_>>().map(Self)
    }

    fn compare(&self, other: &Self) -> Ordering {
        let parts = self.0.len().max(other.0.len());
        let padded = |version: &Self, at: usize| version.0.get(at).copied().unwrap_or(0);
        (0..parts)
            .map(|at| padded(self, at).cmp(&padded(other, at)))
            .find(|order| order.is_ne())
            .unwrap_or(Ordering::Equal)
    }
}
