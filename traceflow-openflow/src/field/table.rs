//! The one table of fields. Constants, names, widths and text formats come from it.

use super::Field;

/// How a field's values are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// `17`
    Decimal,
    /// `0x11`
    Hexadecimal,
    /// `10.10.1.11`
    Ipv4,
    /// `fd00::1`
    Ipv6,
    /// `02:00:00:0a:01:0b`
    Ethernet,
    /// A port's number or the name of a reserved one.
    Port,
    /// `+new+trk`
    ConntrackState,
    /// `+syn-ack`
    TcpFlags,
    /// `+oam`
    TunnelFlags,
    /// `no`, `first`, `later`
    Fragment,
    /// A VLAN's number with a bit that says whether there is one.
    VlanId,
}

/// A field, or `count` fields of consecutive numbers.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) wire: &'static str,
    pub(super) first: Field,
    pub(super) count: u8,
    /// 0: as long as the switch says.
    pub(super) bits: u16,
    pub(super) maskable: bool,
    /// In ovs-ofctl.
    pub(super) name: &'static str,
    pub(super) format: Format,
}

impl Row {
    pub(super) fn index(&self, field: Field) -> u8 {
        field.number - self.first.number
    }

    pub(super) fn wire_name(&self, field: Field) -> String {
        match self.count {
            1 => self.wire.to_owned(),
            _ => format!("{}{}", self.wire, self.index(field)),
        }
    }

    fn holds(&self, field: Field) -> bool {
        field.class == self.first.class
            && field.experimenter == self.first.experimenter
            && field
                .number
                .checked_sub(self.first.number)
                .is_some_and(|index| index < self.count)
    }
}

pub(super) fn row(field: Field) -> Option<&'static Row> {
    let rows = match class_index(field.class) {
        Some(class) => return at(INDEX[class][usize::from(field.number & 0x7f)]),
        None => FIELDS,
    };
    rows.iter().find(|row| row.holds(field))
}

/// The classes whose fields have no experimenter.
const fn class_index(class: u16) -> Option<usize> {
    match class {
        NXM0 => Some(0),
        NXM1 => Some(1),
        OF => Some(2),
        PACKET_REGISTERS => Some(3),
        _ => None,
    }
}

/// For each class and number the row's place among the families and the fields after them, from 1; 0: none. Readers of
/// packet-ins look up hundreds of thousands of fields a second.
static INDEX: [[u8; 128]; 4] = index();

const fn index() -> [[u8; 128]; 4] {
    let mut index = [[0; 128]; 4];
    let mut place = 0;
    while place < FAMILIES.len() + FIELDS.len() {
        let row = if place < FAMILIES.len() {
            &FAMILIES[place]
        } else {
            &FIELDS[place - FAMILIES.len()]
        };
        if let Some(class) = class_index(row.first.class) {
            let mut number = row.first.number as usize;
            while number < row.first.number as usize + row.count as usize {
                index[class][number] = place as u8 + 1;
                number += 1;
            }
        }
        place += 1;
    }
    index
}

fn at(place: u8) -> Option<&'static Row> {
    let place = usize::from(place).checked_sub(1)?;
    FAMILIES.get(place).or_else(|| FIELDS.get(place - FAMILIES.len()))
}

/// Every field that is known.
#[cfg(test)]
pub(super) fn fields() -> impl Iterator<Item = Field> {
    FAMILIES.iter().chain(FIELDS).flat_map(|row| {
        (0..row.count).map(|index| Field {
            number: row.first.number + index,
            ..row.first
        })
    })
}

/// Fields that come in numbers; their functions stand in `mod.rs`.
const FAMILIES: &[Row] = &[
    family("NXM_NX_REG", Field::register(0), 16, 32, "reg", Format::Hexadecimal),
    family(
        "OXM_OF_PKT_REG",
        Field::packet_register(0),
        8,
        64,
        "xreg",
        Format::Hexadecimal,
    ),
    family(
        "NXM_NX_XXREG",
        Field::wide_register(0),
        4,
        128,
        "xxreg",
        Format::Hexadecimal,
    ),
    family(
        "NXM_NX_TUN_METADATA",
        Field::tunnel_metadata(0),
        64,
        0,
        "tun_metadata",
        Format::Hexadecimal,
    ),
];

