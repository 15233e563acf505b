//! Network namespaces without a name: they live as long as somebody holds them, so a killed run leaves none behind.

use std::fs::{self, File};
use std::io;
use std::process::Command;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};

use super::command::run;
use super::error::FabricError;

/// A network namespace, held open by its file.
#[derive(Debug)]
pub(crate) struct Namespace(File);

impl Namespace {
    /// A new one, in which nothing is up and nothing speaks by itself.
    pub(crate) fn new() -> Result<Self, FabricError> {
        let made = thread::scope(|scope| {
            let maker = scope.spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET)?;
                File::open("/proc/thread-self/ns/net")
            });
            maker.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        Ok(Self(made.map_err(FabricError::system("make a network namespace"))?))
    }

    /// Does the work on a thread that is inside.
    pub(crate) fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, FabricError> {
        let done = thread::scope(|scope| {
            let worker = scope.spawn(|| {
                setns(&self.0, CloneFlags::CLONE_NEWNET)?;
                Ok(work())
            });
            worker.join().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()))
        });
        done.map_err(FabricError::system("enter a network namespace"))
    }

    /// Runs `ip` inside, on one command a line.
    pub(crate) fn ip(&self, commands: &str) -> Result<(), FabricError> {
        self.inside(|| run(Command::new("ip").args(["-batch", "-"]), commands))??;
        Ok(())
    }

    /// Has the kernel write checksums itself: connection tracking takes a packet whose checksum is left to a device for a
    /// broken one.
    pub(crate) fn write_checksums(&self, device: &str) -> Result<(), FabricError> {
        let offload = ["tx", "off", "gso", "off", "tso", "off", "gro", "off"];
        self.inside(|| run(Command::new("ethtool").args(["-K", device]).args(offload), ""))??;
        Ok(())
    }

    /// Sets kernel parameters below `net`; those of IPv6 as far as there is an IPv6 at all.
    pub(crate) fn set(&self, parameters: &[(&str, &str)]) -> Result<(), FabricError> {
        self.inside(|| {
            for (name, value) in parameters {
                match fs::write(format!("/proc/sys/net/{name}"), value) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(FabricError::system(format!("set net/{name} to {value}"))(error));
                    }
                    _ => {}
                }
            }
            Ok(())
        })?
    }

    /// Its place in /proc, for other programs, as long as we hold it.
    pub(crate) fn path(&self) -> String {
        use std::os::fd::AsRawFd;
        format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd())
    }

    /// The option that has `nsenter` enter it.
    pub(crate) fn option(&self) -> String {
        format!("--net={}", self.path())
    }
}
