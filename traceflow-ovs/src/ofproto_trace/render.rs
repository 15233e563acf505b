//! A trace as a table for people.

use std::fmt::Write;

use super::{Caveat, Ending, Found, Line, LineKind, Pass, Recirculation, Trace, Visit};

impl Trace {
    /// One row per table that the packet came to, then where it ends. No line is longer than `width` characters, or
    /// than the little that a row needs.
    ///
    /// `name` tells a table's name from its bridge and number: `ofproto/trace` doesn't print it.
    pub fn table(&self, width: usize, name: impl Fn(&str, u8) -> Option<String>) -> String {
        let rows: Vec<Vec<Row>> = self.passes.iter().map(|pass| rows(pass, &name)).collect();
        let mut sheet = Sheet {
            text: String::new(),
            columns: Columns::fit(rows.iter().flatten(), width),
            bridge: String::new(),
        };
        if let Some(pass) = self.passes.first() {
            sheet.paragraph(&format!("packet {}", printable(&pass.flow)));
        }
        sheet.cells([TABLE, PRIORITY, COOKIE, MATCH, ACTIONS]);
        let ending = self.ending();
        for (index, (pass, rows)) in self.passes.iter().zip(&rows).enumerate() {
            let dropping = match ending {
                Ending::Dropped { pass, visit } if pass == index => visit,
                _ => None,
            };
            sheet.pass(pass, rows, dropping);
        }
        self.remarks.iter().for_each(|remark| sheet.note(remark));
        sheet.text.push('\n');
        sheet.paragraph(&self.conclusion(&rows, ending));
        self.caveats()
            .into_iter()
            .for_each(|caveat| sheet.paragraph(warning(caveat)));
        sheet.text
    }

    fn conclusion(&self, rows: &[Vec<Row>], ending: Ending) -> String {
        match ending {
            Ending::Sent => "SENT".to_owned(),
            Ending::Unknown => "END NOT KNOWN".to_owned(),
            Ending::Dropped { visit: None, .. } => "DROPPED before any table".to_owned(),
            Ending::Dropped {
                pass,
                visit: Some(visit),
            } => {
                let row = &rows[pass][visit];
                let found = match &self.passes[pass].visits[visit].found {
                    Found::Flow { .. } if row.cookie == NO_COOKIE => {
                        format!("priority {}: {}", row.priority, row.found)
                    }
                    Found::Flow { .. } => format!("priority {}, cookie {}: {}", row.priority, row.cookie, row.found),
                    Found::Nothing | Found::Other(_) => row.found.clone(),
                };
                format!("DROPPED in table {} of {}, {found}", row.table.trim_start(), row.bridge)
            }
        }
    }
}

/// What the columns show of one visit.
struct Row {
    bridge: String,
    table: String,
    priority: String,
    cookie: String,
    found: String,
    /// Lines of the last column.
    actions: Vec<String>,
}

fn rows(pass: &Pass, name: impl Fn(&str, u8) -> Option<String>) -> Vec<Row> {
    pass.visits.iter().map(|visit| row(visit, &name)).collect()
}

fn row(visit: &Visit, name: impl Fn(&str, u8) -> Option<String>) -> Row {
    let (priority, cookie, found) = match &visit.found {
        Found::Flow {
            match_text,
            priority,
            cookie,
        } => {
            let cookie = if *cookie == 0 {
                NO_COOKIE.to_owned()
            } else {
                format!("{cookie:#x}")
            };
            let found = if match_text.is_empty() { "(any)" } else { match_text };
            (priority.to_string(), cookie, found)
        }
        Found::Nothing => (String::new(), String::new(), "(no match)"),
        Found::Other(text) => (String::new(), String::new(), text.as_str()),
    };
    Row {
        bridge: printable(&visit.bridge),
        table: table(visit, name),
        priority,
        cookie,
        found: printable(found),
        actions: actions(&visit.lines),
    }
}

