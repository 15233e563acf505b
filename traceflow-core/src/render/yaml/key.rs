//! The order of a mapping's keys.

/// What a key is sorted by. Numbers in it count by their value, letters come behind all else: go-yaml's order, as far as
/// that is one (it goes in a circle for `9`, `10` and `1a`).
pub(super) fn sort_key(key: &str) -> Vec<KeyPart> {
    let mut parts = Vec::new();
    let mut characters = key.chars().peekable();
    while let Some(character) = characters.next() {
        parts.push(match character.to_digit(10) {
            Some(digit) => {
                let (mut value, mut length) = (u64::from(digit), 1);
                while let Some(digit) = characters.peek().and_then(|next| next.to_digit(10)) {
                    value = value.saturating_mul(10).saturating_add(digit.into());
                    length += 1;
                    characters.next();
                }
                KeyPart::Number(value, length)
            }
            None if character.is_alphabetic() => KeyPart::Letter(character),
            None => KeyPart::Other(character),
        });
    }
    parts
}

/// A piece of a key, in the order of their kinds.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyPart {
    Other(char),
    /// Its value and its number of digits.
    Number(u64, usize),
    Letter(char),
}
