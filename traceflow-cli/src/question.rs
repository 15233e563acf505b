//! What is asked: each question resolved against the cluster before any packet moves.

use std::path::PathBuf;

use serde_json::{Value, json};
use traceflow_core::plan::Plan;
use traceflow_core::spec::{ApiVersion, CommandLine, Manifest};

use crate::args::TraceArgs;
use crate::failure::Failure;
use crate::files::read_text;
use crate::network::Network;

/// One trace to run, and the object that it is printed as.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) name: String,
    pub(crate) api_version: ApiVersion,
    pub(crate) metadata: Value,
    pub(crate) spec: Value,
    pub(crate) plan: Plan,
}

/// The questions of Traceflow manifests, in their order.
pub(crate) fn from_files(files: &[PathBuf], network: &mut Network) -> Result<Vec<Question>, Failure> {
    let mut manifests = Vec::new();
    for file in files {
        manifests.extend(Manifest::read(&read_text(file)?)?);
    }
    manifests
        .iter()
        .map(|manifest| from_manifest(manifest, network))
        .collect()
}

fn from_manifest(manifest: &Manifest, network: &mut Network) -> Result<Question, Failure> {
    let plan = network
        .plan(manifest.spec())
        .map_err(|mistake| manifest.locate(mistake))?;
    Ok(Question {
        name: manifest.name().to_string(),
        api_version: manifest.api_version(),
        metadata: manifest.metadata(),
        spec: manifest.written_spec(),
        plan,
    })
}

/// The question of `traceflow trace`, printed as the Traceflow object that asks the same.
pub(crate) fn from_command_line(args: &TraceArgs, network: &mut Network) -> Result<Question, Failure> {
    let words = CommandLine {
        source: args.source.as_deref(),
        destination: args.destination.as_deref(),
        flow: args.flow.as_deref(),
        live_traffic: args.live_traffic,
        dropped_only: args.dropped_only,
        timeout: Some(args.timeout),
    };
    let spec = words.spec(network.inventory())?;
    let plan = network.plan(&spec).map_err(CommandLine::locate)?;
    let name = name(&[args.source.as_deref(), args.destination.as_deref()]);
    Ok(Question {
        api_version: ApiVersion::V1Beta1,
        metadata: json!({ "name": name }),
        spec: spec.to_json(),
        plan,
        name,
    })
}

/// A name that Kubernetes takes: `pod1-to-pod3`.
fn name(ends: &[Option<&str>; 2]) -> String {
    let [source, destination] = ends.map(|end| end.unwrap_or("any").replace(['/', ':', '.'], "-"));
    format!("{source}-to-{destination}")
}
