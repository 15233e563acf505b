//! Printing the answers.

use std::io::{self, IsTerminal, Write};

use traceflow_core::render::{self, Style, Traceflow, TraceflowList};
use traceflow_core::trace::Trace;
use traceflow_sim::Cluster;

use crate::args::{ColorChoice, Format, OutputArgs};
use crate::ask::Answer;
use crate::failure::{Failure, with_causes};
use crate::question::Question;

/// Refuses what can't be printed before anything is traced.
pub(crate) fn check(output: &OutputArgs, questions: &[Question]) -> Result<(), Failure> {
    match (output.output, questions.len()) {
        (Format::Svg, 2..) => Err(Failure::Usage(format!(
            "-o svg draws one trace, and these are {}; run them one by one",
            questions.len()
        ))),
        (format, _) if output.explain && format != Format::Table => Err(Failure::Usage(
            "--explain is for people to read; drop -o, or take -o table".to_owned(),
        )),
        _ => Ok(()),
    }
}

/// Prints all answers to standard output, in the order in which they were asked.
pub(crate) fn print(output: &OutputArgs, answers: &[Answer], cluster: &Cluster) -> Result<(), Failure> {
    let explained = output.explain.then_some(cluster);
    let text = match output.output {
        Format::Table => tables(answers, style(output.color), explained),
        Format::Yaml => objects(answers, Traceflow::to_yaml, TraceflowList::to_yaml),
        Format::Json => objects(answers, Traceflow::to_json, TraceflowList::to_json),
        Format::Dot => pictures(answers, render::dot),
        Format::Mermaid => pictures(answers, render::mermaid),
        Format::Svg => pictures(answers, render::svg),
    };
    write(&text)
}

/// Prints to standard output.
pub(crate) fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // Whoever reads has read enough, as `head` does.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(Failure::Unwritable),
    }
}

fn tables(answers: &[Answer], style: Style, explained: Option<&Cluster>) -> String {
    let mut page = String::new();
    for answer in answers {
        if answers.len() > 1 {
            let gap = if page.is_empty() { "" } else { "\n" };
            page.push_str(&format!("{gap}# {}\n", answer.question.name));
        }
        match &answer.outcome {
            Ok(trace) => page.push_str(&render::table(trace, style)),
            Err(error) => page.push_str(&format!("NO ANSWER: {}\n", with_causes(error))),
        }
        if let Some(cluster) = explained {
            page.push_str(&format!("\n{}", explanation(answer, cluster)));
        }
    }
    page
}

/// What blocks the packet on its way to the endpoint that the network chose, where a Service was asked for one.
fn explanation(answer: &Answer, cluster: &Cluster) -> String {
    let plan = &answer.question.plan;
    let chosen = answer.outcome.as_ref().ok().and_then(Trace::chosen_endpoint);
    let explanation = match chosen {
        Some(endpoint) => cluster.explain_choosing(plan, endpoint),
        None => cluster.explain(plan).map(Some),
    };
    match explanation {
        Ok(Some(explanation)) => explanation.to_string(),
        Ok(None) => "No explanation: the Service chose an endpoint that the model doesn't have.\n".to_owned(),
        Err(reason) => format!("No explanation: {reason}.\n"),
    }
}

fn objects(answers: &[Answer], one: fn(&Traceflow) -> String, many: fn(&TraceflowList) -> String) -> String {
    let mut objects: Vec<_> = answers.iter().map(Answer::object).collect();
    match (objects.len(), objects.pop()) {
        (1, Some(object)) => one(&object),
        (_, last) => many(&TraceflowList(objects.into_iter().chain(last).collect())),
    }
}

/// What has no answer has no picture; standard error has said why.
fn pictures(answers: &[Answer], draw: fn(&Trace) -> String) -> String {
    answers
        .iter()
        .filter_map(|answer| answer.outcome.as_ref().ok())
        .map(draw)
        .collect()
}

/// Whether to colour what is printed to standard output.
pub(crate) fn style(color: ColorChoice) -> Style {
    let wanted = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        // See no-color.org.
        ColorChoice::Auto => {
            io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        }
    };
    if wanted { Style::Ansi } else { Style::Plain }
}
