//! Switches that nobody is connected to, to ask them what they would do: one bridge per node, in one process.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use testbed::realisation::{NodeRealisation, Program};

/// How many ports each bridge has; port 1 is the tunnel's.
const PORTS: u32 = 20;

/// An Open vSwitch without root and without packets.
pub(crate) struct Switch {
    daemons: Vec<Child>,
    directory: tempfile::TempDir,
}

impl Switch {
    pub(crate) fn start(bridges: usize) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut switch = Self {
            directory,
            daemons: Vec::new(),
        };
        switch.run(
            "ovsdb-tool",
            &["create", "conf.db", "/usr/share/openvswitch/vswitch.ovsschema"],
            "",
        );
        switch.spawn(
            "ovsdb-server",
            &["conf.db", "--remote=punix:db.sock", "--unixctl=ovsdb.ctl"],
        );
        switch.run(
            "ovs-vsctl",
            &["--db=unix:db.sock", "--retry", "--timeout=30", "--no-wait", "init"],
            "",
        );
        let switchd = [
            "unix:db.sock",
            "--enable-dummy",
            "--disable-system",
            "--disable-system-route",
            "--unixctl=vswitchd.ctl",
        ];
        switch.spawn("ovs-vswitchd", &switchd);
        let mut configuration: Vec<String> = ["--db=unix:db.sock", "--timeout=30"].map(str::to_owned).into();
        configuration.extend((0..bridges).flat_map(bridge));
        let configuration: Vec<&str> = configuration.iter().map(String::as_str).collect();
        switch.run("ovs-vsctl", &configuration, "");
        switch
    }

    /// Gives each bridge the flows of a node, and nothing else.
    pub(crate) fn program(&self, nodes: &[NodeRealisation]) {
        for (index, node) in nodes.iter().enumerate() {
            self.program_one(index, &node.program);
        }
    }

    /// Which endpoint a group chooses by default depends on a hash that only the datapath knows, where a trace ends. With
    /// the other hash it goes on; the choice is as good as any.
    pub(crate) fn program_one(&self, bridge: usize, program: &Program) {
        let socket = format!("unix:br{bridge}.mgmt");
        let groups = program
            .groups
            .replace("type=select", "type=select,selection_method=hash");
        self.run("ovs-ofctl", &["-OOpenFlow15", "del-flows", &socket], "");
        self.run("ovs-ofctl", &["-OOpenFlow15", "del-groups", &socket], "");
        self.run("ovs-ofctl", &["-OOpenFlow15", "add-groups", &socket, "-"], &groups);
        self.run(
            "ovs-ofctl",
            &["-OOpenFlow15", "add-flows", &socket, "-"],
            &program.flows,
        );
    }

    /// What the bridge would do with this packet, in Open vSwitch's words.
    pub(crate) fn trace(&self, bridge: usize, flow: &str, state: &str) -> String {
        // Connection tracking is asked at most four times on one node.
        let states = ["--ct-next", state].repeat(4);
        let bridge = format!("br{bridge}");
        let mut params = vec![bridge.as_str(), flow];
        params.extend(states);
        self.call("ofproto/trace", &params)
    }

    fn call(&self, method: &str, params: &[&str]) -> String {
        let mut stream = UnixStream::connect(self.directory.path().join("vswitchd.ctl")).unwrap();
        let request = json!({"id": 0, "method": method, "params": params});
        stream.write_all(request.to_string().as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        let reply: Value = serde_json::from_str(&reply).unwrap();
        let result = reply["result"].as_str();
        result
            .unwrap_or_else(|| panic!("{method} {params:?}: {reply}"))
            .to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str], input: &str) {
        let mut child = command(program, self.directory.path())
            .args(arguments)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{program} {arguments:?}: {said}");
    }

    fn spawn(&mut self, program: &str, arguments: &[&str]) {
        let log = std::fs::File::create(self.directory.path().join(format!("{program}.log"))).unwrap();
        let child = command(program, self.directory.path())
            .args(arguments)
            .stderr(log)
            .spawn();
        self.daemons.push(child.unwrap());
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}

fn command(program: &str, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    for variable in ["OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"] {
        command.env(variable, directory);
    }
    command
}

fn bridge(index: usize) -> Vec<String> {
    let name = format!("br{index}");
    let mut words = vec![format!(
        "-- add-br {name} -- set bridge {name} datapath_type=dummy fail-mode=secure protocols=OpenFlow15 -- add-port {name} \
         {name}-1 -- set interface {name}-1 type=geneve options:remote_ip=flow options:key=flow ofport_request=1"
    )];
    words.extend((2..=PORTS).map(|port| {
        format!("-- add-port {name} {name}-{port} -- set interface {name}-{port} type=dummy ofport_request={port}")
    }));
    words
        .iter()
        .flat_map(|words| words.split(' ').map(str::to_owned))
        .collect()
}