fn table(visit: &Visit, name: impl Fn(&str, u8) -> Option<String>) -> String {
    let indentation = "  ".repeat(visit.depth.min(DEEPEST));
    let Some(number) = visit.table else {
        return format!("{indentation} -- action set");
    };
    match name(&visit.bridge, number) {
        Some(name) => format!("{indentation}{number:>3} {}", printable(&name)),
        None => format!("{indentation}{number:>3}"),
    }
}

/// Actions side by side, what a bucket does on a line of its own, and what they came to below them.
fn actions(lines: &[Line]) -> Vec<String> {
    let mut text: Vec<String> = Vec::new();
    let mut connection = "";
    // Whether the last line of the text is one that actions can be added to, and how deep it is.
    let mut open = None;
    for line in lines {
        match line.kind {
            LineKind::Action if connection.contains(line.text.as_str()) => {}
            LineKind::Action => {
                let bucket = line.text.starts_with("bucket ");
                connection = if line.text.starts_with("ct(") { &line.text } else { "" };
                match text.last_mut() {
                    Some(last) if open == Some(line.depth) && !bucket => {
                        let _ = write!(last, ", {}", printable(&line.text));
                    }
                    _ => text.push(format!(
                        "{}{}",
                        "  ".repeat(line.depth.div_ceil(2).min(DEEPEST)),
                        printable(&line.text)
                    )),
                }
                open = (!bucket).then_some(line.depth);
            }
            LineKind::Detail if OBVIOUS.iter().any(|obvious| line.text.starts_with(obvious)) => {}
            LineKind::Detail => {
                text.push(format!("-> {}", printable(&line.text)));
                open = None;
            }
            LineKind::Warning | LineKind::Error => {
                text.push(format!("!! {}", printable(&line.text)));
                open = None;
            }
        }
    }
    text
}

/// Column widths.
struct Columns {
    table: usize,
    priority: usize,
    cookie: usize,
    found: usize,
    actions: usize,
    all: usize,
}

impl Columns {
    fn fit<'a>(rows: impl Iterator<Item = &'a Row> + Clone, width: usize) -> Self {
        let widest = |heading: &str, cell: fn(&Row) -> &str| {
            rows.clone()
                .map(|row| length(cell(row)))
                .chain([length(heading)])
                .max()
                .unwrap_or_default()
        };
        let table = widest(TABLE, |row| &row.table).min(WIDEST_TABLE);
        let priority = widest(PRIORITY, |row| &row.priority);
        let cookie = widest(COOKIE, |row| &row.cookie);
        let gaps = GAP.len() * 4;
        let rest = width.min(WIDEST).saturating_sub(table + priority + cookie + gaps);
        // The match takes what it needs, but leaves the larger part to the actions unless that would break an address.
        let condition = rows
            .clone()
            .flat_map(|row| row.found.split_inclusive(','))
            .map(length)
            .max()
            .unwrap_or_default();
        let share = (rest * 2 / 5).max(condition.min(rest / 2)).max(NARROWEST);
        let found = (widest(MATCH, |row| &row.found) + 1).min(share);
        let actions = rest.saturating_sub(found).max(NARROWEST);
        Self {
            table,
            priority,
            cookie,
            found,
            actions,
            all: table + priority + cookie + gaps + found + actions,
        }
    }
}

struct Sheet {
    text: String,
    columns: Columns,
    /// Whose tables the rows are at the moment.
    bridge: String,
}

impl Sheet {
    fn pass(&mut self, pass: &Pass, rows: &[Row], dropping: Option<usize>) {
        if let Some(recirculation) = &pass.recirculation {
            self.rule(&again(recirculation));
        }
        for (index, row) in rows.iter().enumerate() {
            self.row(row, dropping == Some(index));
        }
        for remark in &pass.remarks {
            if remark != "thaw" && !remark.starts_with("Resuming from table") {
                self.note(remark);
            }
        }
        if !pass.datapath_actions.is_empty() {
            self.paragraph(&format!("datapath {}", printable(&pass.datapath_actions)));
        }
    }

