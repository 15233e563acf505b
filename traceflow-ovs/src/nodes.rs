//! The nodes file: per node, where its switch is, whose pipeline it has, which port is which Pod, which rule number is
//! which rule.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use traceflow_core::input::{BadInput, Documents, Field, Problem, Text};
use traceflow_core::names::{NodeName, ObjectName};
use traceflow_core::observation::{PolicyKind, PolicyRef};

use crate::address::Address;
use crate::directory::Rule;
use crate::layout::Carrier;
use crate::pipeline::{Antrea, Description};

/// One node of a nodes file.
///
/// ```
/// use traceflow_core::input::Text;
/// use traceflow_ovs::nodes::{NodeSwitch, PipelineName};
///
/// let text = "
/// nodes:
/// - name: node-a
///   openflow: unix:/run/openvswitch/br-int.mgmt
///   pipeline: antrea
///   tunnel: 1
///   gateway: 2
///   pods:
///   - {pod: default/web, port: 3}
///   rules:
///   - {id: 2, policy: 'K8sNetworkPolicy:default/allow-web'}
/// ";
/// let nodes = NodeSwitch::read_all(&Text::new("nodes.yaml", text))?;
/// assert_eq!(nodes[0].pipeline, PipelineName::Antrea);
/// assert_eq!(nodes[0].bridge, "br-int");
///
/// let wrong = NodeSwitch::read_all(&Text::new("nodes.yaml", "nodes:\n- name: a\n  openflow: /run/br-int.mgmt\n")).unwrap_err();
/// assert_eq!(
///     wrong.to_string(),
///     "nodes.yaml:3:3: nodes[0].openflow: \"/run/br-int.mgmt\" is not valid; use unix:PATH or tcp:HOST:PORT"
/// );
/// # Ok::<(), traceflow_core::input::BadInput>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSwitch {
    /// `name`: the node's.
    pub name: NodeName,
    /// `openflow`: where the bridge speaks OpenFlow.
    pub openflow: Address,
    /// `unixctl`: where the switch takes commands, if that is known.
    pub unixctl: Option<Address>,
    /// `ovsdb`: where its database is, if that is known.
    pub ovsdb: Option<Address>,
    /// `bridge`; `br-int` if it is left out.
    pub bridge: String,
    /// `pipeline`; Antrea's if it is left out.
    pub pipeline: PipelineName,
    /// `carrier`: `tun_id` or `dscp`; what the pipeline says if it is left out.
    pub carrier: Option<Carrier>,
    /// `tunnel`, one port or a list.
    pub tunnels: Vec<u32>,
    /// `gateway`
    pub gateway: Option<u32>,
    /// `routed`: ranges of other nodes' Pods that are reached by the gateway.
    pub routed: Vec<IpNet>,
    /// `pods`
    pub pods: BTreeMap<ObjectName, u32>,
    /// `rules`
    pub rules: BTreeMap<u32, Rule>,
}

/// Which pipeline a node has.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum PipelineName {
    /// `antrea`
    Antrea,
    /// Any other word: the path of a file that describes one, from the folder of the nodes file.
    File(PathBuf),
}

/// OpenFlow 1.5.1, 7.2.1.1: the numbers above are reserved.
const LAST_PORT: u32 = 0xffff_ff00;

impl NodeSwitch {
    /// Reads a nodes file.
    ///
    /// # Errors
    /// The first mistake, with its place.
    pub fn read_all(text: &Text) -> Result<Vec<Self>, BadInput> {
        let mut nodes: Vec<Self> = Vec::new();
        for document in Documents::new(text) {
            let document = document?;
            let root = document.root();
            root.only(&["nodes"])?;
            for field in root.required("nodes").map(|_| root.items("nodes"))?? {
                let node = Self::read(&field)?;
                if nodes.iter().any(|other| other.name == node.name) {
                    return Err(field
                        .required("name")?
                        .invalid("a name that no other node of the file has"));
                }
                nodes.push(node);
            }
        }
        Ok(nodes)
    }

