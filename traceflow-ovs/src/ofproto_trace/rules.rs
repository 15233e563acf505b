//! Names for the rule numbers in a trace.

use traceflow_openflow::field::{Field, Subfield};

use super::{Found, Line, LineKind, Trace, Visit};
use crate::directory::{Directory, Rule};
use crate::layout::Registers;

impl Trace {
    /// The same trace with a line under each rule number that is matched as a conjunction or written into one of the
    /// pipeline's registers for it: which policy's it is, as far as `directory` knows.
    #[must_use]
    pub fn with_rules(mut self, registers: &Registers, directory: &dyn Directory) -> Self {
        for visit in self.passes.iter_mut().flat_map(|pass| &mut pass.visits) {
            let numbers = numbers(visit, registers);
            let named = numbers
                .iter()
                .filter_map(|&number| Some(line(number, &directory.rule(number)?)));
            let named: Vec<_> = named.collect();
            visit.lines.extend(named);
        }
        self
    }
}

fn line(number: u32, rule: &Rule) -> Line {
    let name = rule.name.as_ref().map(|name| format!(", rule {name}"));
    Line {
        kind: LineKind::Detail,
        depth: 0,
        text: format!("rule {number} is of {}{}", rule.policy, name.unwrap_or_default()),
    }
}

/// Each once.
fn numbers(visit: &Visit, registers: &Registers) -> Vec<u32> {
    let mut numbers = Vec::new();
    if let Found::Flow { match_text, .. } = &visit.found {
        numbers.extend(
            match_text
                .split(',')
                .filter_map(|part| number(part.strip_prefix("conj_id=")?)),
        );
    }
    let holders: Vec<Subfield> = [registers.egress_rule, registers.ingress_rule, registers.denying_rule]
        .into_iter()
        .flatten()
        .collect();
    let actions = visit.lines.iter().filter(|line| line.kind == LineKind::Action);
    for written in actions.filter_map(|line| written(&line.text, &holders)) {
        if !numbers.contains(&written) {
            numbers.push(written);
        }
    }
    numbers
}

/// `set_field:0x2->reg6`, or `load:0x2->NXM_NX_REG6[]`.
fn written(action: &str, holders: &[Subfield]) -> Option<u32> {
    let (value, place) = action
        .strip_prefix("set_field:")
        .or_else(|| action.strip_prefix("load:"))?
        .split_once("->")?;
    let register = place.strip_prefix("reg").or_else(|| place.strip_prefix("NXM_NX_REG"))?;
    let register: u8 = register.strip_suffix("[]").unwrap_or(register).parse().ok()?;
    let holds = |holder: &Subfield| (0..16).contains(&register) && holder.field == Field::register(register);
    holders.iter().any(holds).then(|| number(value))?
}

fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::Antrea;

    #[test]
    fn a_number_is_found_where_a_rule_has_its_place() {
        let registers = Antrea::default().description().registers;
        let numbers = |text: &str| numbers(&Trace::read(text).passes[0].visits[0], &registers);
        let within = |lines: &str| numbers(&format!("Flow: ip\n\nbridge(\"b\")\n-----------\n{lines}"));
        let both =
            " 7. conj_id=2,ip, priority 190, cookie 0x1\n    set_field:0x2->reg6\n    load:0x11->NXM_NX_REG5[]\n";
        assert_eq!(within(both), [2, 17]);
        let others =
            " 7. ip, priority 190, cookie 0x1\n    set_field:0x2->reg7\n    set_field:0x1/0x1->reg5\n    drop\n";
        assert_eq!(within(others), [0; 0]);
    }
}
