//! What the text of several messages has in common.

use std::fmt;
use std::time::Duration;

/// How many bytes of something raw are shown.
const SHOWN: usize = 64;

/// The first bytes in hexadecimal, and how many follow.
pub(crate) struct Hex<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        match self.0.len() - shown.len() {
            0 => Ok(()),
            more => write!(f, "... ({more} more bytes)"),
        }
    }
}

/// Bytes separated by points, as ovs-ofctl writes userdata and notes.
pub(crate) struct Dotted<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Dotted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "." };
            write!(f, "{separator}{byte:02x}")?;
        }
        Ok(())
    }
}

/// The names of the bits that are set, and the rest of them as a number; 0 if there are none.
pub(crate) struct Bits<'a> {
    pub(crate) bits: u32,
    /// From the lowest bit on; empty for one without a name.
    pub(crate) names: &'a [&'a str],
    pub(crate) separator: &'a str,
}

impl fmt::Display for Bits<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.bits;
        let mut separator = "";
        for (bit, name) in self.names.iter().enumerate() {
            if self.bits >> bit & 1 != 0 && !name.is_empty() {
                write!(f, "{separator}{name}")?;
                separator = self.separator;
                rest &= !(1 << bit);
            }
        }
        match (rest, self.bits) {
            (_, 0) => f.write_str("0"),
            (0, _) => Ok(()),
            (rest, _) => write!(f, "{separator}{rest:#x}"),
        }
    }
}

/// `1s`, `1.500s` or `1.500000001s`, whichever tells it exactly.
pub(crate) struct Seconds(pub(crate) Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, nanoseconds) = (self.0.as_secs(), self.0.subsec_nanos());
        match nanoseconds {
            0 => write!(f, "{seconds}s"),
            _ if nanoseconds % 1_000_000 == 0 => write!(f, "{seconds}.{:03}s", nanoseconds / 1_000_000),
            _ => write!(f, "{seconds}.{nanoseconds:09}s"),
        }
    }
}

/// In hexadecimal; 0 is only that.
pub(crate) struct Number(pub(crate) u64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("0"),
            number => write!(f, "{number:#x}"),
        }
    }
}

/// A count, or a question mark where it isn't known.
pub(crate) struct Count(pub(crate) Option<u64>);

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(count) => write!(f, "{count}"),
            None => f.write_str("?"),
        }
    }
}

/// `aa:bb:cc:dd:ee:ff`
pub(crate) struct Mac(pub(crate) [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_bytes_are_shown_up_to_a_bound() {
        assert_eq!(Hex(&[1, 0xab]).to_string(), "01ab");
        assert_eq!(
            Hex(&[0; 70]).to_string(),
            format!("{}... (6 more bytes)", "00".repeat(64))
        );
    }

    #[test]
    fn bits_without_a_name_are_a_number() {
        let bits = |bits| Bits {
            bits,
            names: &["one", "", "three"],
            separator: " ",
        };
        let texts = [0, 1, 5, 7, 8].map(|number| bits(number).to_string());
        assert_eq!(texts, ["0", "one", "one three", "one three 0x2", "0x8"]);
    }

    #[test]
    fn a_duration_is_as_exact_as_it_must_be() {
        let texts =
            [1_000_000_000, 1_500_000_000, 1_500_000_001].map(|time| Seconds(Duration::from_nanos(time)).to_string());
        assert_eq!(texts, ["1s", "1.500s", "1.500000001s"]);
    }
}