    fn read(node: &Field<'_>) -> Result<Self, BadInput> {
        node.only(&[
            "name", "openflow", "unixctl", "ovsdb", "bridge", "pipeline", "carrier", "tunnel", "gateway", "routed",
            "pods", "rules",
        ])?;
        let address = |field: Field<'_>| field.parsed::<Address>("unix:PATH or tcp:HOST:PORT");
        let optional = |key| node.optional(key)?.map(address).transpose();
        Ok(Self {
            name: NodeName::new(node.required("name")?.string()?),
            openflow: address(node.required("openflow")?)?,
            unixctl: optional("unixctl")?,
            ovsdb: optional("ovsdb")?,
            bridge: match node.optional("bridge")? {
                Some(bridge) => bridge.string()?.to_string(),
                None => "br-int".to_owned(),
            },
            pipeline: match node.optional("pipeline")? {
                Some(pipeline) => PipelineName::read(&pipeline.string()?),
                None => PipelineName::Antrea,
            },
            carrier: node
                .optional("carrier")?
                .map(|carrier| read_carrier(&carrier))
                .transpose()?,
            tunnels: tunnels(node)?,
            gateway: node
                .optional("gateway")?
                .map(|port| port.integer(1..=LAST_PORT))
                .transpose()?,
            routed: node
                .items("routed")?
                .map(|range| range.parsed("a range such as 10.244.0.0/16"))
                .collect::<Result<_, _>>()?,
            pods: pods(node)?,
            rules: rules(node)?,
        })
    }

    /// The pipeline that the node is said to have. One that stands in a file is looked for in `folder`, that of the nodes
    /// file.
    ///
    /// # Errors
    /// If the file can't be read, or doesn't describe a pipeline.
    pub fn pipeline(&self, folder: &Path) -> Result<Description, PipelineFileError> {
        let mut pipeline = match &self.pipeline {
            PipelineName::Antrea => Antrea::default().description(),
            PipelineName::File(path) => read_pipeline(&folder.join(path))?,
        };
        if let Some(carrier) = self.carrier {
            pipeline.carrier = carrier;
        }
        Ok(pipeline)
    }
}

fn read_pipeline(path: &Path) -> Result<Description, PipelineFileError> {
    let bytes = std::fs::read(path).map_err(|source| PipelineFileError::Unreadable {
        path: path.to_owned(),
        source,
    })?;
    Ok(Description::read(&Text::from_bytes(
        path.display().to_string(),
        &bytes,
    )?)?)
}

/// Why a node has no pipeline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineFileError {
    /// The file can't be read.
    #[error("can't read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What stands in it is no pipeline.
    #[error(transparent)]
    Bad(#[from] BadInput),
}

impl PipelineName {
    fn read(word: &str) -> Self {
        match word {
            "antrea" => Self::Antrea,
            path => Self::File(path.into()),
        }
    }
}

pub(crate) fn read_carrier(field: &Field<'_>) -> Result<Carrier, BadInput> {
    match &*field.string()? {
        "tun_id" => Ok(Carrier::TunnelId),
        "dscp" => Ok(Carrier::Dscp),
        _ => Err(field.invalid("tun_id or dscp")),
    }
}

/// One port, or a list of them.
fn tunnels(node: &Field<'_>) -> Result<Vec<u32>, BadInput> {
    let Some(field) = node.optional("tunnel")? else {
        return Ok(Vec::new());
    };
    match field.integer(1..=LAST_PORT) {
        Ok(port) => Ok(vec![port]),
        Err(_) if matches!(field.node().value, traceflow_core::input::Value::List(_)) => {
            node.items("tunnel")?.map(|port| port.integer(1..=LAST_PORT)).collect()
        }
        Err(error) => Err(error),
    }
}

fn pods(node: &Field<'_>) -> Result<BTreeMap<ObjectName, u32>, BadInput> {
    let mut pods = BTreeMap::new();
    for entry in node.items("pods")? {
        entry.only(&["pod", "port"])?;
        let field = entry.required("pod")?;
        let name = field.string()?;
        let name = name
            .split_once('/')
            .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty())
            .map(|(namespace, name)| ObjectName::new(namespace, name))
            .ok_or_else(|| field.invalid("namespace/name"))?;
        let port = entry.required("port")?.integer(1..=LAST_PORT)?;
        if pods.insert(name, port).is_some() {
            return Err(field.invalid("a Pod that has no other port in the list"));
        }
    }
    Ok(pods)
}

fn rules(node: &Field<'_>) -> Result<BTreeMap<u32, Rule>, BadInput> {
    let mut rules = BTreeMap::new();
    for entry in node.items("rules")? {
        entry.only(&["id", "policy", "rule"])?;
        let field = entry.required("policy")?;
        let policy = read_policy(&field.string()?).ok_or_else(|| field.invalid(POLICY))?;
        let name = entry.optional("rule")?.map(|name| name.string()).transpose()?;
        let id = entry.required("id")?;
        let rule = Rule {
            policy,
            name: name.map(|name| name.to_string()),
        };
        if rules.insert(id.integer(1..=u32::MAX)?, rule).is_some() {
            return Err(id.error(Problem::Invalid {
                found: "the number stands twice".to_owned(),
                expected: "one number per rule".into(),
            }));
        }
    }
    Ok(rules)
}