    fn row(&mut self, row: &Row, dropping: bool) {
        if row.bridge != self.bridge {
            row.bridge.clone_into(&mut self.bridge);
            self.paragraph(&format!("bridge {}", row.bridge));
        }
        let table = wrap(&row.table, self.columns.table);
        let found = wrap(&row.found, self.columns.found - 1);
        let mut actions: Vec<String> = Vec::new();
        for action in &row.actions {
            actions.extend(wrap(action, self.columns.actions - 1));
        }
        if dropping {
            actions.push("<=== DROPPED HERE".to_owned());
        }
        for index in 0..table.len().max(found.len()).max(actions.len()).max(1) {
            let cell = |lines: &[String]| lines.get(index).cloned().unwrap_or_default();
            let (priority, cookie) = if index == 0 {
                (row.priority.as_str(), row.cookie.as_str())
            } else {
                ("", "")
            };
            self.cells([&cell(&table), priority, cookie, &cell(&found), &cell(&actions)]);
        }
    }

    fn cells(&mut self, [table, priority, cookie, found, actions]: [&str; 5]) {
        let columns = &self.columns;
        let line = format!(
            "{table:<0$}{GAP}{priority:>1$}{GAP}{cookie:<2$}{GAP}{found:<3$}{GAP}{actions}",
            columns.table, columns.priority, columns.cookie, columns.found,
        );
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// `-- conntrack says new|trk ------`.
    fn rule(&mut self, title: &str) {
        let lines = wrap(title, self.columns.all.saturating_sub(6));
        for (index, line) in lines.iter().enumerate() {
            let start = if index == 0 { "--" } else { "  " };
            let _ = write!(self.text, "{start} {line}");
            if index + 1 == lines.len() {
                let dashes = self.columns.all.saturating_sub(length(line) + 4);
                let _ = write!(self.text, " {}", "-".repeat(dashes));
            }
            self.text.push('\n');
        }
    }

    fn note(&mut self, remark: &str) {
        self.paragraph(&format!("!! {}", printable(remark)));
    }

    fn paragraph(&mut self, text: &str) {
        for (index, line) in wrap(text, self.columns.all.saturating_sub(4)).iter().enumerate() {
            let start = if index == 0 { "" } else { "    " };
            let _ = writeln!(self.text, "{start}{line}");
        }
    }
}

fn again(recirculation: &Recirculation) -> String {
    let mut text = match &recirculation.conntrack_state {
        Some(state) => format!("conntrack says {}", printable(state)),
        None => "the packet comes back".to_owned(),
    };
    if recirculation.state_by_default {
        text.push_str(" (by default)");
    }
    if let Some((before, after)) = &recirculation.translation {
        let _ = write!(text, ", {} becomes {}", printable(before), printable(after));
    }
    for remark in &recirculation.remarks {
        let _ = write!(text, ", {}", printable(remark));
    }
    text
}

fn warning(caveat: Caveat) -> &'static str {
    match caveat {
        Caveat::AssumedConntrack => "note: what conntrack says was assumed, not looked up",
        Caveat::UnfollowedGroup => {
            "note: the datapath chooses the bucket of this group by a hash that the trace can't follow; a real packet goes on"
        }
        Caveat::ForgottenTunnel => {
            "note: the trace forgot at conntrack where the tunnel goes; a real packet isn't dropped there"
        }
        Caveat::UnfollowedRecirculation => "note: the packet comes back once more, but the trace doesn't follow",
    }
}

/// At spaces; a word that is too long at commas; what has none of both anywhere.
fn wrap(text: &str, width: usize) -> Vec<String> {
    let indentation: String = text.chars().take_while(|character| *character == ' ').collect();
    let indentation = if length(&indentation) < width {
        indentation
    } else {
        String::new()
    };
    let mut paper = Paper {
        lines: vec![indentation.clone()],
        indentation,
        width: width.max(1),
        used: 0,
    };
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        paper.word(word);
    }
    paper.lines
}

struct Paper {
    lines: Vec<String>,
    indentation: String,
    width: usize,
    /// Characters on the last line behind the indentation.
    used: usize,
}

