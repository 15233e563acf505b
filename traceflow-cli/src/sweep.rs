//! `traceflow sweep`: removes what dead tracers left.

use futures_util::future::join_all;

use crate::args::SweepArgs;
use crate::failure::{Failure, with_causes};
use crate::files::read_text;
use traceflow_ovs::nodes::NodeSwitch;

/// Sweeps every node, and prints what was there; whether all could be reached.
pub(crate) fn run(args: &SweepArgs) -> Result<bool, Failure> {
    let nodes = NodeSwitch::read_all(&read_text(&args.nodes)?)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?;
    let swept = runtime.block_on(join_all(nodes.iter().map(|node| traceflow_ovs::sweep(&node.openflow))));
    let mut page = String::new();
    for (node, swept) in nodes.iter().zip(&swept) {
        match swept {
            Ok(flows) => page.push_str(&report(node, flows)),
            Err(error) => eprintln!("error: {}: {}", node.name, with_causes(error)),
        }
    }
    crate::output::write(&page)?;
    Ok(swept.iter().all(Result::is_ok))
}

fn report(node: &NodeSwitch, flows: &[String]) -> String {
    let name = &node.name;
    match flows.len() {
        0 => format!("{name}: nothing to remove\n"),
        count => {
            let plural = if count == 1 { "" } else { "s" };
            let lines: String = flows.iter().map(|flow| format!("  {flow}\n")).collect();
            format!("{name}: removed {count} flow{plural}\n{lines}")
        }
    }
}
