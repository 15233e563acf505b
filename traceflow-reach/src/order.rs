//! The order in which people count: `web-2` before `web-10`.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::str::Chars;

use traceflow_core::names::ObjectName;

/// Compares runs of digits as numbers and everything else as text. Texts that count the same (`1` and `01`) are in the order
/// of text, so that only equal ones are equal.
pub(crate) fn natural(one: &str, other: &str) -> Ordering {
    let (mut ones, mut others) = (one.chars().peekable(), other.chars().peekable());
    loop {
        let by_now = match (ones.peek(), others.peek()) {
            (None, None) => return one.cmp(other),
            (Some(a), Some(b)) if a.is_ascii_digit() && b.is_ascii_digit() => {
                let (a, b) = (number(&mut ones), number(&mut others));
                a.len().cmp(&b.len()).then_with(|| a.cmp(&b))
            }
            _ => ones.next().cmp(&others.next()),
        };
        if by_now != Ordering::Equal {
            return by_now;
        }
    }
}

/// By namespace, then by name.
pub(crate) fn by_name(one: &ObjectName, other: &ObjectName) -> Ordering {
    natural(&one.namespace, &other.namespace).then_with(|| natural(&one.name, &other.name))
}

/// The digits that follow, without zeros in front.
fn number(text: &mut Peekable<Chars<'_>>) -> String {
    let mut digits = String::new();
    while let Some(digit) = text.next_if(char::is_ascii_digit) {
        if digit != '0' || !digits.is_empty() {
            digits.push(digit);
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_names_are_counted() {
        let mut names = [
            "web-10",
            "web-9",
            "db",
            "web-1",
            "web",
            "web-01",
            "web-1-b",
            "web-99999999999999999999",
        ];
        names.sort_by(|one, other| natural(one, other));
        assert_eq!(
            names,
            [
                "db",
                "web",
                "web-01",
                "web-1",
                "web-1-b",
                "web-9",
                "web-10",
                "web-99999999999999999999"
            ]
        );
    }

    proptest::proptest! {
        #[test]
        fn it_is_an_order(mut names in proptest::collection::vec("[a01-]{0,5}", 3)) {
            names.sort_by(|one, other| natural(one, other));
            for pair in names.windows(2) {
                proptest::prop_assert_ne!(natural(&pair[0], &pair[1]), Ordering::Greater);
                proptest::prop_assert_eq!(natural(&pair[0], &pair[1]), natural(&pair[1], &pair[0]).reverse());
            }
            proptest::prop_assert_ne!(natural(&names[0], &names[2]), Ordering::Greater);
        }
    }
}