impl Paper {
    fn word(&mut self, word: &str) {
        let gap = if self.used > 0 { " " } else { "" };
        let long = length(word.trim_end_matches(','));
        let fits_here = gap.len() + long <= self.room();
        if !fits_here && long <= self.width.saturating_sub(length(&self.indentation)) {
            self.begin_line();
            return self.put(word);
        }
        if self.room() > gap.len() {
            self.put(gap);
        }
        if fits_here {
            return self.put(word);
        }
        for piece in word.split_inclusive(',') {
            if length(piece.trim_end_matches(',')) > self.room() && self.used > 0 {
                self.begin_line();
            }
            for character in piece.chars() {
                // A comma may stand one character further to the right than anything else.
                if self.room() == 0 && character != ',' {
                    self.begin_line();
                }
                self.put(character.encode_utf8(&mut [0; 4]));
            }
        }
    }

    fn room(&self) -> usize {
        self.width.saturating_sub(length(&self.indentation) + self.used)
    }

    fn put(&mut self, text: &str) {
        self.used += length(text);
        if let Some(line) = self.lines.last_mut() {
            line.push_str(text);
        }
    }

    fn begin_line(&mut self) {
        if let Some(line) = self.lines.last_mut() {
            line.truncate(line.trim_end().len());
        }
        self.lines.push(self.indentation.clone());
        self.used = 0;
    }
}

/// Without characters that a terminal would obey.
fn printable(text: &str) -> String {
    text.chars()
        .map(|character| if character.is_control() { '\u{fffd}' } else { character })
        .collect()
}

fn length(text: &str) -> usize {
    text.chars().count()
}

