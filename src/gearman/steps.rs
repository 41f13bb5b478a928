//! Bytes read as the steps of a play, and a tape that writes them: fuzzing invents such bytes, recorded conversations
//! are kept in them.

/// The steps that are still to come. What ends early is played as far as it goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Steps<'a>(pub(super) &'a [u8]);

impl<'a> Steps<'a> {
    pub(super) fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Reads a length and as many bytes, or what is left of them.
    pub(super) fn chunk(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()?).min(self.0.len());
        let (chunk, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(chunk)
    }

    /// Reads a few bytes, so that more steps are left.
    pub(super) fn few(&mut self) -> Option<&'a [u8]> {
        let length = usize::from(self.byte()? % 8).min(self.0.len());
        let (few, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(few)
    }

    /// Picks one of several by the next byte.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> Option<T> {
        choices.get(usize::from(self.byte()?) % choices.len()).copied()
    }
}

/// Plays everything that is kept for a fuzz target, and returns how much that was.
#[cfg(test)]
pub(super) fn play_seeds(target: &str, play: impl Fn(&[u8])) -> usize {
    let here = std::path::Path::new(file!()).parent().expect("a file lies in a folder");
    let folder = here.join("../../fuzz/corpus").join(target);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files.map(|file| play(&std::fs::read(file.unwrap().path()).unwrap())).count()
}
