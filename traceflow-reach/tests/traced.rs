//! Packets over the simulated network say what its model says.

use std::num::NonZeroUsize;
use std::sync::Arc;

use traceflow_core::tracer::Tracer;
use traceflow_reach::{Grid, IN_FLIGHT, Matrix, Outcome, Selector};
use traceflow_sim::{Cluster, SimNetwork};

/// Every cell as a line.
fn lines(matrix: &Matrix) -> Vec<String> {
    let line = |cell: traceflow_reach::Cell<'_>| {
        let why = cell.reason.map(ToString::to_string).unwrap_or_default();
        let direction = cell.reason.and_then(|reason| reason.direction());
        format!(
            "{} -> {} {}: {:?} {direction:?} {why}",
            cell.sender, cell.target, cell.port, cell.outcome
        )
    };
    matrix.cells().map(line).collect()
}

async fn traced(network: &SimNetwork, grid: Grid, in_flight: NonZeroUsize) -> Matrix {
    let tracer = Tracer::builder(network.cluster().clone())
        .predictor(Arc::new(network.clone()))
        .datapaths(network.datapaths())
        .seed(1)
        .start();
    let grid = Arc::new(grid);
    let mut told = Vec::new();
    let matrix = grid.trace(&tracer, in_flight, |count| told.push(count)).await;
    assert_eq!(
        told,
        (1..=grid.askable().count()).collect::<Vec<_>>(),
        "each answer is told"
    );
    tracer.close().await.expect("everything is removed");
    assert!(network.leftovers().is_empty());
    matrix
}

#[tokio::test(start_paused = true)]
async fn a_traced_matrix_is_the_predicted_one() {
    for example in ["demo", "antrea"] {
        let cluster = Cluster::from_paths([format!("../examples/{example}")]).unwrap();
        let network = SimNetwork::new(cluster);
        let everybody = [Selector::everybody()];
        let mut targets = vec![Selector::everybody(), "8.8.8.8".parse().unwrap()];
        if example == "antrea" {
            targets.push("svc/data/orders".parse().unwrap());
        }
        let ports = "tcp/80,tcp/5432,udp/53,sctp/132,icmp";
        let grid = Grid::resolve(network.cluster(), &everybody, &targets, ports.parse().unwrap()).unwrap();
        let predicted = grid.clone().predict(&**network.cluster(), |_| ());
        for in_flight in [IN_FLIGHT, NonZeroUsize::MIN] {
            let traced = traced(&network, grid.clone(), in_flight).await;
            assert_eq!(lines(&traced), lines(&predicted), "{example}");
            assert_eq!(traced.findings(), 0);
        }
    }
}

/// A node that died answers nobody, and the others' packets are answered all the same.
#[tokio::test(start_paused = true)]
async fn who_cannot_be_traced_has_no_answer_and_the_reason() {
    let cluster = Cluster::builder()
        .node("a")
        .node("b")
        .pod("one", "a")
        .pod("two", "a")
        .pod("far", "b")
        .build()
        .unwrap();
    let network = SimNetwork::new(cluster);
    network.kill(&"b".into());
    let everybody = [Selector::everybody()];
    let grid = Grid::resolve(network.cluster(), &everybody, &everybody, "tcp/80".parse().unwrap()).unwrap();
    let matrix = traced(&network, grid, IN_FLIGHT).await;
    let tally = matrix.tally();
    assert_eq!(
        (tally.of(Outcome::Delivered), tally.of(Outcome::Unanswered)),
        (2, 4),
        "{:#?}",
        lines(&matrix)
    );
    let page = traceflow_reach::render::table(&matrix, traceflow_core::render::Style::Plain, false);
    assert!(page.contains("NO ANSWER"), "{page}");
}
