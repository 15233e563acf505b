//! Reading files, of which `-` is standard input.

use std::io::{self, Read};
use std::path::Path;

use traceflow_core::input::Text;

use crate::failure::Failure;

/// The text of a file, under the name that messages call it by.
pub(crate) fn read_text(file: &Path) -> Result<Text, Failure> {
    Ok(Text::from_bytes(label(file), &read(file)?)?)
}

/// The bytes of a file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    let read = if is_standard_input(file) {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        std::fs::read(file)
    };
    read.map_err(|error| Failure::unreadable(file, error))
}

/// What messages call it.
pub(crate) fn label(file: &Path) -> String {
    if is_standard_input(file) {
        "standard input".to_owned()
    } else {
        file.display().to_string()
    }
}

fn is_standard_input(file: &Path) -> bool {
    file == Path::new("-")
}
