//! Runs every benchmark, one after the other, and gathers what they found:
//! `cargo run --release -p benches [-- --quick] [--many] [--instructions] [--json FILE] [SECTION...]`.
//!
//! Each is a program of its own, so that none disturbs another. Exit status 1 if a target is missed, 2 if something could
//! not be measured.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use serde_json::Value;

/// A benchmark.
struct Section {
    name: &'static str,
    /// The package whose program it measures, if it is another one.
    measured: Option<&'static str>,
    /// What cargo is told to run.
    arguments: &'static [&'static str],
    /// The words that it understands.
    words: &'static [&'static str],
}

const SECTIONS: [Section; 6] = [
    Section {
        name: "ratios",
        measured: None,
        arguments: &["-p", "benches", "--bin", "ratios"],
        words: &["--instructions"],
    },
    // What only this peer needs is built only here.
    Section {
        name: "rovs",
        measured: None,
        arguments: &["--manifest-path", "benches/rovs/Cargo.toml"],
        words: &[],
    },
    Section {
        name: "tracers",
        measured: None,
        arguments: &["-p", "benches", "--bin", "tracers"],
        words: &["--quick"],
    },
    Section {
        name: "traces",
        measured: None,
        arguments: &["-p", "benches", "--bin", "traces"],
        words: &["--quick", "--many"],
    },
    Section {
        name: "matrix",
        measured: Some("traceflow-cli"),
        arguments: &["-p", "benches", "--bin", "matrix"],
        words: &["--quick"],
    },
    Section {
        name: "scale",
        measured: None,
        arguments: &["-p", "benches", "--bin", "scale"],
        words: &["--quick"],
    },
];

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let json = words.iter().position(|word| word == "--json").map(|place| {
        words.remove(place);
        (place < words.len()).then(|| words.remove(place))
    });
    if json == Some(None) {
        eprintln!("--json needs the name of a file");
        return ExitCode::from(2);
    }
    let (options, chosen): (Vec<&str>, Vec<&str>) = words
        .iter()
        .map(String::as_str)
        .partition(|word| word.starts_with("--"));
    let known = |word: &&&str| {
        SECTIONS
            .iter()
            .any(|section| section.name == **word || section.words.contains(*word))
    };
    if let Some(unknown) = options.iter().chain(&chosen).find(|word| !known(word)) {
        let names = SECTIONS.map(|section| section.name).join(", ");
        eprintln!("there is no {unknown}; there are {names}, --quick, --many, --instructions and --json FILE");
        return ExitCode::from(2);
    }
    let mut worst = 0;
    let mut figures = Vec::new();
    for section in SECTIONS
        .iter()
        .filter(|section| chosen.is_empty() || chosen.contains(&section.name))
    {
        match section.run(&options) {
            Ok((status, found)) => {
                worst = worst.max(status);
                figures.extend(found);
            }
            Err(error) => {
                eprintln!("{}: {error}", section.name);
                worst = 2;
            }
        }
        println!();
    }
    if let Some(Some(path)) = json
        && let Err(error) = fs::write(&path, format!("{:#}\n", Value::Array(figures)))
    {
        eprintln!("can't write {path}: {error}");
        worst = 2;
    }
    ExitCode::from(worst)
}

impl Section {
    /// How it ended, and what it found if it got so far.
    fn run(&self, options: &[&str]) -> Result<(u8, Option<Value>), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let found = folder.path().join("figures.json");
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let understood = options.iter().filter(|option| self.words.contains(option));
        if let Some(package) = self.measured {
            let built = Command::new(&cargo)
                .current_dir(&root)
                .args(["build", "--quiet", "--release", "-p", package])
                .status()?;
            if !built.success() {
                return Err(format!("{package} can't be built").into());
            }
        }
        let status = Command::new(cargo)
            .current_dir(root)
            .args(["run", "--quiet", "--release"])
            .args(self.arguments)
            .arg("--")
            .args(understood)
            .arg("--json")
            .arg(&found)
            .status()?;
        let figures = fs::read(&found)
            .ok()
            .map(|text| serde_json::from_slice(&text))
            .transpose()?;
        let status = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2);
        Ok((status, figures))
    }
}
