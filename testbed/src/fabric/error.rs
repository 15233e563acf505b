//! Why a fabric doesn't start or doesn't do what it is told.

use std::io;
use std::path::PathBuf;

use traceflow_core::names::{NodeName, ObjectName};

/// What went wrong, and where.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FabricError {
    /// Only root makes network namespaces.
    #[error("real Pods in network namespaces need root: run as root, or use the rootless form (--rootless)")]
    NotRoot,
    /// A program isn't there.
    #[error("`{program}` can't be run ({package} has it)")]
    Missing {
        /// The program.
        program: String,
        /// The Debian package that brings it.
        package: &'static str,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed, {status}: {message}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote to standard error.
        message: String,
    },
    /// A daemon doesn't come up, or is gone.
    #[error("{daemon} of node {node} {what}; the end of its log:\n{log}")]
    Daemon {
        /// The daemon.
        daemon: &'static str,
        /// Its node.
        node: NodeName,
        /// What it does or doesn't.
        what: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// The switch refuses a request on its unixctl socket.
    #[error("the switch of node {node} refuses `{request}`: {answer}")]
    Refused {
        /// The node.
        node: NodeName,
        /// The request.
        request: String,
        /// The answer.
        answer: String,
    },
    /// The system refuses something.
    #[error("can't {action}")]
    System {
        /// What was tried.
        action: String,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another fabric, alive, has this directory.
    #[error("{} belongs to a testbed that is up", .0.display())]
    InUse(PathBuf),
    /// No node has this name.
    #[error("no node is named {0}")]
    UnknownNode(NodeName),
    /// No Pod has this name.
    #[error("no Pod is named {name}; there are: {known}")]
    UnknownPod {
        /// The name.
        name: ObjectName,
        /// The Pods that there are.
        known: String,
    },
    /// The nodes can't be built as they are described.
    #[error("{0}")]
    Unsuitable(String),
}

impl FabricError {
    /// For `map_err`: what was tried when the system refused.
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }
}
