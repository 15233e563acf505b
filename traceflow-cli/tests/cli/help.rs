//! Help that teaches.

use crate::{on_demo, traceflow};

#[test]
fn help_shows_every_command_and_the_exit_status() {
    let run = traceflow(&["--help"]);
    assert_eq!(run.exit, 0);
    for word in [
        "run",
        "trace",
        "sweep",
        "decode",
        "matrix",
        "check",
        "Exit status: 0",
        "traceflow trace --cluster examples/demo",
    ] {
        assert!(run.out.contains(word), "{word} is not in {}", run.out);
    }
}

#[test]
fn no_arguments_show_the_help_and_are_bad_input() {
    let run = traceflow(&[]);
    assert_eq!(run.exit, 2);
    assert!(run.err.contains("Usage: traceflow <COMMAND>"), "{}", run.err);
}

#[test]
fn no_line_of_the_examples_is_longer_than_a_terminal_is_wide() {
    for args in [
        &["--help"][..],
        &["trace", "--help"],
        &["run", "--help"],
        &["sweep", "--help"],
        &["decode", "--help"],
        &["matrix", "--help"],
        &["check", "--help"],
    ] {
        let run = traceflow(args);
        let examples = run
            .out
            .lines()
            .skip_while(|line| !line.starts_with("Example") && !line.starts_with("Try"));
        let longest = examples.map(|line| line.chars().count()).max();
        assert!(
            longest.is_some_and(|length| (40..=80).contains(&length)),
            "{longest:?}: {}",
            run.out
        );
    }
}

/// What the help tells people to type is typed here.
#[test]
fn the_examples_of_the_help_work() {
    let texts = [
        &["--help"][..],
        &["trace", "--help"],
        &["run", "--help"],
        &["matrix", "--help"],
        &["check", "--help"],
    ]
    .map(|args| traceflow(args).out.replace("\\\n", " "));
    let mut tried = 0;
    for line in texts.iter().flat_map(|text| text.lines()) {
        let Some(command) = line.trim().strip_prefix("traceflow ") else {
            continue;
        };
        if !command.contains("--cluster examples/demo") {
            continue;
        }
        let words = words(command);
        let run = on_demo(
            &words
                .iter()
                .map(String::as_str)
                .filter(|word| *word != "--cluster" && *word != "examples/demo")
                .collect::<Vec<_>>(),
        );
        assert_eq!(run.exit, 0, "{command}: {}{}", run.out, run.err);
        tried += 1;
    }
    assert!(tried >= 13, "only {tried} examples were found");
}

/// Splits a line as a shell does that knows single quotes only.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (index, piece) in line.split('\'').enumerate() {
        if index % 2 == 1 {
            words.push(piece.to_owned());
        } else {
            words.extend(piece.split_whitespace().map(str::to_owned));
        }
    }
    words
}
