//! What stands as long as tracing is on: constant in number, shared by all traces.

use traceflow_core::datapath::Mark;
use traceflow_openflow::action::Action;
use traceflow_openflow::field::{Field, Subfield};
use traceflow_openflow::matching::Match;
use traceflow_openflow::message::FlowMod;

use super::{
    CARRIED_BIT, EXPIRES, Flows, IPV4, IPV6, Punt, SETTLED_BIT, both, priority, resubmit, set_dscp, tell_of_the_first,
};
use crate::instance::{Instance, MARK_BITS, MarkKind, TUNNEL_OWNER_MASK};
use crate::layout::{Carrier, End, Exit, ExitKind, Layout};

/// The flows of [`attach`](traceflow_core::datapath::Datapath::attach).
pub(crate) fn standing(layout: &Layout, instance: Instance) -> Vec<FlowMod> {
    let mut flows = Flows::new(layout, instance, instance.cookie(), EXPIRES);
    stages(&mut flows);
    arrivals(&mut flows);
    detours(&mut flows);
    for (index, exit) in layout.exits.iter().enumerate() {
        leave(&mut flows, index, exit);
    }
    carry(&mut flows);
    verdicts(&mut flows);
    tell_of_the_first(&mut flows.flows);
    flows.flows
}

/// Every table notes that the packet has come to it.
fn stages(flows: &mut Flows<'_>) {
    for (index, stage) in flows.layout.stages.iter().enumerate() {
        let bit = index as u16;
        let [decide, verdict] = flows.let_decide(stage.table);
        let matching = flows.ours(0, 1 << bit);
        flows.push(
            stage.table,
            priority::STAGE,
            matching,
            vec![flows.note(bit), decide, verdict],
        );
    }
}

/// The mark comes out of the tunnel into the register. What is zero there was nobody's.
fn arrivals(flows: &mut Flows<'_>) {
    if flows.layout.carrier != Carrier::TunnelId {
        return;
    }
    let root = flows.layout.stages[0].table;
    let register = Field::register(flows.layout.mark_register);
    for &tunnel in &flows.layout.tunnels {
        let matching = Match::new()
            .with(Field::OXM_OF_IN_PORT, tunnel.into())
            .with_masked(
                Field::OXM_OF_TUNNEL_ID,
                flows.instance.tunnel_owner().into(),
                TUNNEL_OWNER_MASK.into(),
            )
            .with(register, 0);
        let tag = flows.instance.owner() >> MARK_BITS;
        let [decide, verdict] = flows.let_decide(root);
        let take = Action::Move {
            source: Subfield::new(Field::OXM_OF_TUNNEL_ID, 0, MARK_BITS),
            destination: Subfield::new(register, 0, MARK_BITS),
        };
        let tag = Action::load(Subfield::new(register, MARK_BITS, 32 - MARK_BITS), tag.into());
        flows.push(root, priority::ARRIVAL, matching, vec![take, tag, decide, verdict]);
    }
}

fn detours(flows: &mut Flows<'_>) {
    for detour in &flows.layout.detours {
        let marked = flows.of_kind(MarkKind::Injected, 0, 0);
        flows.push(
            detour.table,
            priority::DETOUR,
            both(without_guard(marked, flows.layout), &detour.matching),
            detour.actions.clone(),
        );
    }
}

/// A detour is taken however often the packet comes by.
fn without_guard(mut matching: Match, layout: &Layout) -> Match {
    let guard = Field::register(layout.guard_register);
    matching.fields.retain(|condition| condition.field != guard);
    matching
}

/// Packets that leave are reported, and go on only if they are real or on their way to another node.
fn leave(flows: &mut Flows<'_>, index: usize, exit: &Exit) {
    let layout = flows.layout;
    let table = layout.stages[exit.stage].table;
    let punt = flows.punt(Punt::Leaves(index as u8));
    let settle = vec![flows.note(exit.stage as u16), flows.note(SETTLED_BIT)];
    let mut go_on = settle.clone();
    if exit.kind == ExitKind::Tunnel {
        go_on.extend(send_along(layout));
    }
    go_on.push(resubmit(table));
    let reported = |actions: &[Action]| [std::slice::from_ref(&punt), actions].concat();
    let reported_and_go_on = reported(&go_on);
    let reported_only = reported(&settle);
    let go_on_alone = reported(&[&exit.load, go_on.as_slice()].concat());
    for kind in MarkKind::ALL {
        let actions = match (kind, exit.kind) {
            (MarkKind::Injected, ExitKind::Copy) => &settle,
            (_, ExitKind::Copy) => &go_on,
            (MarkKind::Injected, ExitKind::Tunnel | ExitKind::Route) => &go_on_alone,
            (MarkKind::Injected, _) => &reported_only,
            (MarkKind::DroppedOnly, ExitKind::Port | ExitKind::Tunnel | ExitKind::Route | ExitKind::Diversion) => {
                &go_on
            }
            _ => &reported_and_go_on,
        };
        let matching = both(flows.of_kind(kind, 0, 1 << exit.stage), &exit.matching);
        flows.push(table, priority::EXIT - index as u16, matching, actions.clone());
    }
}

