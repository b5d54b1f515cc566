//! The file an answer is written to.
//!
//! A plain file is written beside its place, synced and renamed: readers see the old answer or
//! the new one, never half of one. What is no plain file (a pipe, `/dev/stdout`) is written
//! straight. Links are followed, so that a link stays one.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io;
use std::path::Path;

use super::Fault;

/// Runs `fill` on a new file that then takes the place of `file`; if either fails, `file`
/// stays as it was.
pub(super) fn replace(
    file: &Path,
    fill: impl FnOnce(&mut File) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let real = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    match fs::metadata(&real) {
        Ok(old) if old.is_dir() => Err(io::Error::from(io::ErrorKind::IsADirectory).into()),
        Ok(old) if !old.is_file() => fill(&mut OpenOptions::new().write(true).open(&real)?),
        Ok(old) => beside(&real, Some(&old), fill),
        Err(_) => beside(&real, None, fill),
    }
}

fn beside(
    file: &Path,
    old: Option<&Metadata>,
    fill: impl FnOnce(&mut File) -> Result<(), Fault>,
) -> Result<(), Fault> {
    let folder = match file.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        let missing = format!("no folder `{}`", folder.display());
        return Err(io::Error::new(io::ErrorKind::NotFound, missing).into());
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".huicun-").suffix(".part");
    // tempfile makes files for their owner only; an answer is an ordinary file, so the umask
    // decides, or the permissions of the file it replaces.
    #[cfg(unix)]
    let all = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(all);
    let mut new = builder.tempfile_in(folder)?;
    fill(new.as_file_mut())?;
    if let Some(old) = old {
        new.as_file().set_permissions(old.permissions())?;
    }
    new.as_file().sync_all()?;
    new.persist(file).map_err(|refused| refused.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn fill_new(out: &mut File) -> Result<(), Fault> {
        Ok(out.write_all(b"new")?)
    }

    #[test]
    fn a_failed_write_leaves_no_half_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        let failed = replace(&file, |out| {
            out.write_all(b"half")?;
            Err(io::Error::from(io::ErrorKind::StorageFull).into())
        });
        assert!(failed.is_err());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_a_link_and_its_file_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.csv"), folder.path().join("b.csv"));
        fs::write(&file, "old").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        replace(&link, fill_new).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    }

    #[cfg(unix)]
    #[test]
    fn permissions_of_a_replaced_file_are_kept() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.csv");
        fs::write(&file, "old").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&file, fill_new).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
    }

    #[cfg(unix)]
    #[test]
    fn a_device_is_written_straight_and_stays() {
        use std::os::unix::fs::FileTypeExt;
        replace(Path::new("/dev/null"), fill_new).unwrap();
        let kind = fs::metadata("/dev/null").unwrap().file_type();
        assert!(kind.is_char_device());
    }

    #[test]
    fn a_folder_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(replace(folder.path(), fill_new).is_err());
    }
}
