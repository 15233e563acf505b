//! Why nothing was done: wrong input, or a system that refuses.

use std::error::Error;
use std::io;
use std::path::PathBuf;

use testbed::fabric::FabricError;
use testbed::realisation::RealisationError;
use traceflow_core::input::BadInput;
use traceflow_sim::LoadError;

/// What to tell whoever called.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error(transparent)]
    BadInput(#[from] BadInput),
    #[error(transparent)]
    Load(LoadError),
    #[error(transparent)]
    Realisation(#[from] RealisationError),
    #[error("a testbed is up in {state}; `testbed down --state {state}` ends it", state = .0.display())]
    Up(PathBuf),
    #[error("no testbed is up in {}", .0.display())]
    NotUp(PathBuf),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Fabric(FabricError),
    #[error("can't {action}")]
    System {
        action: String,
        #[source]
        source: io::Error,
    },
}

impl Failure {
    /// For `map_err`: what was tried when the system refused.
    pub(crate) fn system(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::System { action, source }
    }

    /// 2 if whoever called has to change something first.
    pub(crate) fn exit_status(&self) -> u8 {
        match self {
            Self::System { .. } => 1,
            Self::Fabric(FabricError::NotRoot | FabricError::Unsuitable(_)) => 2,
            Self::Fabric(_) => 1,
            _ => 2,
        }
    }

    /// On standard error, with its causes; a mistake in a file with the line that it stands in.
    pub(crate) fn print(&self) {
        eprint!("error: {self}");
        let mut cause = self.source();
        while let Some(error) = cause {
            eprint!(": {error}");
            cause = error.source();
        }
        eprintln!();
        if let Self::BadInput(mistake) = self
            && let Some((_, marked)) = mistake.excerpt().split_once('\n')
        {
            eprintln!("{marked}");
        }
    }
}

impl From<LoadError> for Failure {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Bad(mistake) => Self::BadInput(mistake),
            other => Self::Load(other),
        }
    }
}

impl From<FabricError> for Failure {
    fn from(error: FabricError) -> Self {
        match error {
            FabricError::InUse(directory) => Self::Up(directory),
            other => Self::Fabric(other),
        }
    }
}
