//! Files that are whole or absent, and still there after the power failed.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::Path,
};

use crate::layout::TEMPORARY;

/// Writes `folder/name` so that at any time it holds all of `bytes`, or what it held before.
///
/// The bytes go to a temporary name in the same folder and are forced to the disk before the name
/// changes, else a crash could leave the name on an empty file.
pub(crate) fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = folder.join(format!("{name}{TEMPORARY}"));
    let written =
        write_through(&temporary, bytes).and_then(|()| fs::rename(&temporary, folder.join(name)));
    if written.is_err() {
        // A full disk has no room for a file that is not whole. What matters is the first error.
        let _ = fs::remove_file(&temporary);
    }
    written.and_then(|()| sync_folder(folder))
}

/// Writes a file and forces its bytes to the disk.
fn write_through(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Forces the names in a folder to the disk.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Windows has no such call; its file system keeps a journal of names.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}
