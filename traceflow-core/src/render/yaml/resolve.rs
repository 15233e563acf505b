//! Which texts a reader would take for something else than a string.

/// Whether a plain scalar of this text would be read as null, bool, number, timestamp or merge key by YAML 1.1's rules.
/// Readers differ in odd spellings such as `nULL`: here, unlike in go-yaml, they count.
pub(super) fn is_read_as_another_type(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "", "~", "null", "true", "false", "y", "n", "yes", "no", "on", "off", "<<",
    ];
    let lower = text.to_ascii_lowercase();
    WORDS.contains(&lower.as_str()) || is_number(&lower) || is_sexagesimal(text) || is_timestamp(text)
}

fn is_number(lower: &str) -> bool {
    let unsigned = lower.strip_prefix(['+', '-']).unwrap_or(lower);
    if matches!(unsigned, ".inf" | ".nan") {
        return true;
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return false;
    }
    let plain = unsigned.replace('_', "");
    let of_radix = |prefix: &str, radix: u32| {
        plain
            .strip_prefix(prefix)
            .is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix)))
    };
    if of_radix("0x", 16) || of_radix("0o", 8) || of_radix("0b", 2) {
        return true;
    }
    let (mantissa, exponent) = plain.split_once('e').unwrap_or((&plain, "0"));
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    digits(whole)
        && digits(fraction)
        && !(whole.is_empty() && fraction.is_empty())
        && !exponent.is_empty()
        && digits(exponent)
}

/// YAML 1.1's base 60 numbers, such as `12:30`.
fn is_sexagesimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut parts = whole.split(':');
    let first = parts.next().unwrap_or_default();
    let rest: Vec<&str> = parts.collect();
    let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit() || c == '_');
    let below_60 = |part: &&str| match part.as_bytes() {
        [ones] => ones.is_ascii_digit(),
        [tens, ones] => (b'0'..b'6').contains(tens) && ones.is_ascii_digit(),
        _ => false,
    };
    first.starts_with(|c: char| c.is_ascii_digit())
        && digits(first)
        && digits(fraction)
        && !rest.is_empty()
        && rest.iter().all(below_60)
}

/// A date, or a date with a time behind `T`, `t` or a space.
fn is_timestamp(text: &str) -> bool {
    let mut numbers = text.splitn(3, '-');
    let (Some(year), Some(month), Some(rest)) = (numbers.next(), numbers.next(), numbers.next()) else {
        return false;
    };
    let digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    let (day, time) = rest.split_once(['T', 't', ' ']).unwrap_or((rest, "0"));
    let time_follows = time
        .trim_start_matches([' ', '\t'])
        .starts_with(|c: char| c.is_ascii_digit());
    year.len() == 4
        && digits(year)
        && month.len() <= 2
        && digits(month)
        && day.len() <= 2
        && digits(day)
        && time_follows
}
