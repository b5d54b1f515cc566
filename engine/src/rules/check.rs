//! What a rules file may not say although every value by itself is fine: contradictions, and
//! bounds that the law or the manual set. Each mistake knows the key that it is about.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::calendar::{DayName, Exception, Hours};
use super::place::Path;
use super::revisit::CalendarRule;
use super::timeout::RuleSettings;
use super::{Behaviour, BehaviourKind, Clock, Rules};

/// Levels of a reply rule (manual 7.2).
const LEVELS_MAX: usize = 5;
/// Minutes of a level, a gap or a grace: a year. More is a typing mistake, and stays far from the
/// bounds of our integers.
const MINUTES_MAX: u32 = 366 * 24 * 60;
/// Characters of a word rule's name (manual 7.3).
const WORD_RULE_NAME_CHARS_MAX: usize = 10;
/// Characters of any other name: it has to fit a column.
const NAME_CHARS_MAX: usize = 50;
/// Characters of a word rule's words, the commas included (manual 7.3).
const WORDS_CHARS_MAX: usize = 500;
/// Days beyond the usual ones (manual 9.7).
const FURTHER_DAYS_MAX: usize = 2;
/// The last day on which a revisit may be due, and the longest window of group activity: a year.
const DAYS_MAX: u32 = 366;

/// What is wrong, and with which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Which key.
    pub path: Path,
    /// What is wrong with it.
    pub problem: String,
}

type Checked = Result<(), Mistake>;

fn wrong(path: Path, problem: impl Into<String>) -> Checked {
    Err(Mistake {
        path,
        problem: problem.into(),
    })
}

/// The first mistake of rules whose keys and values are of the right kind.
pub fn check(rules: &Rules) -> Checked {
    if let Err(error) = rules.zone() {
        return wrong(Path::of("timezone"), error.to_string());
    }
    check_dialogue(rules)?;
    check_calendars(rules)?;
    check_reply(rules)?;
    check_timeout(rules)?;
    check_revisit(rules)?;
    check_sensitive(rules)?;
    for kind in BehaviourKind::ALL {
        check_behaviour(kind, rules.behaviour.of(kind))?;
    }
    check_activity(rules)
}

fn check_dialogue(rules: &Rules) -> Checked {
    let gaps = [
        ("single_gap_minutes", rules.dialogue.single_gap_minutes),
        ("group_gap_minutes", rules.dialogue.group_gap_minutes),
    ];
    for (key, minutes) in gaps {
        let path = Path::of("dialogue").key(key);
        if minutes == 0 {
            let problem = "a gap of 0 minutes would make every message a dialogue";
            return wrong(path, problem);
        }
        if minutes > MINUTES_MAX {
            return wrong(path, format!("at most {MINUTES_MAX} minutes (a year)"));
        }
    }
    Ok(())
}

fn check_reply(rules: &Rules) -> Checked {
    let path = Path::of("reply");
    match &rules.reply.calendar {
        None if rules.reply.clock == Clock::Working => wrong(
            path.key("clock"),
            "the clock `working` needs a calendar; name one with `calendar = \"...\"`",
        ),
        None => Ok(()),
        Some(name) => check_named(rules, name, path.key("calendar")),
    }
}

/// A calendar that is named must be there.
fn check_named(rules: &Rules, name: &str, path: Path) -> Checked {
    if rules.calendar.iter().any(|calendar| calendar.name == name) {
        return Ok(());
    }
    let known: Vec<String> = rules
        .calendar
        .iter()
        .map(|c| format!("`{}`", c.name))
        .collect();
    let known = match known.is_empty() {
        true => "there is none".into(),
        false => format!("there are {}", known.join(", ")),
    };
    wrong(path, format!("there is no calendar `{name}`; {known}"))
}

fn check_name(name: &str, chars_max: usize, path: Path) -> Checked {
    match name.chars().count() {
        _ if name.trim().is_empty() => wrong(path, "a name cannot be empty"),
        n if n > chars_max => wrong(
            path,
            format!("a name has at most {chars_max} characters, this one {n}"),
        ),
        _ => Ok(()),
    }
}

/// Nothing twice; `path_of` gives the key of an item.
fn check_once<T: Eq + Hash>(
    items: impl Iterator<Item = T>,
    path_of: impl Fn(usize) -> Path,
    told: impl Fn(&T) -> String,
) -> Checked {
    let mut seen = HashMap::new();
    for (number, item) in items.enumerate() {
        let problem = format!("{} is there twice", told(&item));
        if seen.insert(item, number).is_some() {
            return wrong(path_of(number), problem);
        }
    }
    Ok(())
}

fn check_calendars(rules: &Rules) -> Checked {
    let path = Path::of("calendar");
    for (number, calendar) in rules.calendar.iter().enumerate() {
        let path = path.item(number);
        check_name(&calendar.name, NAME_CHARS_MAX, path.key("name"))?;
        for day in DayName::ALL {
            let path = path.key("weekly").key(day.as_str());
            check_hours(calendar.weekly.of(day), &path)?;
        }
        check_exceptions(&calendar.exceptions, &path.key("exceptions"))?;
    }
    check_once(
        rules.calendar.iter().map(|c| c.name.as_str()),
        |number| path.item(number).key("name"),
        |name| format!("the calendar `{name}`"),
    )
}

