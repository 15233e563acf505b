//! What tells our flows, marks and packet-ins from everybody else's on the same switch.

use traceflow_core::datapath::{Mark, TraceId};

/// A tracer among others on the same switches. Two that run at the same time need different numbers; one that starts
/// anew takes the number of its predecessor and sweeps what that left behind.
///
/// All datapaths of a tracer share one value: a packet that leaves one node marked is known on the next by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Instance {
    number: u8,
    /// Drawn anew by every process, so that a switch that remembers a mark of an earlier one doesn't take it for ours.
    salt: u8,
}

/// What a packet with a mark is, and whose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct WireMark {
    pub(crate) kind: MarkKind,
    pub(crate) mark: Mark,
}

/// What is done with a packet that bears a mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarkKind {
    /// Injected: reported where its way ends, and not handed over.
    Injected,
    /// Real traffic: reported where it leaves or is dropped, and handed over.
    Live,
    /// Real traffic: reported where it is dropped, and handed over.
    DroppedOnly,
    /// Injected on another node and brought here by its DSCP, so that a stranger's packet may look the same: reported where
    /// its way ends, and handed over.
    Carried,
}

/// How many marks there are: twelve bits, without 0.
pub(crate) const MARKS: u32 = 0xfff;

/// A mark has 24 bits, because a tunnel's id has no more: four for the tracer, two for the kind, six of salt, twelve.
pub(crate) const MARK_BITS: u16 = 24;
const OWNER_SHIFT: u32 = 20;
const HANDED_OVER: u32 = 1 << 19;
const DROPPED_ONLY: u32 = 1 << 18;
const SALT_SHIFT: u32 = 12;
const SALTS: u8 = 64;

/// In the register, a byte stands above the mark that no pipeline has there by chance.
const TAG: u32 = 0x7f;

/// The bits of the register that say whose mark it is.
pub(crate) const OWNER_MASK: u32 = 0xfff0_0000;
/// The bits of the register that say what is done with the packet.
pub(crate) const KIND_MASK: u32 = HANDED_OVER | DROPPED_ONLY;
/// The same bits of a tunnel's id; above them all must be clear.
pub(crate) const TUNNEL_OWNER_MASK: u64 = 0xffff_ffff_fff0_0000;

/// Our cookies begin so: "tf".
const COOKIE: u64 = 0x7466 << 48;
const COOKIE_MASK: u64 = 0xffff << 48;
const INSTANCE_MASK: u64 = 0xff << 40;

/// Set in the cookies of flows that belong to one trace.
const LIVE: u64 = 1 << 39;

/// The controller ids of tracers begin here.
const CONTROLLER: u16 = 0x7466;

/// The highest number of an instance.
pub const LAST_INSTANCE: u8 = 14;

/// The controller id of a connection that traces nothing, and whom no punt is meant for.
pub(crate) const NO_TRACER: u16 = CONTROLLER + LAST_INSTANCE as u16 + 1;

impl Instance {
    /// The tracer of this number, 0 to [`LAST_INSTANCE`]; higher ones are taken as that.
    ///
    /// Each call makes another tracer: give all nodes of one tracer the same value, or they don't know each other's packets.
    pub fn new(number: u8) -> Self {
        Self::with_salt(number, fastrand::u8(..SALTS))
    }

    /// The same with a salt (0 to 63) that several processes agree upon: agents of one tracer on many nodes.
    pub fn with_salt(number: u8, salt: u8) -> Self {
        Self {
            number: number.min(LAST_INSTANCE),
            salt: salt % SALTS,
        }
    }

    /// The controller id that our punts bear.
    pub fn controller(self) -> u16 {
        CONTROLLER + u16::from(self.number)
    }

    /// The cookie of what stands, and of everything else of this tracer under [`cookie_mask`](Self::cookie_mask).
    pub(crate) fn cookie(self) -> u64 {
        COOKIE | u64::from(self.number) << 40
    }

    /// The bits of a cookie that say that a flow is this tracer's.
    pub(crate) fn cookie_mask() -> u64 {
        COOKIE_MASK | INSTANCE_MASK
    }

    /// The cookie of all traces' own flows, under [`live_cookie_mask`](Self::live_cookie_mask).
    pub(crate) fn live_cookie(self) -> u64 {
        self.cookie() | LIVE
    }

    /// The bits of a cookie that say that a flow is this tracer's and of a trace.
    pub(crate) fn live_cookie_mask() -> u64 {
        Self::cookie_mask() | LIVE
    }

    /// The cookie of a trace's own flows; never that of what stands.
    pub(crate) fn trace_cookie(self, trace: TraceId) -> u64 {
        self.live_cookie() | trace.0 & (LIVE - 1)
    }

