//! What leads from a changed object to those that it matters to.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;

use traceflow_core::names::ObjectName;

use super::{PodId, ServiceId};
use crate::model::EndpointSlice;

/// The Pods and Services of each namespace, and the EndpointSlices with what they mention.
#[derive(Debug, Default)]
pub(super) struct Links {
    /// By namespace, in the order of their names.
    pods: HashMap<Arc<str>, BTreeMap<Arc<str>, PodId>>,
    services: HashMap<Arc<str>, BTreeMap<Arc<str>, ServiceId>>,
    slices: BTreeMap<ObjectName, EndpointSlice>,
    /// EndpointSlices by the Service that they belong to.
    of_service: HashMap<ObjectName, BTreeSet<ObjectName>>,
    /// EndpointSlices by the Pods that they list.
    listing_pod: HashMap<ObjectName, BTreeSet<ObjectName>>,
    /// EndpointSlices by the addresses that they list.
    listing_address: HashMap<IpAddr, BTreeSet<ObjectName>>,
    /// How many nodes, Pods and Services have an address by their objects, also those that don't hold it.
    given: HashMap<IpAddr, u32>,
}

impl Links {
    pub(super) fn put_pod(&mut self, name: &ObjectName, id: PodId) {
        let namespace = self.pods.entry(name.namespace.clone()).or_default();
        namespace.insert(name.name.clone(), id);
    }

    pub(super) fn drop_pod(&mut self, name: &ObjectName) {
        change(&mut self.pods, &name.namespace, |pods| {
            pods.remove(&name.name);
            pods.is_empty()
        });
    }

    pub(super) fn put_service(&mut self, name: &ObjectName, id: ServiceId) {
        let namespace = self.services.entry(name.namespace.clone()).or_default();
        namespace.insert(name.name.clone(), id);
    }

    pub(super) fn drop_service(&mut self, name: &ObjectName) {
        change(&mut self.services, &name.namespace, |services| {
            services.remove(&name.name);
            services.is_empty()
        });
    }

    pub(super) fn put_slice(&mut self, slice: EndpointSlice) {
        let name = &slice.name;
        if let Some(service) = service_of(&slice) {
            self.of_service.entry(service).or_default().insert(name.clone());
        }
        for endpoint in &slice.endpoints {
            if let Some(pod) = &endpoint.pod {
                self.listing_pod.entry(pod.clone()).or_default().insert(name.clone());
            }
            let by_address = self.listing_address.entry(endpoint.address).or_default();
            by_address.insert(name.clone());
        }
        self.slices.insert(slice.name.clone(), slice);
    }

    pub(super) fn drop_slice(&mut self, name: &ObjectName) -> Option<EndpointSlice> {
        let slice = self.slices.remove(name)?;
        let forget = |slices: &mut BTreeSet<ObjectName>| {
            slices.remove(name);
            slices.is_empty()
        };
        if let Some(service) = service_of(&slice) {
            change(&mut self.of_service, &service, forget);
        }
        for endpoint in &slice.endpoints {
            if let Some(pod) = &endpoint.pod {
                change(&mut self.listing_pod, pod, forget);
            }
            change(&mut self.listing_address, &endpoint.address, forget);
        }
        Some(slice)
    }

    pub(super) fn give(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            *self.given.entry(address).or_default() += 1;
        }
    }

    pub(super) fn take_back(&mut self, addresses: impl IntoIterator<Item = IpAddr>) {
        for address in addresses {
            change(&mut self.given, &address, |count| {
                *count -= 1;
                *count == 0
            });
        }
    }

    pub(super) fn times_given(&self, address: IpAddr) -> u32 {
        self.given.get(&address).copied().unwrap_or_default()
    }

    /// The Pods of a namespace, in the order of their names.
    pub(super) fn pods_in(&self, namespace: &str) -> impl Iterator<Item = PodId> {
        self.pods.get(namespace).into_iter().flat_map(BTreeMap::values).copied()
    }

    /// The Services of a namespace.
    pub(super) fn services_in(&self, namespace: &str) -> impl Iterator<Item = ServiceId> {
        let services = self.services.get(namespace).into_iter();
        services.flat_map(BTreeMap::values).copied()
    }

    /// The EndpointSlices of a Service, in the order of their names; `None` if there is none.
    pub(super) fn slices_of(&self, service: &ObjectName) -> Option<Vec<&EndpointSlice>> {
        let names = self.of_service.get(service)?;
        Some(names.iter().filter_map(|name| self.slices.get(name)).collect())
    }

    pub(super) fn slices(&self) -> impl Iterator<Item = &EndpointSlice> {
        self.slices.values()
    }

    /// The Services that list a Pod of this name, or one of these addresses.
    pub(super) fn services_listing(&self, pod: &ObjectName, addresses: &[IpAddr]) -> BTreeSet<ObjectName> {
        let by_name = self.listing_pod.get(pod).into_iter().flatten();
        let by_address = addresses.iter().filter_map(|address| self.listing_address.get(address));
        let slices = by_name.chain(by_address.flatten());
        slices.filter_map(|name| service_of(self.slices.get(name)?)).collect()
    }
}

/// Changes what stands under a key, and forgets it where `change` says that nothing is left.
fn change<K: Eq + Hash, V>(map: &mut HashMap<K, V>, key: &K, change: impl FnOnce(&mut V) -> bool) {
    if map.get_mut(key).is_some_and(change) {
        map.remove(key);
    }
}

/// The Service that it belongs to.
pub(super) fn service_of(slice: &EndpointSlice) -> Option<ObjectName> {
    let service = slice.service.clone()?;
    Some(ObjectName::new(slice.name.namespace.clone(), service))
}
