//! Holds the rooms of `src` against the floor plan in `src/lib.rs`: a room uses the floors below it, and neither its
//! neighbours nor what is above.

use std::path::{Path, PathBuf};

/// From top to bottom; rooms in one row are neighbours.
const FLOORS: &[&[&str]] = &[
    &["cli"],
    &["config", "web"],
    &["runtime", "doctor"],
    &["journal", "policy", "jenkins", "gearman", "simulator"],
    &["classic", "label", "xml"],
    &["domain"],
];

/// Uses nothing else of this program: whoever reads it alone should learn the protocol.
const ALONE: &str = "gearman";

fn floor_of(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

pub(crate) fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns the rooms that a file imports, with the line.
fn imports(text: &str) -> Vec<(&str, &str)> {
    let lines = text.lines().map(str::trim).filter_map(|line| Some((line.split_once("use crate::")?.1, line)));
    let mut found = Vec::new();
    for (path, line) in lines {
        // Several rooms stand in braces, apart by commas; what is imported from each does not matter.
        let rooms = path.strip_prefix('{').map_or(path, |group| group.split('}').next().unwrap_or(group));
        let rooms = if path.starts_with('{') { rooms.split(',').collect() } else { vec![rooms] };
        let end_of_name = |room: &str| room.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(room.len());
        found.extend(rooms.into_iter().map(str::trim).map(|room| (&room[..end_of_name(room)], line)));
    }
    found
}

#[test]
fn every_room_uses_only_the_floors_below_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut seen = 0;
    for file in sources(&src) {
        let within = file.strip_prefix(&src).unwrap();
        let room = within.iter().next().unwrap().to_str().unwrap().trim_end_matches(".rs");
        if matches!(room, "lib" | "main") {
            continue;
        }
        let floor = floor_of(room).unwrap_or_else(|| panic!("{room} has no place in the floor plan"));
        let text = std::fs::read_to_string(&file).unwrap();
        for (used, line) in imports(&text) {
            let used_floor =
                floor_of(used).unwrap_or_else(|| panic!("{}: {used} has no place in the floor plan", within.display()));
            let is_allowed = used == room || (used_floor > floor && room != ALONE);
            assert!(is_allowed, "{}: {room} must not use {used}: {line}", within.display());
            seen += 1;
        }
    }
    assert!(seen > 50, "the imports are no longer found");
}