    /// Cookie and mask of the flows of all tracers, whatever their number.
    pub fn every_cookie() -> (u64, u64) {
        (COOKIE, COOKIE_MASK)
    }

    /// The bits under [`OWNER_MASK`] of the register.
    pub(crate) fn owner(self) -> u32 {
        TAG << MARK_BITS | self.owner_bits()
    }

    /// The bits under [`TUNNEL_OWNER_MASK`] of a tunnel's id.
    pub(crate) fn tunnel_owner(self) -> u64 {
        self.owner_bits().into()
    }

    /// CNIs that number their tunnels begin at the bottom.
    fn owner_bits(self) -> u32 {
        (u32::from(self.number) + 1) << OWNER_SHIFT
    }

    /// What the register holds of a packet with this mark.
    pub(crate) fn register(self, mark: WireMark) -> u32 {
        self.owner() | mark.kind.bits() | u32::from(self.salt) << SALT_SHIFT | mark.mark.0 & MARKS
    }

    /// Whose mark the register holds, be it this or any other tracer.
    pub(crate) fn of(register: u32) -> Option<Self> {
        let owner = (register & OWNER_MASK).checked_sub(TAG << MARK_BITS)? >> OWNER_SHIFT;
        let number = u8::try_from(owner.checked_sub(1)?).ok()?;
        (number <= LAST_INSTANCE).then(|| Self::with_salt(number, (register >> SALT_SHIFT) as u8))
    }

    /// The number of the tracer whose cookie that is.
    pub(crate) fn number_in(cookie: u64) -> u8 {
        (cookie >> 40) as u8
    }

    /// Its number.
    pub fn number(self) -> u8 {
        self.number
    }

    /// The mark that the register holds; `None` if it is nobody's or another's.
    pub(crate) fn read(self, register: u32) -> Option<WireMark> {
        let ours = register & OWNER_MASK == self.owner() && (register >> SALT_SHIFT) as u8 % SALTS == self.salt;
        ours.then(|| WireMark {
            kind: MarkKind::of(register),
            mark: Mark(register & MARKS),
        })
    }
}

impl MarkKind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Injected, Self::Live, Self::DroppedOnly, Self::Carried];

    /// Whether the packet is of a tracer's making.
    pub(crate) fn is_injected(self) -> bool {
        matches!(self, Self::Injected | Self::Carried)
    }

    /// The bits under [`KIND_MASK`].
    pub(crate) fn bits(self) -> u32 {
        match self {
            Self::Injected => 0,
            Self::Live => HANDED_OVER,
            Self::DroppedOnly => HANDED_OVER | DROPPED_ONLY,
            Self::Carried => DROPPED_ONLY,
        }
    }

    fn of(register: u32) -> Self {
        match register & KIND_MASK {
            0 => Self::Injected,
            HANDED_OVER => Self::Live,
            DROPPED_ONLY => Self::Carried,
            _ => Self::DroppedOnly,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_back_by_its_own_tracer_alone() {
        let tracer = Instance::with_salt(3, 17);
        for kind in MarkKind::ALL {
            for mark in [1, 7, MARKS] {
                let wire = WireMark { kind, mark: Mark(mark) };
                let register = tracer.register(wire);
                assert_eq!(tracer.read(register), Some(wire));
                assert_eq!(Instance::of(register), Some(tracer));
                assert_eq!(Instance::with_salt(2, 17).read(register), None, "another number");
                assert_eq!(Instance::with_salt(3, 18).read(register), None, "another life");
            }
        }
        assert_eq!(tracer.read(0), None);
        for nobodys in [0, 0x7f00_1001, 0x7e10_1001, 0x8010_1001, u32::MAX] {
            assert_eq!(Instance::of(nobodys), None, "{nobodys:#x}");
        }
    }

    #[test]
    fn a_tunnel_id_has_the_marks_lowest_24_bits() {
        let tracer = Instance::with_salt(LAST_INSTANCE, 63);
        let register = tracer.register(WireMark {
            kind: MarkKind::DroppedOnly,
            mark: Mark(MARKS),
        });
        let vni = u64::from(register) & 0xff_ffff;
        assert_eq!(vni & TUNNEL_OWNER_MASK, tracer.tunnel_owner());
        assert_eq!(vni | u64::from(TAG) << MARK_BITS, u64::from(register));
    }

    #[test]
    fn a_trace_never_has_the_cookie_of_what_stands() {
        let tracer = Instance::with_salt(0, 0);
        for trace in [0, 1, u64::MAX] {
            let cookie = tracer.trace_cookie(TraceId(trace));
            assert_ne!(cookie, tracer.cookie());
            assert_eq!(cookie & Instance::cookie_mask(), tracer.cookie());
        }
    }
}
