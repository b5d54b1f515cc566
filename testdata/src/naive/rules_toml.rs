//! The rules as the file that `huicun rules apply` takes (contract, feeds in): written and read.

use std::fmt::Write;

use serde_json::{Value, json};

use super::calendar::{Calendar, DayException, Hours};
use super::json::string_at;
use super::period::parse_day;
use super::rules::{
    BehaviourRule, ClosingMatch, GroupActivity, Numbering, ReplyClock, ReplyFrom, Rules,
    SensitiveRule, Threshold, TimeoutFrom, TimeoutRule,
};

const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const BEHAVIOURS: [&str; 4] = ["red_packet", "card", "sensitive_word", "friend_deleted"];

impl Rules {
    /// These rules as TOML, every section of it, so that applying it leaves nothing of the rules before.
    pub fn to_toml(&self) -> String {
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "timezone = {}", quoted(self.zone.name()))?;
        writeln!(out, "[dialogue]")?;
        writeln!(out, "single_gap_minutes = {}", self.single_gap_minutes)?;
        writeln!(out, "group_gap_minutes = {}", self.group_gap_minutes)?;
        writeln!(out, "[closing]")?;
        writeln!(out, "phrases = {}", list(&self.closing_phrases))?;
        writeln!(
            out,
            "match = \"{}\"",
            match self.closing_match {
                ClosingMatch::Exact => "exact",
                ClosingMatch::Contains => "contains",
            }
        )?;
        writeln!(out, "grace_seconds = {}", self.closing_grace_seconds)?;
        self.write_reply(out)?;
        for calendar in &self.calendars {
            write_calendar(calendar, out)?;
        }
        self.write_timeout(out)?;
        self.write_revisit(out)?;
        self.write_behaviours(out)?;
        let activity = &self.group_activity;
        writeln!(
            out,
            "[group_activity]\nwindow_days = {}",
            activity.window_days
        )?;
        let conditions: Vec<String> = activity
            .conditions
            .iter()
            .map(|(measure, t)| format!("{{ measure = {}, {} }}", quoted(measure), comparison(t)))
            .collect();
        writeln!(out, "conditions = [{}]", conditions.join(", "))?;
        let ratio = |t: &Threshold| format!("{{ {} }}", comparison(t));
        writeln!(out, "activity_ratio = {}", ratio(&activity.activity_ratio))?;
        writeln!(out, "speech_ratio = {}", ratio(&activity.speech_ratio))
    }

    fn write_reply(&self, out: &mut String) -> std::fmt::Result {
        let from = match self.reply_from {
            ReplyFrom::First => "first",
            ReplyFrom::Last => "last",
        };
        let clock = match self.reply_clock {
            ReplyClock::Wall => "wall",
            ReplyClock::Working => "working",
        };
        writeln!(out, "[reply]\nfrom = \"{from}\"\nclock = \"{clock}\"")?;
        write_named(out, "calendar", self.reply_calendar.as_deref())
    }

    fn write_timeout(&self, out: &mut String) -> std::fmt::Result {
        let from = match self.timeout_from {
            TimeoutFrom::Last => "last",
            TimeoutFrom::First => "first",
        };
        writeln!(out, "[timeout]\nfrom = \"{from}\"")?;
        writeln!(out, "no_answer_phrases = {}", list(&self.no_answer_phrases))?;
        writeln!(out, "no_answer_types = {}", list(&self.no_answer_types))?;
        for rule in &self.timeout_rules {
            writeln!(out, "[[timeout.rule]]\nname = {}", quoted(&rule.name))?;
            writeln!(out, "enabled = {}", rule.enabled)?;
            let kinds = [("single", rule.single), ("group", rule.group)];
            writeln!(out, "kinds = {}", list(&chosen(&kinds)))?;
            writeln!(out, "employees = {}", list(&rule.employees))?;
            writeln!(out, "departments = {}", list(&rule.departments))?;
            write_named(out, "calendar", rule.calendar.as_deref())?;
            let levels: Vec<String> = rule
                .levels
                .iter()
                .map(|minutes| format!("{{ after_minutes = {minutes}, notify = [\"trigger\"] }}"))
                .collect();
            writeln!(out, "levels = [{}]", levels.join(", "))?;
        }
        Ok(())
    }

    fn write_revisit(&self, out: &mut String) -> std::fmt::Result {
        let revisit = &self.revisit;
        writeln!(out, "[revisit]\nenabled = {}", revisit.enabled)?;
        writeln!(out, "days = {:?}", revisit.days)?;
        let numbering = match revisit.numbering {
            Numbering::Ordinal => "ordinal",
            Numbering::Offset => "offset",
        };
        writeln!(out, "numbering = \"{numbering}\"")?;
        let rule = match revisit.skip_non_working {
            None => "ignore",
            Some(_) => "skip_non_working",
        };
        writeln!(out, "calendar_rule = \"{rule}\"")?;
        write_named(out, "calendar", revisit.skip_non_working.as_deref())?;
        let evidence = [
            ("chat", revisit.evidence_chat),
            ("followup", revisit.evidence_followup),
        ];
        writeln!(out, "evidence = {}", list(&chosen(&evidence)))?;
        let chat = if revisit.employee_must_send {
            "employee_sent"
        } else {
            "any"
        };
        writeln!(out, "chat = \"{chat}\"")
    }

    fn write_behaviours(&self, out: &mut String) -> std::fmt::Result {
        for rule in &self.sensitive_rules {
            writeln!(out, "[[sensitive.rule]]\nname = {}", quoted(&rule.name))?;
            writeln!(out, "words = {}", quoted(&rule.words))?;
            writeln!(out, "class = {}", quoted(&rule.class))?;
            writeln!(out, "enabled = {}", rule.enabled)?;
            let matching = if rule.normalised {
                "normalised"
            } else {
                "exact"
            };
            writeln!(out, "match = \"{matching}\"")?;
        }
        for (kind, rule) in &self.behaviours {
            writeln!(out, "[behaviour.{kind}]\nenabled = {}", rule.enabled)?;
            let audited = [
                ("employee", rule.audits_employees),
                ("customer", rule.audits_customers),
            ];
            writeln!(out, "audited = {}", list(&chosen(&audited)))?;
            writeln!(out, "employees = {}\nnotify = []", list(&rule.employees))?;
        }
        Ok(())
    }

    /// The rules that a file says; what it leaves out is at its default.
    ///
    /// # Panics
    /// If it is no TOML or a value is not as the contract has it: the caller is a test.
    pub fn from_toml(text: &str) -> Self {
        let file: Value = match toml::from_str(text) {
            Ok(file) => file,
            Err(error) => panic!("these rules are no TOML: {error}"),
        };
        let mut rules = Self::default();
        if let Some(zone) = file["timezone"].as_str() {
            rules.zone = match zone.parse() {
                Ok(zone) => zone,
                Err(error) => panic!("`{zone}`: {error}"),
            };
        }
        let dialogue = &file["dialogue"];
        set_number(
            &mut rules.single_gap_minutes,
            dialogue,
            "single_gap_minutes",
        );
        set_number(&mut rules.group_gap_minutes, dialogue, "group_gap_minutes");
        let closing = &file["closing"];
        rules.closing_phrases = texts(closing, "phrases");
        if string_at(closing, "match") == "contains" {
            rules.closing_match = ClosingMatch::Contains;
        }
        set_number(&mut rules.closing_grace_seconds, closing, "grace_seconds");
        let reply = &file["reply"];
        if string_at(reply, "from") == "last" {
            rules.reply_from = ReplyFrom::Last;
        }
        if string_at(reply, "clock") == "working" {
            rules.reply_clock = ReplyClock::Working;
        }
        rules.reply_calendar = name_at(reply, "calendar");
        rules.calendars = rows(&file["calendar"]).iter().map(read_calendar).collect();
        rules.read_timeout(&file["timeout"]);
        rules.read_revisit(&file["revisit"]);
        rules.read_behaviours(&file);
        if file["group_activity"].is_object() {
            rules.group_activity = read_activity(&file["group_activity"], &rules.group_activity);
        }
        rules
    }

    fn read_timeout(&mut self, timeout: &Value) {
        if string_at(timeout, "from") == "first" {
            self.timeout_from = TimeoutFrom::First;
        }
        self.no_answer_phrases = texts(timeout, "no_answer_phrases");
        self.no_answer_types = texts(timeout, "no_answer_types");
        for rule in rows(&timeout["rule"]) {
            let kinds = texts(rule, "kinds");
            let has = |kind: &str| kinds.is_empty() || kinds.iter().any(|one| one == kind);
            self.timeout_rules.push(TimeoutRule {
                name: string_at(rule, "name").to_owned(),
                enabled: rule["enabled"].as_bool().unwrap_or(true),
                single: has("single"),
                group: has("group"),
                employees: texts(rule, "employees"),
                departments: texts(rule, "departments"),
                calendar: name_at(rule, "calendar"),
                levels: rows(&rule["levels"])
                    .iter()
                    .filter_map(|level| level["after_minutes"].as_u64())
                    .filter_map(|minutes| minutes.try_into().ok())
                    .collect(),
            });
        }
    }

    fn read_revisit(&mut self, section: &Value) {
        let revisit = &mut self.revisit;
        if let Some(enabled) = section["enabled"].as_bool() {
            revisit.enabled = enabled;
        }
        if let Some(days) = section["days"].as_array() {
            revisit.days = days
                .iter()
                .filter_map(Value::as_u64)
                .filter_map(|day| day.try_into().ok())
                .collect();
        }
        if string_at(section, "numbering") == "offset" {
            revisit.numbering = Numbering::Offset;
        }
        if string_at(section, "calendar_rule") == "skip_non_working" {
            revisit.skip_non_working = name_at(section, "calendar");
        }
        if section["evidence"].is_array() {
            let evidence = texts(section, "evidence");
            revisit.evidence_chat = evidence.iter().any(|one| one == "chat");
            revisit.evidence_followup = evidence.iter().any(|one| one == "followup");
        }
        revisit.employee_must_send = string_at(section, "chat") == "employee_sent";
    }

    fn read_behaviours(&mut self, file: &Value) {
        for rule in rows(&file["sensitive"]["rule"]) {
            self.sensitive_rules.push(SensitiveRule {
                name: string_at(rule, "name").to_owned(),
                words: string_at(rule, "words").to_owned(),
                class: rule["class"].as_str().unwrap_or("negative").to_owned(),
                enabled: rule["enabled"].as_bool().unwrap_or(false),
                normalised: string_at(rule, "match") == "normalised",
            });
        }
        for kind in BEHAVIOURS {
            let section = &file["behaviour"][kind];
            if section.is_object() {
                let audited = texts(section, "audited");
                let rule = BehaviourRule {
                    enabled: section["enabled"].as_bool().unwrap_or(false),
                    audits_employees: audited.iter().any(|one| one == "employee"),
                    audits_customers: audited.iter().any(|one| one == "customer"),
                    employees: texts(section, "employees"),
                };
                self.behaviours.insert(kind.to_owned(), rule);
            }
        }
    }
}