const TABLE: &str = "TABLE";
const PRIORITY: &str = "PRIORITY";
const COOKIE: &str = "COOKIE";
const MATCH: &str = "MATCH";
const ACTIONS: &str = "ACTIONS";
const GAP: &str = "  ";
const NO_COOKIE: &str = "-";
/// Antrea's longest table name has 29 characters.
const WIDEST_TABLE: usize = 34;
const NARROWEST: usize = 16;
/// Nobody reads wider, and formatting has a limit of its own.
const WIDEST: usize = 1000;
const DEEPEST: usize = 4;
/// What the next pass says better.
const OBVIOUS: &[&str] = &[
    "A clone of the packet is forked to recirculate",
    "Sets the packet to an untracked state",
];

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn show(text: &str) -> String {
        let names = [
            (0, "Classifier"),
            (2, "SpoofGuard"),
            (12, "IngressRule"),
            (13, "IngressDefaultRule"),
            (15, "Output"),
        ];
        Trace::read(text).table(110, |bridge, number| {
            let name = names.iter().find(|(table, _)| bridge == "br-int" && *table == number);
            name.map(|(_, name)| (*name).to_owned())
        })
    }

    #[test]
    fn a_drop_is_pointed_out() {
        expect![[r#"
            packet tcp,reg10=0x7,in_port=pod1,vlan_tci=0x0000,dl_src=02:00:00:0a:01:0b,dl_dst=02:00:00:0a:01:0c,
                nw_src=10.10.1.11,nw_dst=10.10.1.12,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=44000,tp_dst=9090,
                tcp_flags=syn
            TABLE                     PRIORITY  COOKIE              MATCH                      ACTIONS
            bridge br-int
              0 Classifier                 190  0x1002              in_port=pod1               set_field:0x3/0xf->reg0,
                                                                                               resubmit(,2)
              2 SpoofGuard                 200  0x1021              ip,in_port=pod1,           resubmit(,3)
                                                                    dl_src=02:00:00:0a:01:0b,
                                                                    nw_src=10.10.1.11
              3                            200  0x1030              ip                         ct(table=4,zone=65520,nat)
            datapath ct(zone=65520,nat),recirc(0x1b)
            -- conntrack says trk|new (by default) -----------------------------------------------------------------------
              4                              0  -                   (any)                      resubmit(,5)
              5                              0  -                   (any)                      resubmit(,6)
              6                              0  -                   (any)                      resubmit(,7)
              7                              0  -                   (any)                      resubmit(,8)
              8                              0  -                   (any)                      resubmit(,9)
              9                              0  -                   (any)                      resubmit(,11)
             11                            200  -                   dl_dst=02:00:00:0a:01:0c   set_field:0x4->reg1,
                                                                                               set_field:0x100/0x100->reg
                                                                                               0, resubmit(,12)
             12 IngressRule                  0  -                   (any)                      resubmit(,13)
             13 IngressDefaultRule       40000  0x7466000000000001  ip,reg10=0x7,reg11=0/0x1   set_field:0x1/0x1->reg11,
                                                                                               resubmit(,13),
                                                                                               controller(max_len=128,
                                                                                               id=29798,userdata=01.0d)
               13 IngressDefaultRule       200  0x10d0              ip,reg1=0x4                drop
                                                                                               <=== DROPPED HERE
            datapath userspace(pid=0,controller(reason=1,dont_send=1,continuation=0,recirc_id=28,
                rule_cookie=0x7466000000000001,controller_id=29798,max_len=128))

            DROPPED in table 13 IngressDefaultRule of br-int, priority 200, cookie 0x10d0: ip,reg1=0x4
            note: what conntrack says was assumed, not looked up
        "#]].assert_eq(&show(include_str!("../../tests/traces/watched_drop.txt")));
    }

    #[test]
    fn a_service_goes_through_its_group_and_the_tunnel() {
        expect![[r#"
            packet tcp,in_port=pod1,vlan_tci=0x0000,dl_src=02:00:00:0a:01:0b,dl_dst=02:00:00:0a:01:01,
                nw_src=10.10.1.11,nw_dst=10.96.0.10,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=44000,tp_dst=80,
                tcp_flags=syn
            TABLE           PRIORITY  COOKIE  MATCH                          ACTIONS
            bridge br-int
              0 Classifier       190  0x1002  in_port=pod1                   set_field:0x3/0xf->reg0, resubmit(,2)
              2 SpoofGuard       200  0x1021  ip,in_port=pod1,               resubmit(,3)
                                              dl_src=02:00:00:0a:01:0b,
                                              nw_src=10.10.1.11
              3                  200  0x1030  ip                             ct(table=4,zone=65520,nat)
            datapath ct(zone=65520,nat),recirc(0x19)
            -- conntrack says new|trk ------------------------------------------------------------------------------------
              4                    0  -       (any)                          resubmit(,5)
              5                  200  0x1050  ct_state=+new+trk,tcp,         set_field:0x200/0x200->reg0,
                                              nw_dst=10.96.0.10,tp_dst=80    set_field:0x10000/0x70000->reg4,
                                                                             set_field:0x1->reg7, group:1
                                                                             -> bucket 0: score 4723500
                                                                             -> bucket 1: score 4445400
                                                                             -> using bucket 0
                                                                             bucket 0
                                                                               set_field:0xa0a020b->reg3,
                                                                               set_field:0x1f90/0xffff->reg4,
                                                                               resubmit(,6)
                6                200  0x1060  tcp,reg3=0xa0a020b,            ct(commit,table=7,zone=65520,
                                              reg4=0x11f90/0x7ffff           nat(dst=10.10.2.11:8080),
                                                                             exec(set_field:0x10/0x10->ct_mark))
            datapath ct(commit,zone=65520,mark=0x10/0x10,nat(dst=10.10.2.11:8080)),recirc(0x1a)
            -- conntrack says new|trk|dnat, nw_src=10.10.1.11,tp_src=44000,nw_dst=10.96.0.10,tp_dst=80 becomes
               nw_src=10.10.1.11,tp_src=44000,nw_dst=10.10.2.11,tp_dst=8080 ----------------------------------------------
              7                    0  -       (any)                          resubmit(,8)
              8                    0  -       (any)                          resubmit(,9)
              9                  200  0x1092  ip,nw_dst=10.10.2.0/24         set_field:02:00:00:0a:01:01->eth_src,
                                                                             set_field:aa:bb:cc:dd:ee:ff->eth_dst,
                                                                             set_field:192.168.77.2->tun_dst,
                                                                             resubmit(,10)
             10                  200  -       ip                             dec_ttl, resubmit(,11)
             11                  200  -       dl_dst=aa:bb:cc:dd:ee:ff       set_field:0x1->reg1,
                                                                             set_field:0x100/0x100->reg0, resubmit(,14)
             14                    0  -       (any)                          resubmit(,15)
             15 Output           200  0x10f0  reg0=0x100/0x100               output:NXM_NX_REG1[]
                                                                             -> output port is 1
                                                                             -> output to native tunnel
                                                                             -> tunneling to 192.168.77.2 via br-phy
                                                                             -> tunneling from 02:00:00:77:00:01
                                                                             192.168.77.1 to 02:00:00:77:00:02
                                                                             192.168.77.2
            bridge br-phy
              0                    0  -       (any)                          NORMAL
                                                                             -> no learned MAC for destination, flooding
            datapath set(eth(src=02:00:00:0a:01:01,dst=aa:bb:cc:dd:ee:ff)),set(ipv4(ttl=63)),
                tnl_push(tnl_port(genev_sys_6081),header(size=50,type=5,eth(dst=02:00:00:77:00:02,src=02:00:00:77:00:01,
                dl_type=0x0800),ipv4(src=192.168.77.1,dst=192.168.77.2,proto=17,tos=0,ttl=64,frag=0x4000),udp(src=0,
                dst=6081,csum=0x0),geneve(vni=0x0)),out_port(br-phy)),ul0

            SENT
            note: what conntrack says was assumed, not looked up
        "#]].assert_eq(&show(include_str!("../../tests/traces/service.txt")));
    }

    #[test]
    fn what_is_no_drop_is_not_called_one() {
        expect![[r#"
            packet tcp,in_port=pod1,vlan_tci=0x0000,dl_src=02:00:00:0a:01:0b,dl_dst=02:00:00:0a:01:01,
                nw_src=10.10.1.11,nw_dst=10.10.2.11,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=44000,tp_dst=8080,
                tcp_flags=syn
            TABLE           PRIORITY  COOKIE  MATCH                          ACTIONS
            bridge br-int
              0 Classifier       190  0x1002  in_port=pod1                   set_field:0x3/0xf->reg0, resubmit(,2)
              2 SpoofGuard       200  0x1021  ip,in_port=pod1,               resubmit(,3)
                                              dl_src=02:00:00:0a:01:0b,
                                              nw_src=10.10.1.11
              3                  200  0x1030  ip                             ct(table=4,zone=65520,nat)
            datapath ct(zone=65520,nat),recirc(0x17)
            -- conntrack says trk|new (by default) -----------------------------------------------------------------------
              4                    0  -       (any)                          resubmit(,5)
              5                    0  -       (any)                          resubmit(,6)
              6                    0  -       (any)                          resubmit(,7)
              7                    0  -       (any)                          resubmit(,8)
              8                    0  -       (any)                          resubmit(,9)
              9                  200  0x1092  ip,nw_dst=10.10.2.0/24         set_field:02:00:00:0a:01:01->eth_src,
                                                                             set_field:aa:bb:cc:dd:ee:ff->eth_dst,
                                                                             set_field:192.168.77.2->tun_dst,
                                                                             resubmit(,10)
             10                  200  -       ip                             dec_ttl, resubmit(,11)
             11                  200  -       dl_dst=aa:bb:cc:dd:ee:ff       set_field:0x1->reg1,
                                                                             set_field:0x100/0x100->reg0, resubmit(,14)
             14                  200  -       ct_state=+new+trk,             ct(commit,table=15,zone=65520,
                                              ct_mark=0/0x10,ip              exec(move:NXM_NX_REG0[0..3]->NXM_NX_CT_MARK[
                                                                             0..3]))
                                                                             -> NXM_NX_CT_MARK[0..3] is now 0x3
            datapath set(eth(src=02:00:00:0a:01:01,dst=aa:bb:cc:dd:ee:ff)),set(ipv4(ttl=63)),ct(commit,zone=65520,
                mark=0x3/0xf),recirc(0x18)
            -- conntrack says trk|new (by default) -----------------------------------------------------------------------
             15 Output           200  0x10f0  reg0=0x100/0x100               output:NXM_NX_REG1[]
                                                                             -> output port is 1
                                                                             !! Not tunneling to our own address
            datapath drop

            END NOT KNOWN
            note: what conntrack says was assumed, not looked up
            note: the trace forgot at conntrack where the tunnel goes; a real packet isn't dropped there
        "#]].assert_eq(&show(include_str!("../../tests/traces/tunnel_forgotten.txt")));
    }

    #[test]
    fn nested_tables_are_indented() {
        expect![[r#"
            packet tcp,in_port=t1,vlan_tci=0x0000,dl_src=00:00:00:00:00:00,dl_dst=00:00:00:00:00:00,nw_src=1.1.1.9,
                nw_dst=2.2.2.2,nw_tos=0,nw_ecn=0,nw_ttl=64,nw_frag=no,tp_src=0,tp_dst=80,tcp_flags=0
            TABLE    PRIORITY  COOKIE  MATCH        ACTIONS
            bridge br-t
              0            10  0x1     tcp          set_field:0x1->reg0, resubmit(,1), resubmit(,2), output:t2
                1          10  0x2     ip           set_field:0x2->reg1, resubmit(,3)
                  3                    (no match)   drop
                2          10  0x3     ip           set_field:0x7->reg2, group:7
                                                    bucket 0
                                                      set_field:0x1->reg5, output:t2
                                                    bucket 1
                                                      set_field:0x2->reg5, resubmit(,3)
                  3                    (no match)   drop
            datapath t2,t2

            SENT
        "#]]
        .assert_eq(&show(include_str!("../../tests/traces/nested.txt")));
    }

    #[test]
    fn text_breaks_where_it_reads_best() {
        assert_eq!(
            wrap("  set_field:1->reg0, resubmit(,10), drop", 24),
            ["  set_field:1->reg0,", "  resubmit(,10), drop"]
        );
        assert_eq!(
            wrap("ip,nw_src=10.0.0.1,nw_dst=10.0.0.2", 20),
            ["ip,nw_src=10.0.0.1,", "nw_dst=10.0.0.2"]
        );
        assert_eq!(wrap("äöüäöü", 4), ["äöüä", "öü"]);
        assert_eq!(
            wrap("packet ip,nw_src=10.0.0.1,nw_dst=10.0.0.2", 20),
            ["packet ip,", "nw_src=10.0.0.1,", "nw_dst=10.0.0.2"]
        );
        assert_eq!(wrap("a,b,", 3), ["a,b,"], "a comma may hang");
        assert_eq!(wrap("    a", 1), ["a"]);
        assert_eq!(wrap("", 0), [""]);
    }

    #[test]
    fn no_line_is_longer_than_asked() {
        let trace = Trace::read(include_str!("../../tests/traces/service.txt"));
        for width in [100, 110, 120] {
            let table = trace.table(width, |_, _| Some("AntreaPolicyIngressRule".to_owned()));
            let longest = table.lines().map(length).max().unwrap();
            assert!(longest <= width, "{longest} of {width}");
        }
    }

    #[test]
    fn any_width_will_do() {
        let text = format!("Flow: ip\n 0. {}, priority 1\n    drop\n", "a".repeat(100_000));
        let trace = Trace::read(&text);
        for width in [0, 1, usize::MAX] {
            assert!(trace.table(width, |_, _| None).contains("drop"));
        }
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        let table = Trace::read("Flow: a\u{1b}[2J\n 0. \u{1b}c, priority 0\n    \u{7}drop\n")
            .table(100, |_, _| Some("\u{1b}".into()));
        assert!(
            table
                .chars()
                .all(|character| character == '\n' || !character.is_control())
        );
    }
}
