//! The mistakes.

use super::edit::Edit::{self, Add, Delete, Drop, Priority, Replace};

/// A mistake in the program of one node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mutation {
    /// What is wrong.
    pub name: &'static str,
    /// On which node: 0 is `n1`.
    pub node: usize,
    /// In which table; `group` is none.
    pub table: &'static str,
    /// Words that every flow which is meant contains.
    pub words: &'static [&'static str],
    /// What is done to them.
    pub edit: Edit,
}

macro_rules! catalogue {
    ($($node:literal $table:literal [$($word:literal),*] $edit:expr, $name:literal;)*) => {
        /// All of them. Some change nothing that a first packet could tell: those show that nothing is found then.
        pub const CATALOGUE: &[Mutation] = &[$(Mutation {
            name: $name,
            node: $node,
            table: $table,
            words: &[$($word),*],
            edit: $edit,
        }),*];
    };
}

catalogue! {
    0 "PipelineRootClassifier" [",ip "] Delete, "IPv4 doesn't enter the pipeline";
    0 "PipelineRootClassifier" [",ipv6 "] Delete, "IPv6 doesn't enter the pipeline";
    1 "PipelineRootClassifier" [",ip "] Delete, "IPv4 doesn't enter the pipeline of the other node";
    0 "Classifier" ["in_port=4 "] Delete, "a Pod's port is not classified";
    0 "Classifier" ["in_port=4 "] Replace("set_field:0x3/0xf", "set_field:0x1/0xf"), "a Pod is taken for the tunnel";
    0 "Classifier" ["in_port=4 "] Replace("goto_table:4", "goto_table:8"), "a Pod's packets skip the spoof guard and conntrack";
    1 "Classifier" ["in_port=1 "] Delete, "the tunnel's port is not classified";
    1 "Classifier" ["in_port=1 "] Replace("set_field:0x200/0x200->reg0,", ""), "what comes from the tunnel keeps its MAC address";
    1 "Classifier" ["in_port=1 "] Replace("set_field:0x1/0xf", "set_field:0x3/0xf"), "the tunnel is taken for a Pod";
    0 "SpoofGuard" ["in_port=4,"] Delete, "the spoof guard doesn't know a Pod";
    0 "SpoofGuard" ["nw_src=10.1.0.10,"] Replace("nw_src=10.1.0.10", "nw_src=10.1.0.99"), "the spoof guard knows another address";
    0 "SpoofGuard" ["in_port=4,"] Replace("0a:58:0a:01:00:0a", "0a:58:0a:01:00:ff"), "the spoof guard knows another MAC address";
    0 "SpoofGuard" ["nw_src=10.1.0.10,"] Replace("in_port=4", "in_port=5"), "the spoof guard expects a Pod at another port";
    0 "IPv6" ["priority=0 "] Delete, "IPv6 ends behind the spoof guard";
    0 "UnSNAT" ["priority=0 "] Delete, "nothing passes UnSNAT";
    0 "ConntrackZone" [",ip "] Drop, "connection tracking drops IPv4";
    0 "ConntrackZone" [",ip "] Replace("zone=65520", "zone=4"), "connections are tracked in another zone";
    0 "ConntrackState" ["priority=0 "] Delete, "new connections are dropped";
    1 "ConntrackState" ["priority=0 "] Delete, "new connections are dropped on the other node";
    0 "ConntrackState" ["+inv"] Delete, "invalid packets pass";
    0 "ConntrackState" ["priority=0 "] Replace("goto_table:9", "goto_table:14"), "Services are skipped";
    0 "PreRoutingClassifier" [",ip "] Delete, "IPv4 enters the Services' tables by the second way";
    0 "SessionAffinity" [] Delete, "no endpoint is to be selected";
    0 "ServiceLB" ["tcp,", "10.96.0.10"] Delete, "a Service's port has no flow";
    0 "ServiceLB" ["tcp,", "10.96.0.10"] Replace("tcp_dst=80", "tcp_dst=81"), "a Service's flow has another port";
    0 "ServiceLB" ["tcp,", "10.96.0.10"] Replace("nw_dst=10.96.0.10", "nw_dst=10.96.0.20"), "a Service's flow has another address";
    0 "ServiceLB" ["tcp,", "10.96.0.10"] Replace("group:3", "group:1"), "a Service uses another's group";
    0 "ServiceLB" ["tcp,", "10.96.0.11"] Replace("set_field:0x200/0x200->reg0,", ""), "the MAC address is not rewritten for a Service's endpoint";
    0 "ServiceLB" ["tcp,", "10.96.0.10"] Replace("set_field:0x20000/0x70000", "set_field:0x10000/0x70000"), "the choice of an endpoint is not noted";
    0 "ServiceLB" ["priority=180", "10.96.0.10"] Delete, "a Service lets through what is for none of its ports";
    0 "ServiceLB" ["priority=0 "] Drop, "what is for no Service is dropped";
    0 "group" ["group_id=1,"] Replace("0xa01000c", "0xa01000a"), "a bucket has another Pod's address";
    0 "group" ["group_id=3,"] Replace("0x1f90/0xffff", "0x1f91/0xffff"), "a bucket has another port";
    0 "group" ["group_id=4,"] Replace("0012->xxreg3", "0010->xxreg3"), "an IPv6 bucket has another Pod's address";
    0 "group" ["group_id=2,"] Replace("set_field:0x4000/0x4000->reg0,", ""), "a Service without endpoints doesn't say so";
    0 "group" ["group_id=1,"] Replace("set_field:0xa01000c->reg3,set_field:0x50/0xffff->reg4,resubmit(,13)", "drop"), "a bucket drops";
    0 "EndpointDNAT" ["nat(dst=10.1.0.12:80)"] Replace("10.1.0.12:80", "10.1.0.10:80"), "an endpoint is translated to another Pod";
    0 "EndpointDNAT" ["nat(dst=10.2.0.12:8080)"] Replace("10.2.0.12:8080", "10.2.0.10:8080"), "an endpoint is translated to a Pod of policies";
    0 "EndpointDNAT" ["nat(dst=10.2.0.12:8080)"] Delete, "an endpoint is not translated";
    0 "EndpointDNAT" ["controller("] Delete, "a Service without endpoints rejects nothing";
    0 "EndpointDNAT" ["nat(dst=10.1.0.12:80)"] Replace("set_field:0x10/0x10->ct_mark", "set_field:0x0/0x10->ct_mark"), "a Service's connections are not marked";
    0 "AntreaPolicyEgressRule" ["nw_dst=10.2.0.10", "conjunction"] Delete, "a denying rule misses a peer";
    0 "AntreaPolicyEgressRule" ["nw_src=10.1.0.12 "] Replace("10.1.0.12", "10.1.0.10"), "a denying rule applies to another Pod";
    0 "AntreaPolicyEgressRule" ["conj_id=3,ip "] Delete, "a denying rule's clauses lead nowhere";
    0 "AntreaPolicyEgressRule" ["conj_id=3,ip "] Replace("set_field:0x400/0x400->reg0,", ""), "a denying rule doesn't deny";
    0 "AntreaPolicyEgressRule" ["conj_id=3,ip "] Replace("set_field:0x3->reg3", "set_field:0x9->reg3"), "a denying rule leaves another number";
    0 "EgressRule" ["conj_id=1,ip "] Delete, "an allowing rule's clauses lead nowhere";
    0 "EgressRule" ["tcp,tcp_dst=80 "] Replace("tcp_dst=80", "tcp_dst=81"), "an allowing rule has another port";
    0 "EgressRule" ["nw_dst=10.2.0.11 "] Replace("10.2.0.11", "10.2.0.12"), "an allowing rule has another peer";
    0 "EgressRule" ["nw_src=10.1.0.11 "] Delete, "an allowing rule applies to nobody";
    0 "EgressDefaultRule" ["nw_src=10.1.0.11 "] Delete, "a Pod is not isolated on the way out";
    0 "EgressDefaultRule" ["nw_src=10.1.0.11 "] Replace("10.1.0.11", "10.1.0.10"), "another Pod is isolated on the way out";
    0 "EgressMetric" ["reg3=0x3 "] Delete, "what a rule denies passes";
    0 "L3Forwarding" ["nw_dst=10.2.0.0/24"] Delete, "there is no route to the other node";
    0 "L3Forwarding" ["nw_dst=10.2.0.0/24"] Replace("192.168.77.2->tun_dst", "192.168.77.9->tun_dst"), "the tunnel ends elsewhere";
    0 "L3Forwarding" ["nw_dst=10.2.0.0/24"] Replace("aa:bb:cc:dd:ee:ff->eth_dst", "aa:bb:cc:dd:ee:00->eth_dst"), "what goes into the tunnel has another MAC address";
    0 "L3Forwarding" ["nw_dst=10.2.0.0/24"] Replace("nw_dst=10.2.0.0/24", "nw_dst=10.9.0.0/24"), "the route has another range";
    0 "L3Forwarding" ["ipv6_dst=fd00:2::/64"] Delete, "there is no IPv6 route to the other node";
    1 "L3Forwarding" ["nw_dst=10.2.0.12,"] Delete, "a Pod's MAC address is not known on arrival";
    1 "L3Forwarding" ["nw_dst=10.2.0.12,"] Replace("0a:58:0a:02:00:0c->eth_dst", "0a:58:0a:02:00:0b->eth_dst"), "a Pod gets another Pod's MAC address on arrival";
    0 "L3Forwarding" ["nw_dst=10.1.0.12,"] Delete, "an endpoint's MAC address is not known";
    0 "L3Forwarding" ["nw_dst=10.1.0.1 "] Delete, "the gateway has no route";
    0 "L3Forwarding" ["priority=200,ip,nw_dst=10.1.0.0/24"] Drop, "Pods of the same node can't be reached";
    0 "L3DecTTL" [",ip actions=dec_ttl"] Replace("dec_ttl,", ""), "the TTL isn't counted down";
    0 "L3DecTTL" [",ip actions=dec_ttl"] Replace("dec_ttl,", "dec_ttl,dec_ttl,"), "the TTL is counted down twice";
    0 "SNATMark" ["priority=0 "] Delete, "nothing passes SNATMark";
    0 "SNAT" ["priority=0 "] Delete, "nothing passes SNAT";
    1 "L2ForwardingCalc" ["0a:58:0a:02:00:0c "] Delete, "a Pod's MAC address has no port";
    1 "L2ForwardingCalc" ["0a:58:0a:02:00:0c "] Replace("set_field:0x4->reg1", "set_field:0x5->reg1"), "a Pod's MAC address has another Pod's port";
    0 "L2ForwardingCalc" ["aa:bb:cc:dd:ee:ff "] Replace("set_field:0x1->reg1", "set_field:0x2->reg1"), "what is for the tunnel goes to the gateway";
    0 "L2ForwardingCalc" ["0a:58:0a:01:00:01 "] Replace("set_field:0x2->reg1", "set_field:0x5->reg1"), "what is for the gateway goes to a Pod";
    1 "L2ForwardingCalc" ["0a:58:0a:02:00:0a "] Replace("set_field:0x200000/0x600000->reg0,", ""), "a port is found and not used";
    1 "IngressSecurityClassifier" ["priority=0 "] Replace("goto_table:26", "goto_table:29"), "policies on the way in are skipped";
    1 "AntreaPolicyIngressRule" ["priority=201,", "conjunction(5,"] Priority(199), "a rejecting rule comes after a dropping one";
    1 "AntreaPolicyIngressRule" ["conj_id=4,ip "] Delete, "an allowing rule of Antrea's leads nowhere";
    1 "AntreaPolicyIngressRule" ["conj_id=5,ip "] Replace("controller(reason=no_match,id=62373,userdata=01),", ""), "a rejecting rule drops";
    1 "AntreaPolicyIngressRule" ["udp actions=conjunction(6"] Replace("udp actions", "sctp actions"), "a dropping rule has another protocol";
    1 "AntreaPolicyIngressRule" ["conjunction(6,2/3)"] Replace("reg1=0x3", "reg1=0x4"), "a dropping rule applies to another Pod";
    1 "IngressRule" ["tcp,tcp_dst=80 "] Replace("tcp_dst=80", "tcp_dst=8080"), "a rule lets another port in";
    1 "IngressRule" ["nw_src=10.1.0.10 "] Replace("10.1.0.10", "10.1.0.12"), "a rule lets another peer in";
    1 "IngressRule" ["conjunction(2,2/3)"] Delete, "a rule lets nobody in";
    1 "IngressRule" ["conj_id=2,ip "] Replace("set_field:0x2->reg6", "set_field:0x4->reg6"), "a rule leaves another's number";
    1 "IngressDefaultRule" ["reg1=0x5 "] Delete, "a Pod is not isolated on the way in";
    1 "IngressDefaultRule" ["reg1=0x5 "] Replace("reg1=0x5", "reg1=0x4"), "another Pod is isolated on the way in";
    1 "IngressMetric" ["reg3=0x5 "] Delete, "what a rule rejects passes";
    1 "IngressMetric" ["ct_label=0x2"] Drop, "what a rule has let in is dropped when it is counted";
    0 "ConntrackCommit" [",ip,"] Replace("zone=65520", "zone=4"), "connections are committed in another zone";
    0 "ConntrackCommit" ["priority=0 "] Delete, "what needs no commit is dropped";
    1 "Output" ["output:NXM_NX_REG1[]"] Delete, "nothing is put out";
    1 "Output" ["output:NXM_NX_REG1[]"] Priority(220), "hairpin packets are put out as others are";
    0 "L3Forwarding" [] Add("priority=900,icmp actions=drop"), "a foreign flow drops ICMP";
    0 "EgressRule" [] Add("priority=900,tcp,tcp_dst=80,nw_dst=10.2.0.12 actions=drop"), "a foreign flow drops one port of one Pod";
    1 "IngressRule" [] Add("priority=65000,ip,nw_src=10.1.0.0/24 actions=goto_table:29"), "a foreign flow lets everybody in";
    1 "Classifier" [] Add("priority=900,tcp,in_port=1 actions=drop"), "a foreign flow drops TCP from the tunnel";
    0 "AntreaPolicyEgressRule" [] Add("priority=900,udp actions=goto_table:17"), "a foreign flow lets UDP past policies";
    0 "Classifier" ["in_port=4 "] Drop, "a Pod's packets are dropped at once";
    0 "SpoofGuard" ["in_port=4,"] Drop, "the spoof guard drops a Pod's packets";
    1 "UnSNAT" ["priority=0 "] Delete, "nothing passes UnSNAT on the other node";
    1 "ConntrackZone" [",ip "] Drop, "connection tracking drops IPv4 on the other node";
    0 "ServiceLB" ["tcp,", "10.96.0.11"] Replace("group:1", "group:2"), "a Service uses the group of one without endpoints";
    0 "group" ["group_id=3,"] Replace("0xa02000c", "0xa02000b"), "a bucket has the address of a Pod of policies";
    0 "EndpointDNAT" ["nat(dst=10.2.0.12:8080)"] Drop, "an endpoint's connections are dropped";
    0 "EgressDefaultRule" ["priority=0 "] Drop, "every Pod is isolated on the way out";
    0 "EgressMetric" ["priority=0 "] Delete, "what no rule names is dropped when it is counted on the way out";
    0 "L3Forwarding" ["nw_dst=10.2.0.0/24"] Drop, "the other node's Pods can't be reached";
    1 "L3Forwarding" [] Add("priority=900,tcp,nw_dst=10.2.0.12 actions=drop"), "a foreign flow drops what arrives for one Pod";
    0 "L3DecTTL" ["priority=200,ip "] Drop, "what is routed is dropped where the TTL is counted";
    0 "L2ForwardingCalc" ["aa:bb:cc:dd:ee:ff "] Delete, "the tunnel's MAC address has no port";
    0 "L2ForwardingCalc" ["0a:58:0a:01:00:0c "] Drop, "what is for an endpoint is dropped where its port is found";
    1 "L2ForwardingCalc" ["0a:58:0a:02:00:0a "] Replace("set_field:0x5->reg1", "set_field:0x2->reg1"), "a Pod's MAC address has the gateway's port";
    0 "TrafficControl" ["priority=0 "] Delete, "nothing passes TrafficControl";
    0 "IngressSecurityClassifier" ["reg0=0x10/0xf0"] Drop, "what goes into the tunnel is dropped where policies are chosen";
    1 "IngressSecurityClassifier" ["priority=0 "] Drop, "what is for Pods is dropped before policies";
    1 "AntreaPolicyIngressRule" ["conj_id=6,ip "] Delete, "a dropping rule's clauses lead nowhere";
    1 "AntreaPolicyIngressRule" ["nw_src=10.1.0.11 "] Delete, "an allowing rule of Antrea's misses its peer";
    1 "IngressDefaultRule" ["priority=0 "] Drop, "every Pod is isolated on the way in";
    1 "IngressMetric" ["priority=0 "] Drop, "what no rule names is dropped when it is counted on the way in";
    0 "Output" ["output:NXM_NX_REG1[]"] Delete, "nothing is put out of the first node";
    1 "Output" ["output:NXM_NX_REG1[]"] Replace("output:NXM_NX_REG1[]", "output:5"), "everything is put out of one Pod's port";
    1 "Output" ["output:NXM_NX_REG1[]"] Drop, "what has found its port is dropped";
    0 "Output" ["output:NXM_NX_REG1[]"] Replace("reg0=0x200000/0x600000", "reg0=0x600000/0x600000"), "what puts packets out expects another mark";
    0 "Output" ["output:NXM_NX_REG1[]"] Replace("NXM_NX_REG1[]", "NXM_NX_REG2[]"), "the port is looked for in another register";
    0 "Output" ["output:NXM_NX_REG1[]"] Replace("output:NXM_NX_REG1[]", "controller(reason=no_match,id=62373,userdata=01)"), "what is to be put out goes to a controller";
    0 "Output" ["IN_PORT"] Delete, "hairpin packets are not put out";
    0 "Output" ["IN_PORT"] Drop, "hairpin packets are dropped";
    1 "Output" [] Add("priority=900,tcp,reg1=0x4 actions=drop"), "a foreign flow drops TCP where it is put out to one Pod";
    1 "Output" [] Add("priority=900,udp,nw_dst=10.2.0.12 actions=output:5"), "a foreign flow puts UDP out to another Pod";
    1 "AntreaPolicyIngressRule" ["conj_id=5,ipv6 "] Replace("controller(reason=no_match,id=62373,userdata=01),", ""), "a rejecting rule drops IPv6";
    0 "EndpointDNAT" ["nat(dst=[fd00:2::12]:8080)"] Drop, "an IPv6 endpoint's connections are dropped";
    0 "SNATMark" ["priority=0 "] Replace("goto_table:22", "goto_table:82"), "what passes SNATMark goes to nobody's table";
    0 "EndpointDNAT" ["controller("] Drop, "a Service without endpoints drops";
}
