//! Where a systemd listens, and whether that is its own place.
//!
//! A user's folder is the user's: he may put there what he likes, a link to another's socket above
//! all. So nothing in it is followed, what belongs to somebody else is not used, and neither is who
//! listens as somebody else.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, Stat, fstat, openat};
use rustix::process::geteuid;

use super::Bus;
use super::socket::Peer;

/// A socket to connect to.
#[derive(Debug)]
pub(super) enum Place {
    /// At its path, where nobody but root can put anything.
    Named(PathBuf),
    /// The very one that was looked at.
    Held(OwnedFd),
}

impl Place {
    /// A path that leads there while this lives.
    pub(super) fn path(&self) -> PathBuf {
        match self {
            Self::Named(path) => path.clone(),
            Self::Held(socket) => format!("/proc/self/fd/{}", socket.as_raw_fd()).into(),
        }
    }
}

/// The path as people know it.
pub(super) fn path(bus: Bus, peer: Peer, run: &Path) -> PathBuf {
    match (bus, peer) {
        (Bus::System, Peer::Bus) => run.join("dbus/system_bus_socket"),
        (_, Peer::Bus) => folder(bus, run).join("bus"),
        (_, Peer::Manager) => folder(bus, run).join("systemd/private"),
    }
}

fn folder(bus: Bus, run: &Path) -> PathBuf {
    match bus {
        Bus::System => run.to_owned(),
        Bus::User(uid) => run.join("user").join(uid.to_string()),
    }
}

/// The socket, if it is there and in its own place.
pub(super) fn find(bus: Bus, peer: Peer, run: &Path) -> io::Result<Place> {
    let Bus::User(uid) = bus else {
        let path = path(bus, peer, run);
        fs::metadata(&path)?;
        return Ok(Place::Named(path));
    };
    let is_folder = OFlags::PATH | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let home = openat(CWD, folder(bus, run), is_folder, Mode::empty())?;
    let home_stat = own(&home, uid, None)?;
    let (inner, name) = match peer {
        Peer::Bus => (home, "bus"),
        Peer::Manager => {
            let inner = openat(&home, "systemd", is_folder, Mode::empty())?;
            own(&inner, uid, Some(&home_stat))?;
            (inner, "private")
        }
    };
    let is_end = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let socket = openat(&inner, name, is_end, Mode::empty())?;
    own(&socket, uid, Some(&home_stat))?;
    Ok(Place::Held(socket))
}

/// What is the user's own, and not mounted over.
fn own(file: &OwnedFd, uid: u32, home: Option<&Stat>) -> io::Result<Stat> {
    let stat = fstat(file)?;
    if stat.st_uid != uid {
        return Err(io::Error::other(format!("belongs to user {}, not {uid}", stat.st_uid)));
    }
    if home.is_some_and(|home| home.st_dev != stat.st_dev) {
        return Err(io::Error::other("is in another file system than its folder"));
    }
    Ok(stat)
}

/// Whether who listens may speak for that systemd: root for the machine's, the user for his own.
pub(super) fn vouch(bus: Bus, listener: u32) -> io::Result<()> {
    let (is_right, whose) = match bus {
        // Whoever this process runs as has no more to win by it.
        Bus::System => (listener == 0 || listener == geteuid().as_raw(), 0),
        Bus::User(uid) => (listener == uid, uid),
    };
    if is_right {
        return Ok(());
    }
    Err(io::Error::other(format!("user {listener} listens there, not user {whose}")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    fn me() -> u32 {
        geteuid().as_raw()
    }

    /// The machine's systemd, and a folder of this user.
    fn machine() -> (tempfile::TempDir, PathBuf, UnixListener) {
        let run = tempfile::tempdir().unwrap();
        let user = run.path().join("user").join(me().to_string());
        fs::create_dir_all(&user).unwrap();
        fs::create_dir(run.path().join("systemd")).unwrap();
        let system = UnixListener::bind(run.path().join("systemd/private")).unwrap();
        (run, user, system)
    }

    #[test]
    fn a_socket_in_its_place_is_found() {
        let (run, user, _system) = machine();
        let missing = find(Bus::User(me()), Peer::Manager, run.path()).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        fs::create_dir(user.join("systemd")).unwrap();
        let listener = UnixListener::bind(user.join("systemd/private")).unwrap();
        let place = find(Bus::User(me()), Peer::Manager, run.path()).unwrap();
        let _near = std::os::unix::net::UnixStream::connect(place.path()).unwrap();
        listener.accept().unwrap();
        assert!(find(Bus::System, Peer::Manager, run.path()).is_ok());
    }

    #[test]
    fn links_to_what_is_anothers_are_not_followed() {
        let (run, user, _system) = machine();
        let find = |peer| find(Bus::User(me()), peer, run.path());
        symlink(run.path().join("systemd"), user.join("systemd")).unwrap();
        let refused = find(Peer::Manager).unwrap_err();
        assert_ne!(refused.kind(), io::ErrorKind::NotFound, "it is there: that is told");
        // A link itself is no socket, whoever made it.
        symlink(run.path().join("systemd/private"), user.join("bus")).unwrap();
        let held = find(Peer::Bus)
            .and_then(|place| std::os::unix::net::UnixStream::connect(place.path()).map(|_| ()));
        assert!(held.is_err());
    }

    #[test]
    fn what_belongs_to_somebody_else_is_not_used() {
        let (run, user, _system) = machine();
        let other = me() + 1;
        fs::rename(&user, user.with_file_name(other.to_string())).unwrap();
        let refused = find(Bus::User(other), Peer::Bus, run.path()).unwrap_err();
        assert!(refused.to_string().contains(&format!("belongs to user {}", me())), "{refused}");
    }

    #[test]
    fn nobody_speaks_for_another() {
        assert!(vouch(Bus::System, 0).is_ok());
        assert!(vouch(Bus::System, me()).is_ok());
        assert!(vouch(Bus::System, me() + 7).is_err());
        assert!(vouch(Bus::User(1000), 1000).is_ok());
        let refused = vouch(Bus::User(1000), 0).unwrap_err();
        assert_eq!(refused.to_string(), "user 0 listens there, not user 1000");
    }
}
