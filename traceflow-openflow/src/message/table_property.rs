//! What a table can match and do, as text. The properties themselves stay as they came: there are thousands of them.

use std::fmt;

use crate::field::{Field, Header};
use crate::instruction::Kind as InstructionKind;
use crate::wire::{DecodeError, Property, Reader, codes};

/// A property of table features, taken apart if it is known and whole.
pub(super) struct TableProperty<'a>(pub(super) &'a Property);

codes! {
    /// `ofp_table_feature_prop_type`
    Kind: u16 {
        /// OFPTFPT_INSTRUCTIONS
        Instructions = 0 "instructions",
        /// OFPTFPT_INSTRUCTIONS_MISS
        InstructionsMiss = 1 "instructions (table miss)",
        /// OFPTFPT_NEXT_TABLES
        NextTables = 2 "next tables",
        /// OFPTFPT_NEXT_TABLES_MISS
        NextTablesMiss = 3 "next tables (table miss)",
        /// OFPTFPT_WRITE_ACTIONS
        WriteActions = 4 "write-actions",
        /// OFPTFPT_WRITE_ACTIONS_MISS
        WriteActionsMiss = 5 "write-actions (table miss)",
        /// OFPTFPT_APPLY_ACTIONS
        ApplyActions = 6 "apply-actions",
        /// OFPTFPT_APPLY_ACTIONS_MISS
        ApplyActionsMiss = 7 "apply-actions (table miss)",
        /// OFPTFPT_MATCH
        Match = 8 "match",
        /// OFPTFPT_WILDCARDS
        Wildcards = 10 "may be left out of the match",
        /// OFPTFPT_WRITE_SETFIELD
        WriteSetField = 12 "set-field in write-actions",
        /// OFPTFPT_WRITE_SETFIELD_MISS
        WriteSetFieldMiss = 13 "set-field in write-actions (table miss)",
        /// OFPTFPT_APPLY_SETFIELD
        ApplySetField = 14 "set-field in apply-actions",
        /// OFPTFPT_APPLY_SETFIELD_MISS
        ApplySetFieldMiss = 15 "set-field in apply-actions (table miss)",
        /// OFPTFPT_WRITE_COPYFIELD
        WriteCopyField = 18 "copy-field in write-actions",
        /// OFPTFPT_WRITE_COPYFIELD_MISS
        WriteCopyFieldMiss = 19 "copy-field in write-actions (table miss)",
        /// OFPTFPT_APPLY_COPYFIELD
        ApplyCopyField = 20 "copy-field in apply-actions",
        /// OFPTFPT_APPLY_COPYFIELD_MISS
        ApplyCopyFieldMiss = 21 "copy-field in apply-actions (table miss)",
    }
}

codes! {
    /// `ofp_action_type`
    ActionKind: u16 {
        /// OFPAT_OUTPUT
        Output = 0 "output",
        /// OFPAT_COPY_TTL_OUT
        CopyTtlOut = 11 "copy_ttl_out",
        /// OFPAT_COPY_TTL_IN
        CopyTtlIn = 12 "copy_ttl_in",
        /// OFPAT_SET_MPLS_TTL
        SetMplsTtl = 15 "set_mpls_ttl",
        /// OFPAT_DEC_MPLS_TTL
        DecMplsTtl = 16 "dec_mpls_ttl",
        /// OFPAT_PUSH_VLAN
        PushVlan = 17 "push_vlan",
        /// OFPAT_POP_VLAN
        PopVlan = 18 "pop_vlan",
        /// OFPAT_PUSH_MPLS
        PushMpls = 19 "push_mpls",
        /// OFPAT_POP_MPLS
        PopMpls = 20 "pop_mpls",
        /// OFPAT_SET_QUEUE
        SetQueue = 21 "set_queue",
        /// OFPAT_GROUP
        Group = 22 "group",
        /// OFPAT_SET_NW_TTL
        SetTtl = 23 "mod_nw_ttl",
        /// OFPAT_DEC_NW_TTL
        DecTtl = 24 "dec_ttl",
        /// OFPAT_SET_FIELD
        SetField = 25 "set_field",
        /// OFPAT_COPY_FIELD
        CopyField = 28 "move",
        /// OFPAT_METER
        Meter = 29 "meter",
    }
}

impl fmt::Display for TableProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match words(self.0) {
            Ok(Some(words)) => write!(f, "{}: {}", Kind::from(self.0.kind), words.join(" ")),
            _ => write!(f, "{}", self.0),
        }
    }
}

/// None for a property that is not known.
fn words(property: &Property) -> Result<Option<Vec<String>>, DecodeError> {
    let body = Reader::new(&property.body);
    let words = match Kind::from(property.kind) {
        Kind::Instructions | Kind::InstructionsMiss => typed(body, |number| InstructionKind::from(number).to_string())?,
        Kind::WriteActions | Kind::WriteActionsMiss | Kind::ApplyActions | Kind::ApplyActionsMiss => {
            typed(body, |number| ActionKind::from(number).to_string())?
        }
        Kind::NextTables | Kind::NextTablesMiss => ranges(&property.body),
        Kind::Other(_) => return Ok(None),
        _ => fields(body)?.iter().map(ToString::to_string).collect(),
    };
    Ok(Some(words))
}

/// The names of types, each with a length that counts what an experimenter adds.
fn typed(mut body: Reader<'_>, name: impl Fn(u16) -> String) -> Result<Vec<String>, DecodeError> {
    let mut names = Vec::new();
    while !body.is_empty() {
        let kind = body.u16("type")?;
        let length = body.u16("length of a type")?;
        body.body(length, 4, "type")?;
        names.push(name(kind));
    }
    Ok(names)
}

fn fields(mut body: Reader<'_>) -> Result<Vec<Field>, DecodeError> {
    let mut fields = Vec::new();
    while !body.is_empty() {
        fields.push(Header::decode(&mut body)?.field);
    }
    Ok(fields)
}

/// `1-253`, or numbers one by one where they don't follow each other.
fn ranges(tables: &[u8]) -> Vec<String> {
    let follows = |a: &u8, b: &u8| a.checked_add(1) == Some(*b);
    tables
        .chunk_by(follows)
        .map(|run| match run {
            [first, .., last] => format!("{first}-{last}"),
            run => run.iter().map(ToString::to_string).collect(),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(kind: u16, body: &str) -> String {
        let body = crate::testing::hex(body);
        TableProperty(&Property { kind, body }).to_string()
    }

    #[test]
    fn what_a_table_can_is_told_by_name() {
        assert_eq!(text(0, "0001000400040004"), "instructions: goto_table apply_actions");
        assert_eq!(text(2, "0102030709"), "next tables: 1-3 7 9");
        assert_eq!(text(6, "00000004 ffff0008 00002320"), "apply-actions: output 65535");
        assert_eq!(text(8, "80000004 ffff0208 00002320"), "match: in_port OXM_CLASS_FFFF_1");
    }

    #[test]
    fn what_is_cut_or_unknown_is_shown_raw() {
        assert_eq!(text(0, "00010009"), "property 0, 4 bytes: 00010009");
        assert_eq!(text(99, "0102"), "property 99, 2 bytes: 0102");
    }
}