const fn family(wire: &'static str, first: Field, count: u8, bits: u16, name: &'static str, format: Format) -> Row {
    Row {
        wire,
        first,
        count,
        bits,
        maskable: true,
        name,
        format,
    }
}

const OF: u16 = 0x8000;
const NXM0: u16 = 0;
const NXM1: u16 = 1;
const PACKET_REGISTERS: u16 = 0x8001;
const ERICSSON: u16 = 0x1000;
const NSH: u32 = 0x005a_d650;
const NICIRA: u32 = 0x0000_2320;
const ONF: u32 = 0x4f4e_4600;

macro_rules! fields {
    (
        $($wire:ident: $kind:ident($owner:ident, $number:literal),
          $bits:literal, $maskable:literal, $name:literal, $format:ident;)+
    ) => {
        /// The fields with a name. What they mean is told in ovs-fields(7).
        impl Field {
            $(
                #[doc = concat!("`", stringify!($wire), "`, `", $name, "` in ovs-ofctl, ", stringify!($bits), " bits.")]
                pub const $wire: Self = Self::$kind($owner, $number);
            )+
        }

        const FIELDS: &[Row] = &[
            $(Row {
                wire: stringify!($wire),
                first: Field::$wire,
                count: 1,
                bits: $bits,
                maskable: $maskable,
                name: $name,
                format: Format::$format,
            },)+
        ];
    };
}