fn read_activity(section: &Value, default: &GroupActivity) -> GroupActivity {
    let mut activity = default.clone();
    if let Some(days) = section["window_days"].as_u64() {
        activity.window_days = days.try_into().unwrap_or(u32::MAX);
    }
    if section["conditions"].is_array() {
        activity.conditions = rows(&section["conditions"])
            .iter()
            .map(|one| (string_at(one, "measure").to_owned(), threshold(one)))
            .collect();
    }
    if section["activity_ratio"].is_object() {
        activity.activity_ratio = threshold(&section["activity_ratio"]);
    }
    if section["speech_ratio"].is_object() {
        activity.speech_ratio = threshold(&section["speech_ratio"]);
    }
    activity
}

fn threshold(value: &Value) -> Threshold {
    Threshold {
        op: string_at(value, "op").to_owned(),
        value: value["value"].as_f64().unwrap_or(0.0),
    }
}

fn comparison(threshold: &Threshold) -> String {
    format!("op = \"{}\", value = {:?}", threshold.op, threshold.value)
}

/// JSON's quoting is TOML's.
fn quoted(text: &str) -> String {
    json!(text).to_string()
}

fn list<T: AsRef<str>>(texts: &[T]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| quoted(text.as_ref())).collect();
    format!("[{}]", quoted.join(", "))
}

