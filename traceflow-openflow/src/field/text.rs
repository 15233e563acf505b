//! Values as ovs-ofctl writes them.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Field, Format, Value};
use crate::Port;

const CONNTRACK_STATE: [&str; 8] = ["new", "est", "rel", "rpl", "inv", "trk", "snat", "dnat"];
const TCP_FLAGS: [&str; 12] = [
    "fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[9]", "[10]", "[11]",
];
const TUNNEL_FLAGS: [&str; 1] = ["oam"];

impl Value {
    /// The value as ovs-ofctl writes it for `field`, with its mask if there is one.
    pub fn text(&self, field: Field, mask: Option<&Self>) -> String {
        let (Some(value), Some(mask_number)) = (self.number(), mask.map_or(Some(u128::MAX), Self::number)) else {
            return self.long_text(mask);
        };
        match field.format() {
            Format::ConntrackState => flags(
                value,
                mask_number,
                mask.is_some_and(|_| mask_number != 0xff),
                &CONNTRACK_STATE,
            ),
            Format::TcpFlags => flags(
                value,
                mask_number,
                mask.is_some_and(|_| mask_number & 0xfff != 0xfff),
                &TCP_FLAGS,
            ),
            Format::TunnelFlags => flags(value, mask_number, mask.is_some(), &TUNNEL_FLAGS),
            Format::Fragment => fragment(value, mask_number),
            Format::Port => port(self.bytes(), value),
            Format::Ethernet => masked(ethernet(value), mask.map(|_| ethernet(mask_number))),
            Format::Ipv4 => ipv4(value, mask.map(|_| mask_number)),
            Format::Ipv6 => ipv6(value, mask.map(|_| mask_number)),
            Format::Decimal if mask.is_none() => value.to_string(),
            Format::Decimal | Format::Hexadecimal | Format::VlanId => {
                masked(format!("{value:#x}"), mask.map(|_| format!("{mask_number:#x}")))
            }
        }
    }

    /// Hexadecimal without limit, for values beyond 128 bits.
    fn long_text(&self, mask: Option<&Self>) -> String {
        masked(hexadecimal(self.bytes()), mask.map(|mask| hexadecimal(mask.bytes())))
    }
}

fn masked(value: String, mask: Option<String>) -> String {
    match mask {
        Some(mask) => format!("{value}/{mask}"),
        None => value,
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::from("0x"), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// `+set-clear` for the bits of the mask, or `these|are|set` when every bit is meant.
fn flags(value: u128, mask: u128, signed: bool, names: &[&str]) -> String {
    if value >> names.len() != 0 || (signed && mask >> names.len() != 0) {
        return masked(format!("{value:#x}"), signed.then(|| format!("{mask:#x}")));
    }
    let set = |bits: u128, bit: usize| bits >> bit & 1 != 0;
    let meant = names.iter().enumerate().filter(|(bit, _)| set(mask, *bit));
    if signed {
        return meant
            .map(|(bit, name)| format!("{}{name}", if set(value, bit) { '+' } else { '-' }))
            .collect();
    }
    let names: Vec<&str> = meant
        .filter(|(bit, _)| set(value, *bit))
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        "0".to_owned()
    } else {
        names.join("|")
    }
}

/// Bit 0: a fragment; bit 1: not the first one (nicira-ext.h, `NXM_NX_IP_FRAG`).
fn fragment(value: u128, mask: u128) -> String {
    match (value & 3, mask & 3) {
        (0, 1 | 3) => "no".to_owned(),
        (1, 1) => "yes".to_owned(),
        (1, 3) => "first".to_owned(),
        (2, 2) | (3, 3) => "later".to_owned(),
        (0, 2) => "not_later".to_owned(),
        _ => format!("{value:#x}/{mask:#x}"),
    }
}

fn port(bytes: &[u8], value: u128) -> String {
    match bytes.len() {
        2 => Port::from_u16(value as u16).to_string(),
        _ => Port(value as u32).to_string(),
    }
}

fn ethernet(value: u128) -> String {
    let bytes = value.to_be_bytes();
    let parts: Vec<String> = bytes[10..].iter().map(|byte| format!("{byte:02x}")).collect();
    parts.join(":")
}

fn ipv4(value: u128, mask: Option<u128>) -> String {
    let address = Ipv4Addr::from(value as u32).to_string();
    let mask = mask.map(|mask| mask as u32).map(|mask| match mask.leading_ones() {
        ones if mask.count_ones() == ones => ones.to_string(),
        _ => Ipv4Addr::from(mask).to_string(),
    });
    masked(address, mask)
}

fn ipv6(value: u128, mask: Option<u128>) -> String {
    let mask = mask.map(|mask| match mask.leading_ones() {
        ones if mask.count_ones() == ones => ones.to_string(),
        _ => Ipv6Addr::from(mask).to_string(),
    });
    masked(Ipv6Addr::from(value).to_string(), mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(field: Field, value: u128, mask: Option<u128>) -> String {
        Value::new(field, value).text(field, mask.map(|mask| Value::new(field, mask)).as_ref())
    }

    #[test]
    fn values_are_written_as_ovs_ofctl_writes_them() {
        let cases = [
            (text(Field::register(0), 0x100, Some(0x100)), "0x100/0x100"),
            (
                text(Field::OXM_OF_IPV4_SRC, 0x0a0a_0100, Some(0xffff_ff00)),
                "10.10.1.0/24",
            ),
            (
                text(Field::OXM_OF_IPV4_SRC, 0x0a0a_0100, Some(0xff00_ff00)),
                "10.10.1.0/255.0.255.0",
            ),
            (text(Field::NXM_NX_CT_STATE, 0x21, Some(0x23)), "+new-est+trk"),
            (text(Field::NXM_NX_CT_STATE, 0x21, Some(0xff)), "new|trk"),
            (text(Field::OXM_OF_TCP_FLAGS, 0x2, Some(0x12)), "+syn-ack"),
            (text(Field::OXM_OF_TCP_DST, 80, None), "80"),
            (text(Field::OXM_OF_TCP_DST, 80, Some(0xfff0)), "0x50/0xfff0"),
            (text(Field::OXM_OF_ETH_DST, 0x0200_000a_0101, None), "02:00:00:0a:01:01"),
            (text(Field::OXM_OF_IN_PORT, 0xffff_fffe, None), "LOCAL"),
            (text(Field::NXM_OF_IN_PORT, 0xfffe, None), "LOCAL"),
            (text(Field::NXM_NX_IP_FRAG, 1, Some(3)), "first"),
            (text(Field::OXM_OF_IPV6_SRC, 1, Some(u128::MAX)), "::1/128"),
        ];
        for (text, expected) in cases {
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn tunnel_metadata_of_any_length_is_written_in_full() {
        let value = Value::from_bytes(&[0xab; 20]);
        assert_eq!(
            value.text(Field::tunnel_metadata(1), None),
            format!("0x{}", "ab".repeat(20))
        );
    }
}