// OpenFlow 1.5.1 section 7.2.3.8, nicira-ext.h and meta-flow.h of Open vSwitch.
fields! {
    OXM_OF_IN_PORT:         new(OF, 0),      32,  false, "in_port",       Port;
    OXM_OF_METADATA:        new(OF, 2),      64,  true,  "metadata",      Hexadecimal;
    OXM_OF_ETH_DST:         new(OF, 3),      48,  true,  "dl_dst",        Ethernet;
    OXM_OF_ETH_SRC:         new(OF, 4),      48,  true,  "dl_src",        Ethernet;
    OXM_OF_ETH_TYPE:        new(OF, 5),      16,  false, "dl_type",       Hexadecimal;
    OXM_OF_VLAN_VID:        new(OF, 6),      13,  true,  "vlan_vid",      VlanId;
    OXM_OF_VLAN_PCP:        new(OF, 7),      3,   false, "dl_vlan_pcp",   Decimal;
    OXM_OF_IP_DSCP:         new(OF, 8),      6,   false, "ip_dscp",       Decimal;
    OXM_OF_IP_ECN:          new(OF, 9),      2,   false, "nw_ecn",        Decimal;
    OXM_OF_IP_PROTO:        new(OF, 10),     8,   false, "nw_proto",      Decimal;
    OXM_OF_IPV4_SRC:        new(OF, 11),     32,  true,  "nw_src",        Ipv4;
    OXM_OF_IPV4_DST:        new(OF, 12),     32,  true,  "nw_dst",        Ipv4;
    OXM_OF_TCP_SRC:         new(OF, 13),     16,  true,  "tcp_src",       Decimal;
    OXM_OF_TCP_DST:         new(OF, 14),     16,  true,  "tcp_dst",       Decimal;
    OXM_OF_UDP_SRC:         new(OF, 15),     16,  true,  "udp_src",       Decimal;
    OXM_OF_UDP_DST:         new(OF, 16),     16,  true,  "udp_dst",       Decimal;
    OXM_OF_SCTP_SRC:        new(OF, 17),     16,  true,  "sctp_src",      Decimal;
    OXM_OF_SCTP_DST:        new(OF, 18),     16,  true,  "sctp_dst",      Decimal;
    OXM_OF_ICMPV4_TYPE:     new(OF, 19),     8,   false, "icmp_type",     Decimal;
    OXM_OF_ICMPV4_CODE:     new(OF, 20),     8,   false, "icmp_code",     Decimal;
    OXM_OF_ARP_OP:          new(OF, 21),     16,  false, "arp_op",        Decimal;
    OXM_OF_ARP_SPA:         new(OF, 22),     32,  true,  "arp_spa",       Ipv4;
    OXM_OF_ARP_TPA:         new(OF, 23),     32,  true,  "arp_tpa",       Ipv4;
    OXM_OF_ARP_SHA:         new(OF, 24),     48,  true,  "arp_sha",       Ethernet;
    OXM_OF_ARP_THA:         new(OF, 25),     48,  true,  "arp_tha",       Ethernet;
    OXM_OF_IPV6_SRC:        new(OF, 26),     128, true,  "ipv6_src",      Ipv6;
    OXM_OF_IPV6_DST:        new(OF, 27),     128, true,  "ipv6_dst",      Ipv6;
    OXM_OF_IPV6_FLABEL:     new(OF, 28),     20,  true,  "ipv6_label",    Hexadecimal;
    OXM_OF_ICMPV6_TYPE:     new(OF, 29),     8,   false, "icmpv6_type",   Decimal;
    OXM_OF_ICMPV6_CODE:     new(OF, 30),     8,   false, "icmpv6_code",   Decimal;
    OXM_OF_IPV6_ND_TARGET:  new(OF, 31),     128, true,  "nd_target",     Ipv6;
    OXM_OF_IPV6_ND_SLL:     new(OF, 32),     48,  true,  "nd_sll",        Ethernet;
    OXM_OF_IPV6_ND_TLL:     new(OF, 33),     48,  true,  "nd_tll",        Ethernet;
    OXM_OF_MPLS_LABEL:      new(OF, 34),     20,  false, "mpls_label",    Decimal;
    OXM_OF_MPLS_TC:         new(OF, 35),     3,   false, "mpls_tc",       Decimal;
    OXM_OF_MPLS_BOS:        new(OF, 36),     1,   false, "mpls_bos",      Decimal;
    OXM_OF_TUNNEL_ID:       new(OF, 38),     64,  true,  "tun_id",        Hexadecimal;
    OXM_OF_TCP_FLAGS:       new(OF, 42),     12,  true,  "tcp_flags",     TcpFlags;
    OXM_OF_ACTSET_OUTPUT:   new(OF, 43),     32,  false, "actset_output", Port;
    OXM_OF_PACKET_TYPE:     new(OF, 44),     32,  false, "packet_type",   Hexadecimal;

    NXM_OF_IN_PORT:         new(NXM0, 0),    16,  false, "in_port",       Port;
    NXM_OF_ETH_DST:         new(NXM0, 1),    48,  true,  "dl_dst",        Ethernet;
    NXM_OF_ETH_SRC:         new(NXM0, 2),    48,  true,  "dl_src",        Ethernet;
    NXM_OF_ETH_TYPE:        new(NXM0, 3),    16,  false, "dl_type",       Hexadecimal;
    NXM_OF_VLAN_TCI:        new(NXM0, 4),    16,  true,  "vlan_tci",      Hexadecimal;
    NXM_OF_IP_TOS:          new(NXM0, 5),    8,   false, "nw_tos",        Decimal;
    NXM_OF_IP_PROTO:        new(NXM0, 6),    8,   false, "nw_proto",      Decimal;
    NXM_OF_IP_SRC:          new(NXM0, 7),    32,  true,  "nw_src",        Ipv4;
    NXM_OF_IP_DST:          new(NXM0, 8),    32,  true,  "nw_dst",        Ipv4;
    NXM_OF_TCP_SRC:         new(NXM0, 9),    16,  true,  "tcp_src",       Decimal;
    NXM_OF_TCP_DST:         new(NXM0, 10),   16,  true,  "tcp_dst",       Decimal;
    NXM_OF_UDP_SRC:         new(NXM0, 11),   16,  true,  "udp_src",       Decimal;
    NXM_OF_UDP_DST:         new(NXM0, 12),   16,  true,  "udp_dst",       Decimal;
    NXM_OF_ICMP_TYPE:       new(NXM0, 13),   8,   false, "icmp_type",     Decimal;
    NXM_OF_ICMP_CODE:       new(NXM0, 14),   8,   false, "icmp_code",     Decimal;
    NXM_OF_ARP_OP:          new(NXM0, 15),   16,  false, "arp_op",        Decimal;
    NXM_OF_ARP_SPA:         new(NXM0, 16),   32,  true,  "arp_spa",       Ipv4;
    NXM_OF_ARP_TPA:         new(NXM0, 17),   32,  true,  "arp_tpa",       Ipv4;

    NXM_NX_TUN_ID:          new(NXM1, 16),   64,  true,  "tun_id",        Hexadecimal;
    NXM_NX_ARP_SHA:         new(NXM1, 17),   48,  true,  "arp_sha",       Ethernet;
    NXM_NX_ARP_THA:         new(NXM1, 18),   48,  true,  "arp_tha",       Ethernet;
    NXM_NX_IPV6_SRC:        new(NXM1, 19),   128, true,  "ipv6_src",      Ipv6;
    NXM_NX_IPV6_DST:        new(NXM1, 20),   128, true,  "ipv6_dst",      Ipv6;
    NXM_NX_ICMPV6_TYPE:     new(NXM1, 21),   8,   false, "icmpv6_type",   Decimal;
    NXM_NX_ICMPV6_CODE:     new(NXM1, 22),   8,   false, "icmpv6_code",   Decimal;
    NXM_NX_ND_TARGET:       new(NXM1, 23),   128, true,  "nd_target",     Ipv6;
    NXM_NX_ND_SLL:          new(NXM1, 24),   48,  true,  "nd_sll",        Ethernet;
    NXM_NX_ND_TLL:          new(NXM1, 25),   48,  true,  "nd_tll",        Ethernet;
    NXM_NX_IP_FRAG:         new(NXM1, 26),   8,   true,  "nw_frag",       Fragment;
    NXM_NX_IPV6_LABEL:      new(NXM1, 27),   20,  true,  "ipv6_label",    Hexadecimal;
    NXM_NX_IP_ECN:          new(NXM1, 28),   2,   false, "nw_ecn",        Decimal;
    NXM_NX_IP_TTL:          new(NXM1, 29),   8,   false, "nw_ttl",        Decimal;
    NXM_NX_MPLS_TTL:        new(NXM1, 30),   8,   false, "mpls_ttl",      Decimal;
    NXM_NX_TUN_IPV4_SRC:    new(NXM1, 31),   32,  true,  "tun_src",       Ipv4;
    NXM_NX_TUN_IPV4_DST:    new(NXM1, 32),   32,  true,  "tun_dst",       Ipv4;
    NXM_NX_PKT_MARK:        new(NXM1, 33),   32,  true,  "pkt_mark",      Hexadecimal;
    NXM_NX_TCP_FLAGS:       new(NXM1, 34),   12,  true,  "tcp_flags",     TcpFlags;
    NXM_NX_DP_HASH:         new(NXM1, 35),   32,  true,  "dp_hash",       Hexadecimal;
    NXM_NX_RECIRC_ID:       new(NXM1, 36),   32,  false, "recirc_id",     Decimal;
    NXM_NX_CONJ_ID:         new(NXM1, 37),   32,  false, "conj_id",       Decimal;
    NXM_NX_TUN_GBP_ID:      new(NXM1, 38),   16,  true,  "tun_gbp_id",    Decimal;
    NXM_NX_TUN_GBP_FLAGS:   new(NXM1, 39),   8,   true,  "tun_gbp_flags", Hexadecimal;
    NXM_NX_TUN_FLAGS:       new(NXM1, 104),  16,  true,  "tun_flags",     TunnelFlags;
    NXM_NX_CT_STATE:        new(NXM1, 105),  32,  true,  "ct_state",      ConntrackState;
    NXM_NX_CT_ZONE:         new(NXM1, 106),  16,  false, "ct_zone",       Hexadecimal;
    NXM_NX_CT_MARK:         new(NXM1, 107),  32,  true,  "ct_mark",       Hexadecimal;
    NXM_NX_CT_LABEL:        new(NXM1, 108),  128, true,  "ct_label",      Hexadecimal;
    NXM_NX_TUN_IPV6_SRC:    new(NXM1, 109),  128, true,  "tun_ipv6_src",  Ipv6;
    NXM_NX_TUN_IPV6_DST:    new(NXM1, 110),  128, true,  "tun_ipv6_dst",  Ipv6;
    NXM_NX_CT_NW_PROTO:     new(NXM1, 119),  8,   false, "ct_nw_proto",   Decimal;
    NXM_NX_CT_NW_SRC:       new(NXM1, 120),  32,  true,  "ct_nw_src",     Ipv4;
    NXM_NX_CT_NW_DST:       new(NXM1, 121),  32,  true,  "ct_nw_dst",     Ipv4;
    NXM_NX_CT_IPV6_SRC:     new(NXM1, 122),  128, true,  "ct_ipv6_src",   Ipv6;
    NXM_NX_CT_IPV6_DST:     new(NXM1, 123),  128, true,  "ct_ipv6_dst",   Ipv6;
    NXM_NX_CT_TP_SRC:       new(NXM1, 124),  16,  true,  "ct_tp_src",     Decimal;
    NXM_NX_CT_TP_DST:       new(NXM1, 125),  16,  true,  "ct_tp_dst",     Decimal;

    NXOXM_ET_DP_HASH:       of_experimenter(NICIRA, 0),  32, true,  "dp_hash",         Hexadecimal;
    NXOXM_ET_ERSPAN_IDX:    of_experimenter(NICIRA, 11), 20, true,  "tun_erspan_idx",  Hexadecimal;
    NXOXM_ET_ERSPAN_VER:    of_experimenter(NICIRA, 12), 4,  true,  "tun_erspan_ver",  Decimal;
    NXOXM_ET_ERSPAN_DIR:    of_experimenter(NICIRA, 13), 1,  true,  "tun_erspan_dir",  Decimal;
    NXOXM_ET_ERSPAN_HWID:   of_experimenter(NICIRA, 14), 6,  true,  "tun_erspan_hwid", Hexadecimal;
    NXOXM_ET_GTPU_FLAGS:    of_experimenter(NICIRA, 15), 8,  true,  "tun_gtpu_flags",  Hexadecimal;
    NXOXM_ET_GTPU_MSGTYPE:  of_experimenter(NICIRA, 16), 8,  true,  "tun_gtpu_msgtype", Decimal;
    ERICOXM_OF_ICMPV6_ND_RESERVED: new(ERICSSON, 1),     32, false, "nd_reserved",     Decimal;
    ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE: new(ERICSSON, 2), 8,  false, "nd_options_type", Decimal;

    NXOXM_NSH_FLAGS:        of_experimenter(NSH, 1),     8,  true,  "nsh_flags",       Decimal;
    NXOXM_NSH_MDTYPE:       of_experimenter(NSH, 2),     8,  false, "nsh_mdtype",      Decimal;
    NXOXM_NSH_NP:           of_experimenter(NSH, 3),     8,  false, "nsh_np",          Decimal;
    NXOXM_NSH_SPI:          of_experimenter(NSH, 4),     24, false, "nsh_spi",         Hexadecimal;
    NXOXM_NSH_SI:           of_experimenter(NSH, 5),     8,  false, "nsh_si",          Decimal;
    NXOXM_NSH_C1:           of_experimenter(NSH, 6),     32, true,  "nsh_c1",          Hexadecimal;
    NXOXM_NSH_C2:           of_experimenter(NSH, 7),     32, true,  "nsh_c2",          Hexadecimal;
    NXOXM_NSH_C3:           of_experimenter(NSH, 8),     32, true,  "nsh_c3",          Hexadecimal;
    NXOXM_NSH_C4:           of_experimenter(NSH, 9),     32, true,  "nsh_c4",          Hexadecimal;
    NXOXM_NSH_TTL:          of_experimenter(NSH, 10),    8,  false, "nsh_ttl",         Decimal;

    ONFOXM_ET_TCP_FLAGS:    of_experimenter(ONF, 42),    12, true,  "tcp_flags",       TcpFlags;
    ONFOXM_ET_ACTSET_OUTPUT: of_experimenter(ONF, 43),   32, false, "actset_output",   Port;
}
