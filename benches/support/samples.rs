use std::fmt;
use std::time::Duration;

/// How long each of many like things took, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

/// One figure over several rounds; shown as `median [min..max]`.
#[derive(Debug)]
pub(crate) struct Spread(Vec<f64>);

impl Samples {
    pub(crate) fn push(&mut self, took: Duration) {
        self.0.push(took.as_secs_f64() * 1e6);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the median.
    pub(crate) fn p50(&self) -> f64 {
        quantile(&self.0, 0.50)
    }

    pub(crate) fn p99(&self) -> f64 {
        quantile(&self.0, 0.99)
    }
}

impl Spread {
    pub(crate) fn new(figures: impl IntoIterator<Item = f64>) -> Self {
        Self(figures.into_iter().collect())
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [min, median, max] = [0.0, 0.5, 1.0].map(|part| quantile(&self.0, part));
        let digits = if median < 100.0 { 2 } else { 0 };
        f.pad(&format!("{median:.digits$} [{min:.digits$}..{max:.digits$}]"))
    }
}

/// Returns the figure below which a part of all figures lies; NaN without any.
fn quantile(figures: &[f64], part: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let index = (last as f64 * part).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}