/// The mark goes into the tunnel with the packet.
fn send_along(layout: &Layout) -> Option<Action> {
    (layout.carrier == Carrier::TunnelId).then(|| Action::Move {
        source: Subfield::new(Field::register(layout.mark_register), 0, MARK_BITS),
        destination: Subfield::new(Field::OXM_OF_TUNNEL_ID, 0, MARK_BITS),
    })
}

/// Where DSCP is the carrier: what leaves for another node, and was reported, gets the value of its mark.
fn carry(flows: &mut Flows<'_>) {
    let layout = flows.layout;
    let leads_on = |exit: &&Exit| matches!(exit.kind, ExitKind::Tunnel | ExitKind::Route);
    for exit in layout.exits.iter().filter(leads_on) {
        let table = layout.stages[exit.stage].table;
        for mark in (1..=layout.carrier.marks()).map(Mark) {
            let Some(dscp) = layout.carrier.dscp(mark) else { return };
            let own = exit.matching.number(Field::OXM_OF_ETH_TYPE);
            for ether_type in [IPV4, IPV6]
                .into_iter()
                .filter(|family| own.is_none_or(|own| own == *family))
            {
                let marked = flows.with_mark(mark, 1 << SETTLED_BIT, 1 << SETTLED_BIT | 1 << CARRIED_BIT);
                let mut matching = both(marked, &exit.matching);
                if own.is_none() {
                    matching = matching.with(Field::OXM_OF_ETH_TYPE, ether_type);
                }
                let actions = vec![set_dscp(dscp), flows.note(CARRIED_BIT), resubmit(table)];
                flows.push(table, priority::CARRY, matching, actions);
            }
        }
    }
}

