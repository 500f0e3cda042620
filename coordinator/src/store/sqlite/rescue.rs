//! A copy of a store whose files are gone but still open.

use std::path::Path;

use rusqlite::Connection;

/// Keeps what the open files still hold, in the nearest folder that is there; says what has become of them, and where the copy
/// is.
pub(super) fn rescue(connection: &Connection, path: &Path, gone: String) -> String {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
    let folder = folder.unwrap_or(Path::new("/"));
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let free = (1..1000).map(|number| folder.join(format!("{stem}-rescued-{number}.sqlite")));
    let Some(copy) = free.into_iter().find(|copy| !copy.exists()) else {
        return gone;
    };
    let Some(name) = copy.to_str() else {
        return gone;
    };
    match connection.execute("VACUUM INTO ?1", [name]) {
        Ok(_) => format!(
            "{gone}; all that was in it is in {name}, put it back with: tenfold restore {name} --store sqlite:{}",
            path.display()
        ),
        Err(error) => format!("{gone}; what was in it could not be kept in {name}: {error}"),
    }
}
