//! A file that is opened before there is anything to write, and is there in whole or not at all.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use tempfile::NamedTempFile;

/// Where a document goes.
#[derive(Debug)]
pub(super) enum Destination {
    /// Standard output.
    Stdout,
    /// A file: written beside its place, and moved there at the end.
    Beside(NamedTempFile, PathBuf),
    /// What nothing can be moved to, such as a pipe.
    Direct(File, PathBuf),
}

/// Whether this is how a user names standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

impl Destination {
    /// Opens a place for writing; what is there stays as it is until [`Destination::write`].
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if is_stdout(path) {
            return Ok(Self::Stdout);
        }
        open(path).with_context(|| format!("{} cannot be written", path.display()))
    }

    /// Writes the document. Gives its place, if that is a file.
    pub(super) fn write(self, document: &str) -> anyhow::Result<Option<PathBuf>> {
        let (written, path) = match self {
            Self::Stdout => {
                io::stdout().write_all(document.as_bytes()).context("standard output cannot be written")?;
                return Ok(None);
            }
            Self::Beside(mut beside, path) => {
                let written = beside.write_all(document.as_bytes());
                (written.and_then(|()| beside.persist(&path).map(drop).map_err(io::Error::from)), path)
            }
            Self::Direct(mut file, path) => (file.write_all(document.as_bytes()), path),
        };
        written.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Some(path))
    }
}

fn open(path: &Path) -> anyhow::Result<Destination> {
    let mut permissions = Permissions::from_mode(0o666);
    let mut path = path.to_owned();
    match fs::metadata(&path) {
        Ok(there) if there.is_dir() => bail!("it is a folder: name a file in it"),
        Ok(there) if there.is_file() => {
            // Whoever may not write a file may not replace it either.
            OpenOptions::new().append(true).open(&path)?;
            permissions = there.permissions();
            // The file that a link names, not the link.
            path = path.canonicalize()?;
        }
        Ok(_) => return Ok(Destination::Direct(OpenOptions::new().write(true).open(&path)?, path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => bail!("it is no name of a file"),
    };
    if !folder.is_dir() {
        bail!("there is no folder {}", folder.display());
    }
    let mut prefix = OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    let mut builder = tempfile::Builder::new();
    let beside = builder.prefix(&prefix).suffix(".tmp").permissions(permissions).tempfile_in(folder)?;
    Ok(Destination::Beside(beside, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<OsString> {
        let mut names: Vec<OsString> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    }

    #[test]
    fn the_file_is_there_when_it_is_written_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        let destination = Destination::open(&path).unwrap();
        assert!(!path.exists());
        assert_eq!(destination.write("all of it").unwrap().as_deref(), Some(path.as_path()));
        assert_eq!(fs::read_to_string(&path).unwrap(), "all of it");
        assert_eq!(names(folder.path()), ["report.html"]);
    }

    #[test]
    fn what_is_never_written_leaves_nothing_and_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("report.html");
        drop(Destination::open(&path).unwrap());
        assert_eq!(names(folder.path()), Vec::<OsString>::new());
        fs::write(&path, "yesterday's").unwrap();
        drop(Destination::open(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "yesterday's");
        assert_eq!(names(folder.path()), ["report.html"]);
    }

    #[test]
    fn a_link_stays_one_and_permissions_stay_too() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("report.html"), folder.path().join("link.html"));
        fs::write(&path, "yesterday's").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        std::os::unix::fs::symlink("report.html", &link).unwrap();
        Destination::open(&link).unwrap().write("today's").unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read_to_string(&path).unwrap(), "today's");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_cannot_be_written_says_so_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let refusal = |path: &Path| format!("{:#}", Destination::open(path).unwrap_err());
        assert!(refusal(folder.path()).ends_with("cannot be written: it is a folder: name a file in it"));
        let absent = folder.path().join("absent/report.html");
        let expected = format!(
            "{} cannot be written: there is no folder {}",
            absent.display(),
            absent.parent().unwrap().display()
        );
        assert_eq!(refusal(&absent), expected);
    }

    #[test]
    fn a_device_is_written_to() {
        let path = Path::new("/dev/null");
        assert_eq!(Destination::open(path).unwrap().write("all of it").unwrap().as_deref(), Some(path));
    }
}