/// A pass that ended at a table where packets only go on if they aren't dropped.
fn verdicts(flows: &mut Flows<'_>) {
    let layout = flows.layout;
    let passed = |index: usize| u32::MAX << index & !(1 << CARRIED_BIT);
    for (index, stage) in layout.stages.iter().enumerate() {
        if stage.end == End::Dropped {
            // This table's bit is set, those of the later ones and that of what is settled aren't.
            let matching = flows.ours(1 << index, passed(index));
            if let Some(unless) = &stage.unless {
                let actions = vec![flows.note(SETTLED_BIT)];
                flows.push(
                    layout.verdict_table,
                    priority::WENT_ON,
                    both(matching.clone(), unless),
                    actions,
                );
            }
            let actions = vec![flows.punt(Punt::Dropped(index as u8)), flows.note(SETTLED_BIT)];
            flows.push(layout.verdict_table, priority::STAGE, matching, actions);
        }
    }
    // A CNI that takes to the table later decides about its own packets there, not about ours.
    let matching = without_guard(flows.ours(0, 0), layout);
    flows.push(layout.verdict_table, priority::SETTLED, matching, Vec::new());
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;
    use crate::pipeline::antrea::tests::demo_layout;

    #[test]
    fn what_stands_is_constant_and_reads_as_documented() {
        let flows = standing(&demo_layout(), Instance::with_salt(0, 0));
        let text: Vec<String> = flows.iter().map(ToString::to_string).collect();
        expect![[r#"
            send_flow_rem,cookie=0x7466000000000000,table=0,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x1 actions=set_field:0x1/0x1->reg11,resubmit(,0),resubmit(,253)
            cookie=0x7466000000000000,table=1,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x2 actions=set_field:0x2/0x2->reg11,resubmit(,1),resubmit(,253)
            cookie=0x7466000000000000,table=2,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x4 actions=set_field:0x4/0x4->reg11,resubmit(,2),resubmit(,253)
            cookie=0x7466000000000000,table=3,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x8 actions=set_field:0x8/0x8->reg11,resubmit(,3),resubmit(,253)
            cookie=0x7466000000000000,table=4,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x10 actions=set_field:0x10/0x10->reg11,resubmit(,4),resubmit(,253)
            cookie=0x7466000000000000,table=5,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x20 actions=set_field:0x20/0x20->reg11,resubmit(,5),resubmit(,253)
            cookie=0x7466000000000000,table=6,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x40 actions=set_field:0x40/0x40->reg11,resubmit(,6),resubmit(,253)
            cookie=0x7466000000000000,table=7,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x80 actions=set_field:0x80/0x80->reg11,resubmit(,7),resubmit(,253)
            cookie=0x7466000000000000,table=8,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x100 actions=set_field:0x100/0x100->reg11,resubmit(,8),resubmit(,253)
            cookie=0x7466000000000000,table=9,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x200 actions=set_field:0x200/0x200->reg11,resubmit(,9),resubmit(,253)
            cookie=0x7466000000000000,table=10,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x400 actions=set_field:0x400/0x400->reg11,resubmit(,10),resubmit(,253)
            cookie=0x7466000000000000,table=11,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x800 actions=set_field:0x800/0x800->reg11,resubmit(,11),resubmit(,253)
            cookie=0x7466000000000000,table=12,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x1000 actions=set_field:0x1000/0x1000->reg11,resubmit(,12),resubmit(,253)
            cookie=0x7466000000000000,table=13,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x2000 actions=set_field:0x2000/0x2000->reg11,resubmit(,13),resubmit(,253)
            cookie=0x7466000000000000,table=14,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x4000 actions=set_field:0x4000/0x4000->reg11,resubmit(,14),resubmit(,253)
            cookie=0x7466000000000000,table=15,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x8000 actions=set_field:0x8000/0x8000->reg11,resubmit(,15),resubmit(,253)
            cookie=0x7466000000000000,table=16,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x10000 actions=set_field:0x10000/0x10000->reg11,resubmit(,16),resubmit(,253)
            cookie=0x7466000000000000,table=17,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x20000 actions=set_field:0x20000/0x20000->reg11,resubmit(,17),resubmit(,253)
            cookie=0x7466000000000000,table=18,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x40000 actions=set_field:0x40000/0x40000->reg11,resubmit(,18),resubmit(,253)
            cookie=0x7466000000000000,table=19,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x80000 actions=set_field:0x80000/0x80000->reg11,resubmit(,19),resubmit(,253)
            cookie=0x7466000000000000,table=20,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x100000 actions=set_field:0x100000/0x100000->reg11,resubmit(,20),resubmit(,253)
            cookie=0x7466000000000000,table=21,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x200000 actions=set_field:0x200000/0x200000->reg11,resubmit(,21),resubmit(,253)
            cookie=0x7466000000000000,table=22,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x400000 actions=set_field:0x400000/0x400000->reg11,resubmit(,22),resubmit(,253)
            cookie=0x7466000000000000,table=23,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x800000 actions=set_field:0x800000/0x800000->reg11,resubmit(,23),resubmit(,253)
            cookie=0x7466000000000000,table=24,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x1000000 actions=set_field:0x1000000/0x1000000->reg11,resubmit(,24),resubmit(,253)
            cookie=0x7466000000000000,table=25,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x2000000 actions=set_field:0x2000000/0x2000000->reg11,resubmit(,25),resubmit(,253)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x0/0x4000000 actions=set_field:0x4000000/0x4000000->reg11,resubmit(,26),resubmit(,253)
            cookie=0x7466000000000000,table=0,hard_timeout=60,priority=65509,in_port=1,tun_id=0x100000/0xfffffffffff00000,reg10=0x0 actions=move:OXM_OF_TUNNEL_ID[0..23]->NXM_NX_REG10[0..23],set_field:0x7f000000/0xff000000->reg10,resubmit(,0),resubmit(,253)
            cookie=0x7466000000000000,table=8,hard_timeout=60,priority=65510,reg10=0x7f100000/0xfffc0000,reg4=0x30000/0x70000 actions=set_field:0x20000/0x70000->reg4,resubmit(,10)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65534,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,ct_mark=0x80/0x80 actions=controller(id=29798,userdata=74.66.01.01.00),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65534,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,ct_mark=0x80/0x80 actions=controller(id=29798,userdata=74.66.01.01.00),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65534,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,ct_mark=0x80/0x80 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65534,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,ct_mark=0x80/0x80 actions=controller(id=29798,userdata=74.66.01.01.00),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65533,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg4=0x800000/0xc00000 actions=controller(id=29798,userdata=74.66.01.01.01),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65533,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg4=0x800000/0xc00000 actions=controller(id=29798,userdata=74.66.01.01.01),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65533,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg4=0x800000/0xc00000 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65533,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg4=0x800000/0xc00000 actions=controller(id=29798,userdata=74.66.01.01.01),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65532,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg1=0x1 actions=controller(id=29798,userdata=74.66.01.01.02),set_field:0x0/0xc00000->reg4,set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,move:NXM_NX_REG10[0..23]->OXM_OF_TUNNEL_ID[0..23],resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65532,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg1=0x1 actions=controller(id=29798,userdata=74.66.01.01.02),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,move:NXM_NX_REG10[0..23]->OXM_OF_TUNNEL_ID[0..23],resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65532,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg1=0x1 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,move:NXM_NX_REG10[0..23]->OXM_OF_TUNNEL_ID[0..23],resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65532,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000,reg1=0x1 actions=controller(id=29798,userdata=74.66.01.01.02),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,move:NXM_NX_REG10[0..23]->OXM_OF_TUNNEL_ID[0..23],resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65531,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000 actions=controller(id=29798,userdata=74.66.01.01.03),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65531,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000 actions=controller(id=29798,userdata=74.66.01.01.03),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65531,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65531,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x200000/0x600000 actions=controller(id=29798,userdata=74.66.01.01.03),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65530,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400800/0x601c00 actions=controller(id=29798,userdata=74.66.01.01.04),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65530,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400800/0x601c00 actions=controller(id=29798,userdata=74.66.01.01.04),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65530,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400800/0x601c00 actions=controller(id=29798,userdata=74.66.01.01.04),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65530,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400800/0x601c00 actions=controller(id=29798,userdata=74.66.01.01.04),set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65529,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400000/0x600000 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65529,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400000/0x600000 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65529,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400000/0x600000 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=26,hard_timeout=60,priority=65529,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x4000000,reg0=0x400000/0x600000 actions=set_field:0x4000000/0x4000000->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,26)
            cookie=0x7466000000000000,table=10,hard_timeout=60,priority=65528,reg10=0x7f100000/0xfffc0000,reg11=0x0/0x400,reg0=0x4000/0x4000 actions=controller(id=29798,userdata=74.66.01.01.06),set_field:0x400/0x400->reg11,set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=10,hard_timeout=60,priority=65528,reg10=0x7f180000/0xfffc0000,reg11=0x0/0x400,reg0=0x4000/0x4000 actions=controller(id=29798,userdata=74.66.01.01.06),set_field:0x400/0x400->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,10)
            cookie=0x7466000000000000,table=10,hard_timeout=60,priority=65528,reg10=0x7f1c0000/0xfffc0000,reg11=0x0/0x400,reg0=0x4000/0x4000 actions=controller(id=29798,userdata=74.66.01.01.06),set_field:0x400/0x400->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,10)
            cookie=0x7466000000000000,table=10,hard_timeout=60,priority=65528,reg10=0x7f140000/0xfffc0000,reg11=0x0/0x400,reg0=0x4000/0x4000 actions=controller(id=29798,userdata=74.66.01.01.06),set_field:0x400/0x400->reg11,set_field:0x80000000/0x80000000->reg11,resubmit(,10)
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x1/0xbfffffff actions=controller(id=29798,userdata=74.66.01.00.00),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x2/0xbffffffe actions=controller(id=29798,userdata=74.66.01.00.01),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x4/0xbffffffc actions=controller(id=29798,userdata=74.66.01.00.02),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x80/0xbfffff80 actions=controller(id=29798,userdata=74.66.01.00.07),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65001,reg10=0x7f100000/0xfff00000,reg11=0x100/0xbfffff00,reg4=0x20000/0x20000 actions=set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x100/0xbfffff00 actions=controller(id=29798,userdata=74.66.01.00.08),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x200/0xbffffe00 actions=controller(id=29798,userdata=74.66.01.00.09),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65001,reg10=0x7f100000/0xfff00000,reg11=0x2000/0xbfffe000,ct_state=-trk actions=set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x2000/0xbfffe000 actions=controller(id=29798,userdata=74.66.01.00.0d),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x4000/0xbfffc000 actions=controller(id=29798,userdata=74.66.01.00.0e),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x8000/0xbfff8000 actions=controller(id=29798,userdata=74.66.01.00.0f),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x10000/0xbfff0000 actions=controller(id=29798,userdata=74.66.01.00.10),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x20000/0xbffe0000 actions=controller(id=29798,userdata=74.66.01.00.11),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x100000/0xbff00000 actions=controller(id=29798,userdata=74.66.01.00.14),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65001,reg10=0x7f100000/0xfff00000,reg11=0x800000/0xbf800000,ct_state=-trk actions=set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x800000/0xbf800000 actions=controller(id=29798,userdata=74.66.01.00.17),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x1000000/0xbf000000 actions=controller(id=29798,userdata=74.66.01.00.18),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=65000,reg10=0x7f100000/0xfff00000,reg11=0x4000000/0xbc000000 actions=controller(id=29798,userdata=74.66.01.00.1a),set_field:0x80000000/0x80000000->reg11
            cookie=0x7466000000000000,table=253,hard_timeout=60,priority=64999,reg10=0x7f100000/0xfff00000 actions=drop"#]].assert_eq(&text.join("\n"));
    }

    #[test]
    fn everything_bears_our_cookie_and_goes_by_itself() {
        let instance = Instance::with_salt(2, 0);
        for flow in standing(&demo_layout(), instance) {
            assert_eq!(flow.cookie & Instance::cookie_mask(), instance.cookie());
            assert_eq!(flow.hard_timeout, EXPIRES);
        }
    }
}
