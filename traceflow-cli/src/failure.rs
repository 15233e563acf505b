//! Why nothing was asked: wrong input, and files that can't be read.

use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

use traceflow_core::input::BadInput;
use traceflow_ovs::nodes::PipelineFileError;
use traceflow_sim::LoadError;

use crate::signals::Signal;

/// Nothing was traced, and whoever called has to change something first.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    BadInput(#[from] BadInput),
    #[error("can't read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Usage(String),
    #[error("the runtime doesn't start")]
    Runtime(#[source] io::Error),
    #[error("the answer can't be written")]
    Unwritable(#[source] io::Error),
    #[error("asking stopped halfway")]
    Panicked(#[source] tokio::task::JoinError),
    /// Everything that could be removed was.
    #[error("interrupted")]
    Interrupted(Signal),
}

impl Failure {
    /// A file that can't be read.
    pub(crate) fn unreadable(path: &Path, source: io::Error) -> Self {
        Self::Unreadable {
            path: path.to_owned(),
            source,
        }
    }

    /// On standard error, with its causes; a mistake in a file with the line that it stands in.
    pub(crate) fn print(&self) {
        if let Self::BadInput(mistake) = self {
            eprintln!("error: {mistake}");
            if let Some(marked) = mistake.excerpt().split_once('\n') {
                eprintln!("{}", marked.1);
            }
            return;
        }
        eprintln!("error: {}", with_causes(self));
    }

    /// What the program exits with.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            // As shells have it.
            Self::Interrupted(signal) => 128 + signal.number(),
            _ => BAD_INPUT,
        }
    }
}

/// Also what clap exits with.
pub(crate) const BAD_INPUT: u8 = 2;

/// An error with everything that led to it, in one line.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

impl From<PipelineFileError> for Failure {
    fn from(error: PipelineFileError) -> Self {
        match error {
            PipelineFileError::Bad(mistake) => Self::BadInput(mistake),
            PipelineFileError::Unreadable { path, source } => Self::Unreadable { path, source },
            other => Self::Usage(other.to_string()),
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Bad(mistake) => Self::BadInput(mistake),
            LoadError::Unreadable { path, source } => Self::Unreadable { path, source },
            other => Self::Usage(other.to_string()),
        }
    }
}