fn chosen<'a>(choices: &[(&'a str, bool)]) -> Vec<&'a str> {
    let on = choices.iter().filter(|(_, is_on)| *is_on);
    on.map(|(name, _)| *name).collect()
}

fn write_named(out: &mut String, key: &str, name: Option<&str>) -> std::fmt::Result {
    match name {
        Some(name) => writeln!(out, "{key} = {}", quoted(name)),
        None => Ok(()),
    }
}

fn write_calendar(calendar: &Calendar, out: &mut String) -> std::fmt::Result {
    writeln!(out, "[[calendar]]\nname = {}", quoted(&calendar.name))?;
    let days: Vec<String> = WEEKDAYS
        .iter()
        .zip(&calendar.weekly)
        .filter(|(_, hours)| !hours.is_empty())
        .map(|(day, hours)| format!("{day} = {}", list(&ranges(hours))))
        .collect();
    writeln!(out, "weekly = {{ {} }}", days.join(", "))?;
    let exceptions: Vec<String> = calendar
        .exceptions
        .iter()
        .map(|(date, exception)| {
            let what = match exception {
                DayException::Off => "off = true".to_owned(),
                DayException::As(day) => format!("as = \"{}\"", WEEKDAYS[*day]),
                DayException::Hours(hours) => format!("hours = {}", list(&ranges(hours))),
            };
            format!("{{ date = \"{date}\", {what} }}")
        })
        .collect();
    writeln!(out, "exceptions = [{}]", exceptions.join(", "))
}

