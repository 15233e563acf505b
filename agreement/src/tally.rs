//! Who agreed with whom, how often.

use std::collections::BTreeMap;
use std::fmt;

/// Who tells a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Teller {
    /// The model's prediction.
    Prediction,
    /// A trace on the simulated network.
    Simulation,
    /// A trace injected on real switches.
    Injection,
    /// `ofproto/trace` on every node of the path.
    Tables,
    /// A real packet between real Pods.
    Traffic,
}

impl Teller {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Prediction,
        Self::Simulation,
        Self::Injection,
        Self::Tables,
        Self::Traffic,
    ];
}

impl fmt::Display for Teller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prediction => "prediction",
            Self::Simulation => "simulated trace",
            Self::Injection => "injected trace",
            Self::Tables => "ofproto/trace",
            Self::Traffic => "real traffic",
        })
    }
}

/// How two tellers compare about one packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// They tell the same.
    Agree,
    /// One of them can't tell, for this reason.
    Skipped(&'static str),
    /// They don't tell the same.
    Disagree,
}

/// How often which two agreed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    pairs: BTreeMap<(Teller, Teller), Counts>,
    /// How the packets ended, in the prediction's words without names.
    ends: BTreeMap<String, usize>,
    /// Packets that were made and that nobody could be asked about, by reason.
    unasked: BTreeMap<String, usize>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Counts {
    agree: usize,
    skipped: BTreeMap<&'static str, usize>,
    disagree: usize,
}

impl Tally {
    /// Counts how two compared.
    pub fn count(&mut self, pair: (Teller, Teller), outcome: &Outcome) {
        let counts = self.pairs.entry(pair).or_default();
        match outcome {
            Outcome::Agree => counts.agree += 1,
            Outcome::Skipped(reason) => *counts.skipped.entry(reason).or_default() += 1,
            Outcome::Disagree => counts.disagree += 1,
        }
    }

    /// Counts how a packet ended.
    pub fn count_end(&mut self, end: &str) {
        let kind = end.split_once(" by ").map_or(end, |(verb, _)| match verb {
            "dropped" => "dropped by a rule",
            "rejected" => "rejected by a rule",
            _ => end,
        });
        let kind = if kind.starts_with("to Pod ") { "to a Pod" } else { kind };
        *self.ends.entry(kind.to_owned()).or_default() += 1;
    }

    /// Counts a packet that nobody could be asked about.
    pub fn count_unasked(&mut self, reason: String) {
        *self.unasked.entry(reason).or_default() += 1;
    }

    /// How many comparisons found two stories.
    pub fn disagreements(&self) -> usize {
        self.pairs.values().map(|counts| counts.disagree).sum()
    }

    /// How many comparisons of these two found one story.
    pub fn agreements(&self, pair: (Teller, Teller)) -> usize {
        self.pairs.get(&pair).map_or(0, |counts| counts.agree)
    }

    /// How many packets ended so.
    pub fn ended(&self, kind: &str) -> usize {
        self.ends.get(kind).copied().unwrap_or_default()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<34} {:>8} {:>8} {:>8} {:>8}",
            "tellers", "compared", "agree", "skipped", "disagree"
        )?;
        for ((one, other), counts) in &self.pairs {
            let skipped: usize = counts.skipped.values().sum();
            let pair = format!("{one}, {other}");
            let compared = counts.agree + counts.disagree;
            writeln!(
                f,
                "{pair:<34} {compared:>8} {:>8} {skipped:>8} {:>8}",
                counts.agree, counts.disagree
            )?;
            for (reason, count) in &counts.skipped {
                writeln!(f, "    skipped {count}: {reason}")?;
            }
        }
        writeln!(f, "how the packets ended:")?;
        for (end, count) in &self.ends {
            writeln!(f, "    {count:>6} {end}")?;
        }
        for (reason, count) in &self.unasked {
            writeln!(f, "nobody could be asked about {count}: {reason}")?;
        }
        Ok(())
    }
}