fn check_hours(hours: &[Hours], path: &Path) -> Checked {
    for (number, range) in hours.iter().enumerate() {
        if range.to <= range.from {
            let problem = format!(
                "`{}` ends before it has begun; what goes past midnight is two ranges, one up \
                 to 24:00 and one from 00:00 on the next day",
                String::from(*range)
            );
            return wrong(path.item(number), problem);
        }
        let overlapped = hours[..number]
            .iter()
            .find(|other| range.from < other.to && other.from < range.to);
        if let Some(other) = overlapped {
            let (range, other) = (String::from(*range), String::from(*other));
            return wrong(path.item(number), format!("`{range}` overlaps `{other}`"));
        }
    }
    Ok(())
}

fn check_exceptions(exceptions: &[Exception], path: &Path) -> Checked {
    for (number, exception) in exceptions.iter().enumerate() {
        let path = path.item(number);
        let n_said = usize::from(exception.off)
            + usize::from(exception.as_.is_some())
            + usize::from(exception.hours.is_some());
        if n_said != 1 {
            let problem = format!(
                "{} is given {n_said} of `off = true`, `as = \"mon\"` and `hours = [...]`; \
                 give one",
                exception.date
            );
            return wrong(path, problem);
        }
        match &exception.hours {
            Some(hours) if hours.is_empty() => {
                return wrong(path.key("hours"), "a day without hours is `off = true`");
            }
            Some(hours) => check_hours(hours, &path.key("hours"))?,
            None => {}
        }
    }
    check_once(
        exceptions.iter().map(|e| e.date),
        |number| path.item(number).key("date"),
        |date| format!("the exception of {date}"),
    )
}

fn check_timeout(rules: &Rules) -> Checked {
    let path = Path::of("timeout").key("rule");
    for (number, rule) in rules.timeout.rule.iter().enumerate() {
        let path = path.item(number);
        check_name(&rule.name, NAME_CHARS_MAX, path.key("name"))?;
        if rule.kinds.is_empty() {
            return wrong(path.key("kinds"), "name `single`, `group` or both");
        }
        check_once(
            rule.kinds.iter(),
            |at| path.key("kinds").item(at),
            |_| "a kind".into(),
        )?;
        if let Some(name) = &rule.calendar {
            check_named(rules, name, path.key("calendar"))?;
        }
        check_levels(rule, &path.key("levels"))?;
    }
    check_once(
        rules.timeout.rule.iter().map(|rule| rule.name.as_str()),
        |number| path.item(number).key("name"),
        |name| format!("the rule `{name}`"),
    )
}

fn check_levels(rule: &RuleSettings, path: &Path) -> Checked {
    let n = rule.levels.len();
    if n == 0 || n > LEVELS_MAX {
        let problem = format!(
            "a rule has 1 to {LEVELS_MAX} levels, `{}` has {n}",
            rule.name
        );
        return wrong(path.clone(), problem);
    }
    let mut before = None;
    for (number, level) in rule.levels.iter().enumerate() {
        let (path, minutes) = (path.item(number).key("after_minutes"), level.after_minutes);
        match before {
            _ if !(1..=MINUTES_MAX).contains(&minutes) => {
                return wrong(path, format!("expected 1 to {MINUTES_MAX} minutes"));
            }
            Some(before) if minutes <= before => {
                let problem =
                    format!("the minutes of levels rise strictly; {minutes} comes after {before}");
                return wrong(path, problem);
            }
            _ => before = Some(minutes),
        }
    }
    Ok(())
}

fn check_revisit(rules: &Rules) -> Checked {
    let (revisit, path) = (&rules.revisit, Path::of("revisit"));
    let days = path.key("days");
    if revisit.enabled && revisit.days.is_empty() {
        return wrong(days, "no day; switch revisits off with `enabled = false`");
    }
    for (number, day) in revisit.days.iter().enumerate() {
        if !(revisit.day_min()..=DAYS_MAX).contains(day) {
            let problem = format!("expected {} to {DAYS_MAX}", revisit.day_min());
            return wrong(days.item(number), problem);
        }
    }
    check_once(
        revisit.days.iter(),
        |number| days.item(number),
        |day| format!("day {day}"),
    )?;
    let usual = revisit.usual_days();
    let mut further = revisit
        .days
        .iter()
        .enumerate()
        .filter(|(_, day)| !usual.contains(day));
    if let Some((number, _)) = further.nth(FURTHER_DAYS_MAX) {
        let problem = format!("at most {FURTHER_DAYS_MAX} days beside {usual:?}");
        return wrong(days.item(number), problem);
    }
    if revisit.evidence.is_empty() {
        let problem = "name `chat`, `followup` or both; without evidence nothing is ever done";
        return wrong(path.key("evidence"), problem);
    }
    check_once(
        revisit.evidence.iter(),
        |number| path.key("evidence").item(number),
        |_| "a kind of evidence".into(),
    )?;
    match &revisit.calendar {
        None if revisit.calendar_rule == CalendarRule::SkipNonWorking => wrong(
            path.key("calendar_rule"),
            "`skip_non_working` needs a calendar; name one with `calendar = \"...\"`",
        ),
        None => Ok(()),
        Some(name) => check_named(rules, name, path.key("calendar")),
    }
}