fn ranges(hours: &Hours) -> Vec<String> {
    let clock = |minutes: u32| format!("{:02}:{:02}", minutes / 60, minutes % 60);
    hours
        .iter()
        .map(|(from, to)| format!("{}-{}", clock(*from), clock(*to)))
        .collect()
}

fn read_calendar(row: &Value) -> Calendar {
    let hours = |list: &Value| -> Hours {
        let texts = list.as_array().map_or(&[][..], Vec::as_slice);
        texts.iter().filter_map(Value::as_str).map(range).collect()
    };
    let exceptions = rows(&row["exceptions"])
        .iter()
        .map(|one| {
            let what = if one["off"].as_bool() == Some(true) {
                DayException::Off
            } else if let Some(day) = one["as"].as_str() {
                DayException::As(WEEKDAYS.iter().position(|name| *name == day).unwrap_or(0))
            } else {
                DayException::Hours(hours(&one["hours"]))
            };
            (parse_day(string_at(one, "date")), what)
        })
        .collect();
    Calendar {
        name: string_at(row, "name").to_owned(),
        weekly: WEEKDAYS.map(|day| hours(&row["weekly"][day])),
        exceptions,
    }
}

/// `09:00-12:00`, or up to `24:00`.
fn range(text: &str) -> (u32, u32) {
    let clock = |clock: &str| -> u32 {
        let (hours, minutes) = clock.trim().split_once(':').unwrap_or((clock, "0"));
        hours.parse().unwrap_or(0) * 60 + minutes.parse().unwrap_or(0)
    };
    match text.split_once('-') {
        Some((from, to)) => (clock(from), clock(to)),
        None => panic!("`{text}` is no range of hours"),
    }
}

fn set_number(field: &mut i64, section: &Value, key: &str) {
    if let Some(number) = section[key].as_i64() {
        *field = number;
    }
}

fn name_at(section: &Value, key: &str) -> Option<String> {
    section[key].as_str().map(str::to_owned)
}

fn texts(section: &Value, key: &str) -> Vec<String> {
    let items = section[key].as_array().map_or(&[][..], Vec::as_slice);
    let texts = items.iter().filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn rows(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}
