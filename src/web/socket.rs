//! The Unix socket: where it is, and who made it.

use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;
use tracing::{info, warn};

use super::Error;

const NAME: &str = "control.sock";
const SYSTEM_FOLDER: &str = "/run/layshaft";

/// The group may read and be told by the daemon who may change.
const MODE: u32 = 0o660;

/// Removes the socket when the daemon ends, unless another one has taken its place.
#[derive(Debug)]
pub(super) struct Guard {
    path: PathBuf,
    inode: u64,
}

/// Returns this process's effective user.
pub fn own_uid() -> u32 {
    // /proc belongs to the kernel, and what is in it to the process's user.
    std::fs::metadata("/proc/self").map_or(u32::MAX, |metadata| metadata.uid())
}

/// Returns where a daemon of this user puts its socket, and makes the folder for it.
pub fn default_socket() -> PathBuf {
    let system = Path::new(SYSTEM_FOLDER);
    if own_uid() == 0 || tempfile::tempfile_in(system).is_ok() {
        return system.join(NAME);
    }
    runtime_folder().unwrap_or_else(temporary_folder).join(NAME)
}

/// Returns the socket of the daemon that this user most likely means: the first that is there.
pub fn find_socket() -> PathBuf {
    let temporary = temporary_folder();
    // Anybody could have made a folder of that name.
    let is_ours = std::fs::symlink_metadata(&temporary).is_ok_and(|metadata| is_private(&metadata));
    let own = runtime_folder().into_iter().chain(is_ours.then_some(temporary));
    let candidates = own.chain([PathBuf::from(SYSTEM_FOLDER)]).map(|folder| folder.join(NAME));
    candidates.into_iter().find(|path| path.exists()).unwrap_or_else(default_socket)
}

/// Listens on a socket, in place of one that a dead daemon left.
pub(super) fn bind(path: &Path) -> Result<(UnixListener, Guard), Error> {
    let failed = |source| Error::Socket { socket: path.to_owned(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_folder(folder).map_err(failed)?;
    clear(path)?;
    // Made in a folder of its own and moved, so that nobody can open it before its rights are set.
    let cradle = tempfile::Builder::new().prefix(".").rand_bytes(6).tempdir_in(folder).map_err(failed)?;
    let born = cradle.path().join("s");
    let listener = UnixListener::bind(&born).map_err(failed)?;
    std::fs::set_permissions(&born, std::fs::Permissions::from_mode(MODE)).map_err(failed)?;
    std::fs::rename(&born, path).map_err(failed)?;
    let inode = std::fs::metadata(path).map_err(failed)?.ino();
    Ok((listener, Guard { path: path.to_owned(), inode }))
}

fn clear(path: &Path) -> Result<(), Error> {
    let socket = path.to_owned();
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(Error::Socket { socket, source }),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(Error::InTheWay { socket }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(Error::AnotherDaemon { socket }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            info!(socket = %path.display(), "replacing the socket of a daemon that is gone");
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(Error::Socket { socket, source }),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    if folder == temporary_folder() {
        match std::fs::DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        if is_private(&std::fs::symlink_metadata(folder)?) {
            return Ok(());
        }
        return Err(io::Error::other(format!(
            "{} belongs to somebody else, or others may write in it",
            folder.display()
        )));
    }
    // Others pass through to the socket, whose own rights decide.
    std::fs::DirBuilder::new().recursive(true).mode(0o755).create(folder)
}

fn is_private(metadata: &std::fs::Metadata) -> bool {
    metadata.is_dir() && metadata.uid() == own_uid() && metadata.mode() & 0o077 == 0
}

fn runtime_folder() -> Option<PathBuf> {
    let folder = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    (folder.is_absolute() && folder.is_dir()).then(|| folder.join("layshaft"))
}

fn temporary_folder() -> PathBuf {
    std::env::temp_dir().join(format!("layshaft-{}", own_uid()))
}

impl Guard {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let is_ours = std::fs::symlink_metadata(&self.path).is_ok_and(|metadata| metadata.ino() == self.inode);
        if is_ours && let Err(error) = std::fs::remove_file(&self.path) {
            warn!(%error, socket = %self.path.display(), "failed to remove the control socket");
        }
    }
}
