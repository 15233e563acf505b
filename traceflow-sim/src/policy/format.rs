//! What labels and port names may look like.

/// What [`is_label_key`] asks for, as messages say it.
pub(super) const LABEL_KEY: &str = "a label key: at most 63 letters, digits, '-', '_' and '.', with a letter or digit \
                                    at both ends, perhaps after a DNS name and '/'";

/// What [`is_label_value`] asks for, as messages say it.
pub(super) const LABEL_VALUE: &str =
    "a label value: at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";

/// What [`is_port_name`] asks for, as messages say it.
pub(super) const PORT_NAME: &str = "a port name: at most 15 lower-case letters, digits and single '-' between them, \
                                    with at least one letter";

/// Whether it can be a label's key, a "qualified name" in the words of Kubernetes.
pub(super) fn is_label_key(text: &str) -> bool {
    match text.split_once('/') {
        Some((prefix, name)) => is_dns_subdomain(prefix) && is_qualified_name_part(name),
        None => is_qualified_name_part(text),
    }
}

/// Whether it can be a label's value.
pub(super) fn is_label_value(text: &str) -> bool {
    text.is_empty() || is_qualified_name_part(text)
}

/// Whether it can be a port's name (RFC 6335, section 5.1, in lower case).
pub(super) fn is_port_name(text: &str) -> bool {
    (1..=15).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && text.bytes().any(|b| b.is_ascii_lowercase())
        && !text.contains("--")
        && ends_alphanumeric(text)
}

fn is_qualified_name_part(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        && ends_alphanumeric(text)
}

/// RFC 1123 labels, in lower case, with dots between them.
fn is_dns_subdomain(text: &str) -> bool {
    (1..=253).contains(&text.len())
        && text.split('.').all(|label| {
            ends_alphanumeric(label)
                && label
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        })
}

/// Whether both ends are a letter or digit; never if there is nothing.
fn ends_alphanumeric(text: &str) -> bool {
    let is_alphanumeric = |end: Option<char>| end.is_some_and(|c| c.is_ascii_alphanumeric());
    is_alphanumeric(text.chars().next()) && is_alphanumeric(text.chars().next_back())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_key_is_a_name_with_an_optional_dns_prefix() {
        let longest = "a".repeat(63);
        for good in ["app", "A_b.c-9", "kubernetes.io/metadata.name", "x-y.z/App", &longest] {
            assert!(is_label_key(good), "{good}");
        }
        let too_long = "a".repeat(64);
        let long_prefix = format!("{}/a", "a.".repeat(127));
        for bad in [
            "",
            "-a",
            "a-",
            ".a",
            "a b",
            "ä",
            "/a",
            "a/",
            "a/b/c",
            "A.io/x",
            "a..b/x",
            "a_b/x",
            &too_long,
            &long_prefix,
        ] {
            assert!(!is_label_key(bad), "{bad}");
        }
    }

    #[test]
    fn a_label_value_is_a_name_or_empty() {
        for good in ["", "1", "Web_1.2-x"] {
            assert!(is_label_value(good), "{good}");
        }
        let too_long = "a".repeat(64);
        for bad in ["a/b", "-", "a.", "a b", &too_long] {
            assert!(!is_label_value(bad), "{bad}");
        }
    }

    #[test]
    fn a_port_name_is_short_lower_case_and_has_a_letter() {
        for good in ["http", "a", "1a", "a-1", "fifteen-letters"] {
            assert!(is_port_name(good), "{good}");
        }
        for bad in ["", "80", "Http", "-a", "a-", "a--b", "a_b", "sixteen-letters-"] {
            assert!(!is_port_name(bad), "{bad}");
        }
    }
}
