//! Messages of a real switch and a real ovs-ofctl.

const CAPTURES: [&str; 2] = [
    include_str!("../golden/openflow15.txt"),
    include_str!("../golden/openflow13.txt"),
];

/// What ovs-ofctl says that each is, and its bytes.
pub(crate) fn described() -> impl Iterator<Item = (String, Vec<u8>)> {
    let mut what = "";
    CAPTURES
        .iter()
        .flat_map(|text| text.lines())
        .filter(|line| !line.is_empty())
        .filter_map(move |line| match line.strip_prefix("# ") {
            Some(comment) => {
                let said = comment.strip_prefix("> ").or_else(|| comment.strip_prefix("< "));
                what = said.unwrap_or(what);
                None
            }
            None => Some((what.to_owned(), bytes(line))),
        })
}

fn bytes(digits: &str) -> Vec<u8> {
    let digits: Vec<u32> = digits.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits
        .chunks_exact(2)
        .map(|pair| (pair[0] << 4 | pair[1]) as u8)
        .collect()
}
