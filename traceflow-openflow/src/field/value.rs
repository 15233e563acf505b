//! The value of a field, or a mask on it.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::{Ipv4Addr, Ipv6Addr};

use super::Field;
use crate::wire::Writer;

/// A value or mask as it stands on the wire: big-endian, as many bytes as the field has there.
///
/// ```
/// use traceflow_openflow::field::{Field, Value};
///
/// let value = Value::new(Field::OXM_OF_ETH_TYPE, 0x0800);
/// assert_eq!(value.bytes(), [0x08, 0x00]);
/// assert_eq!(value.number(), Some(0x0800));
/// ```
#[derive(Clone)]
pub struct Value(Bytes);

/// As many bytes as any field but tunnel metadata has need no allocation: a packet-in has a dozen of them.
#[derive(Clone)]
enum Bytes {
    Few(u8, [u8; FEW]),
    Many(Box<[u8]>),
}

const FEW: usize = 16;

impl Value {
    /// `number` in the width of `field`; what doesn't fit is cut off at the top. A field without a known width gets as
    /// many bytes as the number needs, in fours.
    pub fn new(field: Field, number: u128) -> Self {
        let needed = (128 - number.leading_zeros() as usize).div_ceil(32).max(1) * 4;
        let width = field.bytes().unwrap_or(needed);
        Self::from_bytes(&number.to_be_bytes()[16 - width..])
    }

    /// The bytes as they are.
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let mut few = [0; FEW];
        match few.get_mut(..bytes.len()) {
            Some(part) => {
                part.copy_from_slice(bytes);
                Self(Bytes::Few(bytes.len() as u8, few))
            }
            None => Self(Bytes::Many(bytes.into())),
        }
    }

    /// All bits of `field` set.
    pub fn all_ones(field: Field) -> Self {
        let bits = u32::from(field.bits().unwrap_or(32)).clamp(1, 128);
        Self::new(field, u128::MAX >> (128 - bits))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Few(length, bytes) => &bytes[..usize::from(*length)],
            Bytes::Many(bytes) => bytes,
        }
    }

    pub(crate) fn encode(&self, writer: &mut Writer<'_>) {
        match &self.0 {
            Bytes::Few(length, bytes) => writer.few(bytes, usize::from(*length)),
            Bytes::Many(bytes) => writer.bytes(bytes),
        }
    }

    /// As a number; none if it is longer than 16 bytes and doesn't begin with zeros.
    pub fn number(&self) -> Option<u128> {
        number(self.bytes())
    }
}

/// Bytes as a number; none if they are more than 16 and don't begin with zeros.
pub(crate) fn number(bytes: &[u8]) -> Option<u128> {
    let (head, tail) = bytes.split_at(bytes.len().saturating_sub(16));
    if head.iter().any(|byte| *byte != 0) {
        return None;
    }
    Some(tail.iter().fold(0, |number, byte| number << 8 | u128::from(*byte)))
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Value").field(&self.bytes()).finish()
    }
}

impl From<Ipv4Addr> for Value {
    fn from(address: Ipv4Addr) -> Self {
        Self::from_bytes(&address.octets())
    }
}

impl From<Ipv6Addr> for Value {
    fn from(address: Ipv6Addr) -> Self {
        Self::from_bytes(&address.octets())
    }
}

/// A MAC address.
impl From<[u8; 6]> for Value {
    fn from(address: [u8; 6]) -> Self {
        Self::from_bytes(&address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_as_long_as_its_field() {
        assert_eq!(Value::new(Field::register(0), 7).bytes(), [0, 0, 0, 7]);
        assert_eq!(Value::new(Field::OXM_OF_IP_PROTO, 0x1ff).bytes(), [0xff]);
        assert_eq!(Value::all_ones(Field::OXM_OF_VLAN_VID).bytes(), [0x1f, 0xff]);
        assert_eq!(Value::new(Field::tunnel_metadata(0), 7).bytes().len(), 4);
    }

    #[test]
    fn a_long_value_is_a_number_only_if_it_fits() {
        let mut bytes = vec![0; 20];
        bytes[19] = 5;
        assert_eq!(Value::from_bytes(&bytes).number(), Some(5));
        bytes[0] = 1;
        assert_eq!(Value::from_bytes(&bytes).number(), None);
    }
}
