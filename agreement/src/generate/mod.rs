//! Random clusters, packets and edits. The same numbers make the same.

mod egresses;
mod objects;
mod packets;
mod policies;
mod services;
mod topology;

pub use objects::{Kind, Object, Objects};
pub use packets::packet;
pub use topology::{Families, PodPlace, Topology};

use egresses::any_egress;
use policies::{any_antrea_policy, any_group, any_policy};
use services::any_service;

/// What stays on the switches, with Services and policies on top that mean something more often than not.
pub fn cluster(topology: &Topology, random: &mut fastrand::Rng) -> Objects {
    let mut objects = topology.objects(random);
    for _ in 0..random.usize(..4) {
        add_service(&mut objects, topology, random);
    }
    for _ in 0..random.usize(..3) {
        objects.put(any_group(random));
    }
    for _ in 0..random.usize(..3) {
        let number = objects.next();
        objects.put(any_egress(random, number, topology));
    }
    for _ in 0..random.usize(..6) {
        add_policy(&mut objects, random);
    }
    objects
}

/// Another cluster that differs from this in one object, and what was done.
pub fn edit(topology: &Topology, objects: &Objects, random: &mut fastrand::Rng) -> (Objects, String) {
    let mut edited = objects.clone();
    let done = match random.u8(..10) {
        0..=1 => remove(&mut edited, random),
        2..=3 => alter(&mut edited, topology, random),
        4 => Some(add_service(&mut edited, topology, random)),
        5..=6 => topology.relabel(&mut edited, random),
        _ => None,
    };
    let done = done.unwrap_or_else(|| add_policy(&mut edited, random));
    (edited, done)
}

fn add_policy(objects: &mut Objects, random: &mut fastrand::Rng) -> String {
    let number = objects.next();
    let policy = match random.bool() {
        true => any_policy(random, number),
        false => any_antrea_policy(random, number, &objects.groups()),
    };
    let done = format!("add {}", policy.name);
    objects.put(policy);
    done
}

fn add_service(objects: &mut Objects, topology: &Topology, random: &mut fastrand::Rng) -> String {
    let number = objects.next();
    let service = any_service(random, number, topology);
    let done = format!("add {}", service.name);
    objects.put(service);
    done
}

fn remove(objects: &mut Objects, random: &mut fastrand::Rng) -> Option<String> {
    let removable = objects.removable();
    let name = random.choice(&removable)?;
    objects.remove(name);
    Some(format!("remove {name}"))
}

/// Puts another policy or Service in the place of one of this name.
fn alter(objects: &mut Objects, topology: &Topology, random: &mut fastrand::Rng) -> Option<String> {
    let removable = objects.removable();
    let name = random.choice(&removable)?;
    let old = objects.named(name)?.clone();
    let new = match old.kind {
        Kind::Policy => any_policy(random, old.number),
        Kind::AntreaPolicy => any_antrea_policy(random, old.number, &objects.groups()),
        Kind::Service => any_service(random, old.number, topology),
        Kind::Egress => any_egress(random, old.number, topology),
        Kind::Fixed | Kind::Pod | Kind::Group => return None,
    };
    let done = format!("alter {name}");
    objects.remove(name);
    objects.put(new);
    Some(done)
}
