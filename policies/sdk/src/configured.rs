use alloc::{boxed::Box, string::String};

use once_cell::race::OnceBox;

/// Settings, from `configure` until the instance ends.
#[derive(Debug)]
pub struct Configured<T>(OnceBox<T>);

impl<T> Configured<T> {
    #[expect(clippy::new_without_default, reason = "it lives in a static, where only a const fn will do")]
    pub const fn new() -> Self {
        Self(OnceBox::new())
    }

    /// Keeps what `configure` read, or hands on why it could not be read.
    pub fn keep(&self, settings: Result<T, String>) -> Result<(), String> {
        self.0.set(Box::new(settings?)).map_err(|_| String::from("an instance is configured once"))
    }

    /// Returns the settings.
    pub fn get(&self) -> &T {
        self.0.get().expect("the host configures an instance before it asks")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_first_settings_and_refuses_the_second() {
        let configured = Configured::new();
        assert_eq!(configured.keep(Err("unreadable".into())), Err("unreadable".into()));
        assert_eq!(configured.keep(Ok(1)), Ok(()));
        assert!(configured.keep(Ok(2)).is_err());
        assert_eq!(configured.get(), &1);
    }
}
