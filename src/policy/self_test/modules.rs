use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;

/// Written by the test in `recipes`.
const ARCHIVE: &[u8] = include_bytes!("modules.gz");

/// Returns the modules of the kit by name. In the archive each is a line with name and length, and then its bytes.
pub(super) fn modules() -> BTreeMap<String, Vec<u8>> {
    let mut bytes = Vec::new();
    GzDecoder::new(ARCHIVE).read_to_end(&mut bytes).expect("the archive was written by us");
    let mut modules = BTreeMap::new();
    let mut rest = bytes.as_slice();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let line = std::str::from_utf8(&rest[..end]).expect("names are ASCII");
        let (name, length) = line.split_once(' ').expect("a name and a length");
        let (module, behind) = rest[end + 1..].split_at(length.parse().expect("a number"));
        modules.insert(name.to_owned(), module.to_vec());
        rest = behind;
    }
    modules
}
