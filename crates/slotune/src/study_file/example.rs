//! A study file to start from.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

/// A commented study file that works as it stands.
pub const EXAMPLE: &str = include_str!("example.toml");

/// Writes [`EXAMPLE`] into a new file; what `slotune init` does.
///
/// # Errors
/// When there is a file already, which is left as it is, or none can be written.
pub fn write_example(path: &Path) -> Result<(), WriteExampleError> {
    let error = |source: io::Error| {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::AlreadyExists => WriteExampleError::Exists { path },
            _ => WriteExampleError::Write { path, source },
        }
    };
    File::create_new(path).and_then(|mut file| file.write_all(EXAMPLE.as_bytes())).map_err(error)
}

/// Why there is no new study file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteExampleError {
    /// There is a file already.
    #[error("{} exists and is left as it is; name another file, or move it away", .path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("{} cannot be written: {source}; name a file in a folder that is writable", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
