//! A fabric's directory: ours while we live, by a lock that the kernel lets go of when we die, however that happens.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

use super::error::FabricError;

/// A directory that is removed with the fabric.
#[derive(Debug)]
pub(crate) struct Directory {
    /// Where the lock is, and what others may put beside it.
    home: PathBuf,
    /// Whether `home` was made by us, and goes with us if it is empty.
    made: bool,
    lock: File,
}

impl Directory {
    /// A new directory under the temporary one. What dead runs left there is swept.
    pub(crate) fn temporary() -> Result<Self, FabricError> {
        Self::temporary_in(&std::env::temp_dir().join(format!("testbed-{}", geteuid())))
    }

    fn temporary_in(base: &Path) -> Result<Self, FabricError> {
        make(base)?;
        ours(base)?;
        // Making a directory and locking it are two steps; who sweeps must not come between them.
        let _turn = lock_file(&base.join(".turn"))
            .and_then(|turn| turn.lock().map(|()| turn))
            .map_err(FabricError::system(format!("lock {}", base.display())))?;
        sweep_all(base);
        for number in 0u32.. {
            let home = base.join(format!("{}-{number}", std::process::id()));
            if make(&home)? {
                return Self::lock(home, true);
            }
        }
        Err(FabricError::Unsuitable(format!("{} is full", base.display())))
    }

    /// The directory at this place, made if need be. What a dead run left in it is swept.
    pub(crate) fn at(home: &Path) -> Result<Self, FabricError> {
        let made = make(home)?;
        if home.join(INSIDE).exists() && !home.join(LOCK).exists() {
            return Err(FabricError::Unsuitable(format!(
                "{} exists and no testbed made it",
                home.join(INSIDE).display()
            )));
        }
        let home = home
            .canonicalize()
            .map_err(FabricError::system(format!("open {}", home.display())))?;
        Self::lock(home, made)
    }

    fn lock(home: PathBuf, made: bool) -> Result<Self, FabricError> {
        let Some(mut lock) = try_lock(&home).map_err(FabricError::system(format!("lock {}", home.display())))? else {
            return Err(FabricError::InUse(home));
        };
        let owner = format!("{} {}\n", std::process::id(), if made { MADE } else { "found" });
        let written = lock.set_len(0).and_then(|()| lock.write_all(owner.as_bytes()));
        written.map_err(FabricError::system(format!("write {}", home.join(LOCK).display())))?;
        let directory = Self { home, made, lock };
        sweep(&directory.path()).map_err(FabricError::system(format!("sweep {}", directory.path().display())))?;
        make(&directory.path())?;
        Ok(directory)
    }

    /// Where everything of the fabric is.
    pub(crate) fn path(&self) -> PathBuf {
        self.home.join(INSIDE)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Nobody is left to tell if this fails; the next start sweeps it.
        let _ = fs::remove_dir_all(self.path());
        let _ = fs::remove_file(self.home.join(LOCK));
        if self.made {
            let _ = fs::remove_dir(&self.home);
        }
        // Closing it isn't enough while a child between its birth and its program still has a copy.
        let _ = self.lock.unlock();
    }
}

/// Whether a fabric lives in this directory.
pub(crate) fn is_alive(home: &Path) -> bool {
    home.join(LOCK).exists()
        && match try_lock(home) {
            Ok(Some(lock)) => lock.unlock().is_err(),
            Ok(None) => true,
            Err(_) => false,
        }
}

/// Removes what a dead fabric left in this directory; nothing if it lives, or if there was none.
pub(crate) fn sweep_dead(home: &Path) -> io::Result<()> {
    if !home.join(LOCK).exists() {
        return Ok(());
    }
    if let Some(lock) = try_lock(home)? {
        let made = owner(home).is_some_and(|(_, made)| made);
        sweep(&home.join(INSIDE))?;
        fs::remove_file(home.join(LOCK))?;
        if made {
            // Unless somebody has put something there.
            let _ = fs::remove_dir(home);
        }
        lock.unlock()?;
    }
    Ok(())
}

/// Kills the process whose fabric lives in this directory, and waits for its end.
pub(crate) fn kill_owner(home: &Path) -> io::Result<()> {
    let lock = lock_file(&home.join(LOCK))?;
    if let (Err(TryLockError::WouldBlock), Some((pid, _))) = (lock.try_lock(), owner(home)) {
        kill(pid, Signal::SIGKILL)?;
        lock.lock()?;
    }
    lock.unlock()
}

/// Whose the directory is, and whether they made it.
fn owner(home: &Path) -> Option<(Pid, bool)> {
    let text = fs::read_to_string(home.join(LOCK)).ok()?;
    let (pid, made) = text.trim_end().split_once(' ')?;
    let pid = pid.parse().ok().filter(|pid| *pid > 1)?;
    Some((Pid::from_raw(pid), made == MADE))
}