fn check_sensitive(rules: &Rules) -> Checked {
    let path = Path::of("sensitive").key("rule");
    for (number, rule) in rules.sensitive.rule.iter().enumerate() {
        let path = path.item(number);
        check_name(&rule.name, WORD_RULE_NAME_CHARS_MAX, path.key("name"))?;
        let n_chars = rule.words.chars().count();
        if n_chars > WORDS_CHARS_MAX {
            let problem = format!("at most {WORDS_CHARS_MAX} characters, these are {n_chars}");
            return wrong(path.key("words"), problem);
        }
        if rule.words().is_empty() {
            let problem = format!("the rule `{}` has no word", rule.name);
            return wrong(path.key("words"), problem);
        }
    }
    check_once(
        rules.sensitive.rule.iter().map(|rule| rule.name.as_str()),
        |number| path.item(number).key("name"),
        |name| format!("the rule `{name}`"),
    )
}

fn check_behaviour(kind: BehaviourKind, behaviour: &Behaviour) -> Checked {
    let path = Path::of("behaviour").key(kind.as_str()).key("audited");
    if behaviour.enabled && behaviour.audited.is_empty() {
        return wrong(path, "name `employee`, `customer` or both");
    }
    check_once(
        behaviour.audited.iter(),
        |number| path.item(number),
        |_| "a side".into(),
    )
}

fn check_activity(rules: &Rules) -> Checked {
    let (activity, path) = (&rules.group_activity, Path::of("group_activity"));
    if !(1..=DAYS_MAX).contains(&activity.window_days) {
        let problem = format!("expected 1 to {DAYS_MAX} days");
        return wrong(path.key("window_days"), problem);
    }
    if activity.conditions.is_empty() {
        let problem = "at least one condition says who is active";
        return wrong(path.key("conditions"), problem);
    }
    let conditions = activity.conditions.iter().enumerate();
    let values = conditions
        .map(|(number, c)| (path.key("conditions").item(number), c.value))
        .chain([
            (path.key("activity_ratio"), activity.activity_ratio.value),
            (path.key("speech_ratio"), activity.speech_ratio.value),
        ]);
    for (path, value) in values {
        if !value.is_finite() || value < 0.0 {
            return wrong(path.key("value"), "expected a number that is not negative");
        }
    }
    Ok(())
}

/// What is allowed but most likely not meant, one sentence each; `knows` tells whether the
/// directory has a person or department.
pub fn warnings(
    rules: &Rules,
    knows_employee: impl Fn(&str) -> bool,
    knows_department: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut told = Vec::new();
    for calendar in &rules.calendar {
        let has_hours = calendar.weekly.days().iter().any(|day| !day.is_empty())
            || calendar
                .exceptions
                .iter()
                .any(|e| !calendar.hours_of(e).is_empty());
        if !has_hours {
            told.push(format!(
                "the calendar `{}` has no working hours",
                calendar.name
            ));
        }
    }
    if !rules.behaviour.sensitive_word.enabled
        && rules.sensitive.rule.iter().any(|rule| rule.enabled)
    {
        let problem = "word rules are on, but `behaviour.sensitive_word` is not enabled: no hit \
                       is recorded";
        told.push(problem.into());
    }
    let timeouts = rules.timeout.rule.iter().map(|rule| {
        let notify = rule.levels.iter().flat_map(|level| &level.notify).collect();
        let place = format!("timeout.rule `{}`", rule.name);
        (place, &rule.employees, &rule.departments, notify)
    });
    let behaviours = BehaviourKind::ALL.into_iter().map(|kind| {
        let section = rules.behaviour.of(kind);
        let place = format!("behaviour.{}", kind.as_str());
        (
            place,
            &section.employees,
            &section.departments,
            section.notify.iter().collect(),
        )
    });
    let mut seen = HashSet::new();
    for (place, employees, departments, notify) in timeouts.chain(behaviours) {
        let notify: Vec<&super::Notify> = notify;
        let named = notify.into_iter().filter_map(|notify| match notify {
            super::Notify::User(id) => Some(id),
            _ => None,
        });
        for id in employees.iter().chain(named) {
            if !knows_employee(id) && seen.insert(("employee", id)) {
                told.push(format!("{place}: the directory has no employee `{id}` yet"));
            }
        }
        for id in departments {
            if !knows_department(id) && seen.insert(("department", id)) {
                told.push(format!(
                    "{place}: the directory has no department `{id}` yet"
                ));
            }
        }
    }
    told
}
