//! A policy that goes while packets are traced.

use futures_util::future::join;
use traceflow_core::session::Progress;

use super::scene::{FIRST, Scene, Way, cluster_with};
use super::table::until;
use crate::support::path;

const HTTP: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: http, namespace: default}
spec:
  podSelector: {matchLabels: {app: remote}}
  ingress:
  - from: [{podSelector: {matchLabels: {app: client}}}]
    ports: [{protocol: TCP, port: 80}]
";

/// Takes the place of the former.
const NOTHING: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: nothing, namespace: default}
spec: {podSelector: {matchLabels: {app: remote}}}
";

const BEFORE: &str = "two NetworkPolicy Forwarded IngressRule K8sNetworkPolicy:default/http";
const AFTER: &str = "two NetworkPolicy Dropped IngressDefaultRule";

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_that_goes_in_mid_trace_is_named_as_it_was_or_as_it_is() {
    let scene = Scene::of(cluster_with(HTTP), Way::Straight).await;
    let changed = cluster_with(NOTHING);
    // It goes while the packet is on its way.
    let mut tracing = scene.tracer().trace(scene.plan("remote", false, false));
    until(&mut tracing, |news| matches!(news, Progress::Injected { .. })).await;
    let (trace, ()) = join(tracing, scene.reprogram(&changed)).await;
    let seen = path(&trace.unwrap());
    assert!(
        seen.iter()
            .any(|line| line.starts_with(BEFORE) || line.starts_with(AFTER)),
        "{seen:#?}"
    );

    // It comes back before the packet is let in.
    let mut stop = scene.datapath(FIRST).stop_before_inject();
    let tracing = scene.tracer().trace(scene.plan("remote", false, false));
    stop.reached().await;
    scene.reprogram(&cluster_with(HTTP)).await;
    stop.go_on();
    let seen = path(&tracing.await.unwrap());
    assert!(seen.iter().any(|line| line.starts_with(BEFORE)), "{seen:#?}");

    // And goes while a live trace waits for traffic.
    let mut tracing = scene.tracer().trace(scene.plan("remote", true, true));
    until(&mut tracing, |news| matches!(news, Progress::Armed { .. })).await;
    scene.reprogram(&changed).await;
    scene.send(&scene.packet("remote"), 1).await;
    let seen = path(&tracing.await.unwrap());
    assert!(seen.iter().any(|line| line.starts_with(AFTER)), "{seen:#?}");
    scene.ends_as_reprogrammed("a policy that went").await;
}