/// The directory's lock, or nothing if somebody holds it.
fn try_lock(home: &Path) -> io::Result<Option<File>> {
    let path = home.join(LOCK);
    loop {
        let file = lock_file(&path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        // Who held it before may have removed it in between; then we hold a file that nobody else will find.
        if fs::metadata(&path).is_ok_and(|there| file.metadata().is_ok_and(|held| held.ino() == there.ino())) {
            return Ok(Some(file));
        }
    }
}

fn lock_file(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

/// Makes a directory that only we may look into; false if something is there.
fn make(path: &Path) -> Result<bool, FabricError> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(FabricError::system(format!("make the directory {}", path.display()))(
            error,
        )),
    }
}

/// In a temporary directory that all users share, a stranger may have been first.
fn ours(path: &Path) -> Result<(), FabricError> {
    let metadata = fs::symlink_metadata(path).map_err(FabricError::system(format!("look at {}", path.display())))?;
    if metadata.is_dir() && metadata.uid() == geteuid().as_raw() {
        return Ok(());
    }
    Err(FabricError::Unsuitable(format!(
        "{} isn't a directory of this user",
        path.display()
    )))
}

/// Removes what dead runs left; whatever can't be removed is left for the next time.
fn sweep_all(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let home = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_alive(&home) {
            let _ = sweep_dead(&home);
            let _ = fs::remove_dir(&home);
        }
    }
}

/// Ends what still runs in a dead fabric's directory, and removes it.
fn sweep(inside: &Path) -> io::Result<()> {
    for node in fs::read_dir(inside).into_iter().flatten().flatten() {
        for daemon in ["vswitchd.pid", "ovsdb.pid"] {
            end_leftover(&node.path(), daemon);
        }
    }
    match fs::remove_dir_all(inside) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// A daemon dies with us by the kernel's hand, but for the moment between its birth and its asking for that.
fn end_leftover(node: &Path, pidfile: &str) {
    let Some(pid) = fs::read_to_string(node.join(pidfile))
        .ok()
        .and_then(|text| text.trim().parse::<i32>().ok())
        .filter(|pid| *pid > 1)
    else {
        return;
    };
    // The number may be somebody else's by now: ours has its own directory on its command line.
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if String::from_utf8_lossy(&words).contains(&format!("{}/", node.display())) {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

const INSIDE: &str = "fabric";
const MADE: &str = "made";
const LOCK: &str = "testbed.lock";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_goes_with_its_owner_and_keeps_what_others_put_there() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("state");
        drop(Directory::at(&home).unwrap());
        assert!(!home.exists());

        let directory = Directory::at(&home).unwrap();
        fs::write(home.join("notes"), "a stranger's").unwrap();
        drop(directory);
        assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
    }

    #[test]
    fn a_new_temporary_directory_sweeps_dead_ones_and_leaves_the_living_alone() {
        let base = tempfile::tempdir().unwrap();
        let living = Directory::temporary_in(base.path()).unwrap();
        let (dead, half_made) = (base.path().join("1-0"), base.path().join("1-1"));
        fs::create_dir_all(dead.join("fabric/0")).unwrap();
        fs::write(dead.join("testbed.lock"), "1234567 made\n").unwrap();
        fs::create_dir(&half_made).unwrap();

        let new = Directory::temporary_in(base.path()).unwrap();
        assert!(!dead.exists() && !half_made.exists());
        assert!(living.path().exists() && new.path().exists() && living.path() != new.path());
    }

    #[test]
    fn a_shared_place_that_somebody_else_has_taken_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("base");
        std::os::unix::fs::symlink(place.path(), &link).unwrap();
        let refused = Directory::temporary_in(&link).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("{} isn't a directory of this user", link.display())
        );
    }

    #[test]
    fn a_strangers_directory_is_left_alone() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("fabric")).unwrap();
        let refused = Directory::at(place.path()).unwrap_err();
        assert!(
            refused.to_string().ends_with("/fabric exists and no testbed made it"),
            "{refused}"
        );
        assert!(place.path().join("fabric").exists());
    }

    #[test]
    fn a_directory_in_use_is_refused_and_a_dead_one_swept() {
        let place = tempfile::tempdir().unwrap();
        let directory = Directory::at(place.path()).unwrap();
        assert!(matches!(Directory::at(place.path()), Err(FabricError::InUse(_))));
        assert!(is_alive(place.path()));
        drop(directory);

        fs::create_dir_all(place.path().join("fabric/0")).unwrap();
        fs::write(place.path().join("testbed.lock"), "").unwrap();
        fs::write(place.path().join("fabric/0/vswitchd.pid"), "1\n").unwrap();
        let again = Directory::at(place.path()).unwrap();
        assert_eq!(fs::read_dir(again.path()).unwrap().count(), 0);
    }
}
