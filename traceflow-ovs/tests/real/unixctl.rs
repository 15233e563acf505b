//! Questions to the control socket.

use tokio::time::timeout;
use traceflow_ovs::jsonrpc::RpcError;
use traceflow_ovs::unixctl::{Unixctl, UnixctlError};

use crate::switch::{PATIENCE, Switch};

#[tokio::test]
async fn a_switch_answers_or_says_why_not() {
    let Some(switch) = Switch::start() else { return };
    let unixctl = Unixctl::new(switch.unixctl(), PATIENCE);
    assert!(
        unixctl
            .version()
            .await
            .unwrap()
            .starts_with("ovs-vswitchd (Open vSwitch) ")
    );
    let error = unixctl.revalidator_wait().await.unwrap_err();
    assert_eq!(
        error.refusal(),
        Some("can't wait on multiple udpifs."),
        "there is no datapath without a bridge"
    );
    switch.vsctl("add-br br0 -- set bridge br0 datapath_type=dummy");
    unixctl.revalidator_wait().await.unwrap();
    unixctl.revalidator_purge().await.unwrap();
    // The counters of the switch's threads are added up about once a second.
    let counted = async {
        while unixctl.coverage().await.unwrap().total("unixctl_received") == 0 {
            unixctl.revalidator_wait().await.unwrap();
        }
    };
    timeout(PATIENCE, counted).await.unwrap();
    let error = unixctl
        .call("ofproto/trace", &["br-nope", "in_port=1"])
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some("br-nope: unknown bridge"));
    let error = unixctl.call("no/such", &[]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        r#"no/such was refused: "no/such" is not a valid command (use "list-commands" to see a list of valid commands)"#
    );
}

#[tokio::test]
async fn a_restarted_switch_is_asked_on_a_new_connection() {
    let Some(mut switch) = Switch::start() else { return };
    let unixctl = Unixctl::new(switch.unixctl(), PATIENCE);
    let before = unixctl.version().await.unwrap();
    switch.restart();
    assert_eq!(unixctl.version().await.unwrap(), before);
}

#[tokio::test]
async fn a_switch_that_is_gone_is_unreachable() {
    let Some(switch) = Switch::start() else { return };
    let unixctl = Unixctl::new(switch.unixctl(), PATIENCE);
    unixctl.version().await.unwrap();
    drop(switch);
    let error = unixctl.version().await.unwrap_err();
    assert!(
        matches!(error, UnixctlError::Call(RpcError::Unreachable { .. })),
        "{error}"
    );
}