const POLICY: &str = "KIND:NAMESPACE/NAME or KIND:NAME, such as K8sNetworkPolicy:default/allow-web";

/// As [`PolicyRef`] is printed.
fn read_policy(text: &str) -> Option<PolicyRef> {
    let (kind, name) = text.split_once(':').filter(|(kind, _)| !kind.is_empty())?;
    let (namespace, name) = match name.split_once('/') {
        Some((namespace, name)) => (Some(namespace), name),
        None => (None, name),
    };
    (!name.is_empty() && namespace != Some("")).then(|| PolicyRef {
        kind: PolicyKind::from(kind),
        namespace: namespace.map(Into::into),
        name: name.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistake(text: &str) -> String {
        NodeSwitch::read_all(&Text::new("n.yaml", text))
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn every_mistake_is_told_with_its_place() {
        let node = "nodes:\n- name: a\n  openflow: unix:/s\n  ";
        let cases = [
            ("{}", "n.yaml:1:1: nodes: is missing; add nodes"),
            ("nodes: 7", "n.yaml:1:1: nodes: 7 is an integer; use a list"),
            (
                "nodes:\n- openflow: unix:/s",
                "n.yaml:2:3: nodes[0].name: is missing; add name",
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(mistake(text), expected);
        }
        let within = [
            (
                "carrier: vlan",
                "nodes[0].carrier: \"vlan\" is not valid; use tun_id or dscp",
            ),
            ("gateway: 0", "nodes[0].gateway: 0 is out of range; use 1 to 4294967040"),
            (
                "pods: [{pod: web, port: 3}]",
                "nodes[0].pods[0].pod: \"web\" is not valid; use namespace/name",
            ),
            (
                "rules: [{id: 1, policy: web}]",
                &format!("nodes[0].rules[0].policy: \"web\" is not valid; use {POLICY}"),
            ),
        ];
        for (line, expected) in within {
            let told = mistake(&format!("{node}{line}\n"));
            assert!(told.ends_with(expected), "{told}");
        }
    }

    #[test]
    fn a_node_may_have_several_tunnels() {
        let text = "nodes: [{name: a, openflow: 'tcp:[::1]:6653', tunnel: [1, 5], carrier: dscp, pipeline: p.yaml}]";
        let nodes = NodeSwitch::read_all(&Text::new("n.yaml", text)).unwrap();
        assert_eq!(nodes[0].tunnels, [1, 5]);
        assert_eq!(nodes[0].carrier, Some(Carrier::Dscp));
        assert_eq!(nodes[0].pipeline, PipelineName::File("p.yaml".into()));
    }

    #[test]
    fn a_nodes_carrier_wins_over_that_of_its_pipeline() {
        let folder = tempfile::tempdir().unwrap();
        let pipeline = "{carrier: dscp, stages: [{table: 0, role: output}], exits: [{table: 0, to: port}], registers: {mark: 10, \
                        guard: 11}}";
        std::fs::write(folder.path().join("p.yaml"), pipeline).unwrap();
        let carrier = |more: &str| {
            let text = format!("nodes: [{{name: a, openflow: 'unix:/s', pipeline: p.yaml{more}}}]");
            let nodes = NodeSwitch::read_all(&Text::new("n.yaml", text)).unwrap();
            nodes[0].pipeline(folder.path()).unwrap().carrier
        };
        assert_eq!(carrier(""), Carrier::Dscp);
        assert_eq!(carrier(", carrier: tun_id"), Carrier::TunnelId);
    }

    #[test]
    fn a_pipeline_file_that_is_not_there_is_named() {
        let text = "nodes: [{name: a, openflow: 'unix:/s', pipeline: none.yaml}]";
        let nodes = NodeSwitch::read_all(&Text::new("n.yaml", text)).unwrap();
        let error = nodes[0].pipeline(Path::new("/no/such/folder")).unwrap_err();
        assert_eq!(error.to_string(), "can't read /no/such/folder/none.yaml");
    }

    #[test]
    fn a_name_stands_once() {
        let told = mistake("nodes: [{name: a, openflow: unix:/s}, {name: a, openflow: unix:/t}]");
        assert!(
            told.ends_with("\"a\" is not valid; use a name that no other node of the file has"),
            "{told}"
        );
    }
}
