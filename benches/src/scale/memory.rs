//! What the system says that this process uses.

/// The memory of this process, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Memory {
    /// What it uses now.
    pub resident: u64,
    /// The most that it ever used.
    pub peak: u64,
}

impl Memory {
    /// As Linux tells in `/proc/self/status`; `None` on other systems.
    pub fn now() -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        Some(Self {
            resident: kibibytes(&status, "VmRSS:")? * 1024,
            peak: kibibytes(&status, "VmHWM:")? * 1024,
        })
    }
}

fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_never_uses_more_than_its_peak() {
        let memory = Memory::now().unwrap();
        assert!(memory.resident > 0 && memory.resident <= memory.peak, "{memory:?}");
    }
}
