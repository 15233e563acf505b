//! The checksums of the Internet protocols: the ones' complement sum of RFC 1071 and SCTP's CRC32c.

/// A ones' complement sum that is still growing. Every summand starts at an even offset of what is summed.
///
/// The words are added as they lie in memory: in this arithmetic the sum of swapped words is the swapped sum
/// (RFC 1071, section 2 (B)), so that no byte order is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Sum(u64);

impl Sum {
    /// The sum of these bytes; an odd last byte is padded with zero.
    #[inline]
    pub(super) fn of(bytes: &[u8]) -> Self {
        let mut sum = 0;
        let (words, rest) = bytes.as_chunks::<4>();
        for word in words {
            sum += u64::from(u32::from_ne_bytes(*word));
        }
        let rest = match *rest {
            [a] => [a, 0, 0, 0],
            [a, b] => [a, b, 0, 0],
            [a, b, c] => [a, b, c, 0],
            _ => [0; 4],
        };
        Self(sum + u64::from(u32::from_ne_bytes(rest)))
    }

    /// What was summed to arrive at `checksum` (RFC 1624: the complement of the checksum is the sum).
    #[inline]
    pub(super) fn from_checksum(checksum: [u8; 2]) -> Self {
        Self(u64::from(!u16::from_ne_bytes(checksum)))
    }

    /// Adds these bytes.
    #[inline]
    #[must_use]
    pub(super) fn with(self, bytes: &[u8]) -> Self {
        Self(self.0 + Self::of(bytes).0)
    }

    /// Adds these rows of a header, which are numbers here and big-endian in memory.
    #[inline]
    #[must_use]
    pub(super) fn with_words(self, words: &[u32]) -> Self {
        Self(words.iter().fold(self.0, |sum, word| sum + u64::from(word.to_be())))
    }

    /// The checksum as a number, for the lower half of a row.
    #[inline]
    pub(super) fn checksum_value(self) -> u32 {
        u16::from_be_bytes(self.checksum()).into()
    }

    /// The checksum as it is sent: the complement of the sum, folded into 16 bits.
    #[inline]
    pub(super) fn checksum(self) -> [u8; 2] {
        // Adding a number to itself with its halves swapped leaves their sum, with the carry, in the upper half.
        let sum = (self.0.wrapping_add(self.0.rotate_left(32)) >> 32) as u32;
        let sum = (sum.wrapping_add(sum.rotate_left(16)) >> 16) as u16;
        (!sum).to_ne_bytes()
    }
}

/// CRC32c of `bytes` (RFC 9260, appendix A), as the number whose little-endian bytes stand in the SCTP header.
#[inline]
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc: u32 = !0;
    let (blocks, rest) = bytes.as_chunks::<REACH>();
    for block in blocks {
        let mut mixed = *block;
        for (byte, before) in mixed.iter_mut().zip(crc.to_le_bytes()) {
            *byte ^= before;
        }
        crc = crc32c_change(mixed, 0);
    }
    for byte in rest {
        crc = (crc >> 8) ^ CRC_TABLES[0][usize::from(crc as u8 ^ byte)];
    }
    !crc
}

/// How CRC32c changes when `bytes` are laid over zeros that `distance` bytes follow: the checksum is linear, so that a
/// change needs no look at what stays. `distance` and `N` together are [`REACH`] at most.
#[inline]
pub(super) fn crc32c_change<const N: usize>(bytes: [u8; N], distance: usize) -> u32 {
    let mut change = 0;
    for (i, byte) in bytes.into_iter().enumerate() {
        change ^= CRC_TABLES[distance + N - 1 - i][usize::from(byte)];
    }
    change
}

/// How far from the end a byte's part in the checksum is known: an SCTP packet with an INIT chunk is as long.
const REACH: usize = 32;

/// `CRC_TABLES[d][b]` is what a byte `b` with `d` bytes behind it adds to the checksum.
static CRC_TABLES: [[u32; 256]; REACH] = crc_tables();

/// The generator polynomial of RFC 9260, appendix A, 0x1EDC6F41, with its bits reversed.
const CRC32C_POLYNOMIAL: u32 = 0x82f6_3b78;

const fn crc_tables() -> [[u32; 256]; REACH] {
    let mut tables = [[0; 256]; REACH];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (if crc & 1 == 1 { CRC32C_POLYNOMIAL } else { 0 });
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut distance = 1;
    while distance < REACH {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[distance - 1][byte];
            tables[distance][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        distance += 1;
    }
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_sum_of_rfc_1071s_example_is_its_own() {
        // RFC 1071, section 3: the sum is ddf2, so the checksum is its complement.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(Sum::of(&bytes).checksum(), [!0xdd, !0xf2]);
    }

    #[test]
    fn the_crc_of_the_check_string_is_the_published_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_crcs_of_rfc_3720s_examples_are_its_own() {
        // RFC 3720, appendix B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    proptest! {
        #[test]
        fn the_sum_is_that_of_the_words_one_by_one(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut sum = 0u32;
            for word in bytes.chunks(2) {
                sum += u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0));
                sum = (sum & 0xffff) + (sum >> 16);
            }
            prop_assert_eq!(Sum::of(&bytes).checksum(), (!(sum as u16)).to_be_bytes());
        }

        #[test]
        fn a_changed_crc_is_that_of_the_changed_bytes(new in any::<[u8; 4]>(), behind in 0usize..=28) {
            let mut bytes = [0x5a; 32];
            let at = 32 - behind - 4;
            bytes[at..at + 4].fill(0);
            let before = crc32c(&bytes);
            bytes[at..at + 4].copy_from_slice(&new);
            prop_assert_eq!(before ^ crc32c_change(new, behind), crc32c(&bytes));
        }
    }
}
