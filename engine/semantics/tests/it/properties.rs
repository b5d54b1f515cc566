//! Fast code against slow obvious code, on random input (semantics 1-4, 9, 10).

use chrono::{DateTime, Days, NaiveDate, TimeZone};
use huicun_semantics::closing::{ClosingMatch, ClosingPhrases, normalise};
use huicun_semantics::dialogue::{Counted, DialogueRule, Side, cut, shape};
use huicun_semantics::interval::first_adder;
use huicun_semantics::ratio::{percentile, percentile_of_sorted};
use huicun_semantics::reply::{ReplyFrom, first_reply, replies, replies_in_view, unanswered_turn};
use huicun_semantics::time::{AT_MS_MAX, AT_MS_MIN, By, Period, Zone};
use proptest::prelude::*;

/// Zones with and without summer time, on both sides of Greenwich, turning at and around midnight.
const ZONES: [&str; 12] = [
    "Asia/Shanghai",
    "UTC",
    "America/New_York",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Asia/Kolkata",
    "Pacific/Apia",
    "Asia/Tehran",
    "Africa/Cairo",
];

fn zones() -> impl Strategy<Value = Zone> {
    prop::sample::select(&ZONES[..]).prop_map(|name| Zone::parse(name).unwrap())
}

/// 1900 to 2100 mostly, anything at all sometimes.
fn instants() -> impl Strategy<Value = i64> {
    prop_oneof![9 => -2_208_988_800_000_i64..4_102_444_800_000, 1 => any::<i64>()]
}

fn days() -> impl Strategy<Value = NaiveDate> {
    (0_u64..80_000).prop_map(|n| NaiveDate::from_ymd_opt(1890, 1, 1).unwrap() + Days::new(n))
}

fn periods() -> impl Strategy<Value = Period> {
    (days(), 0_u64..800).prop_map(|(from, n)| Period::new(from, from + Days::new(n)).unwrap())
}

/// Messages in order, dense in ties, closings and silences of exactly the gap (1,000 ms) and grace.
fn conversations() -> impl Strategy<Value = Vec<Counted>> {
    let step = prop_oneof![
        Just(0_i64),
        1_i64..400,
        Just(500),
        Just(999),
        Just(1_000),
        1_001_i64..3_000
    ];
    let message = (step, 0_u32..4, any::<bool>(), prop::bool::weighted(0.3));
    prop::collection::vec(message, 0..60).prop_map(|steps| {
        let mut at_ms = 0;
        let mut messages = Vec::new();
        for (seq, (step_ms, speaker, is_customer, closes)) in steps.into_iter().enumerate() {
            at_ms += step_ms;
            let side = if is_customer {
                Side::Customer
            } else {
                Side::Employee
            };
            messages.push(Counted {
                at_ms,
                seq: seq as i64,
                speaker,
                side,
                closes,
            });
        }
        messages
    })
}

fn rules() -> impl Strategy<Value = DialogueRule> {
    let grace_ms = prop_oneof![Just(0_i64), Just(500), Just(1_000), Just(5_000)];
    grace_ms.prop_map(|grace_ms| DialogueRule {
        gap_ms: 1_000,
        grace_ms,
    })
}

/// Texts made of what is hard to normalise.
fn hard_texts() -> impl Strategy<Value = String> {
    let pieces = vec![
        "谢谢",
        "好",
        "a",
        "Ａ",
        "ﬁ",
        "İ",
        "ß",
        "Σ",
        "1",
        "#",
        "[",
        "]",
        "［",
        "］",
        "[微笑]",
        "[12345678]",
        "[123456789]",
        " ",
        "\u{3000}",
        "！",
        "。",
        "~",
        "❤",
        "❤\u{FE0F}",
        "ℹ",
        "㊗",
        "™",
        "🈚",
        "🙏",
        "🏻",
        "🇨",
        "\u{200D}",
        "\u{FE0F}",
        "\u{FE0E}",
        "\u{20E3}",
        "\u{301}",
        "\u{308}",
        "ก",
        "ี",
        "ำ",
        "क",
        "\u{94D}",
        "가",
        "ᄀ",
        "\u{1160}",
        "\u{3164}",
        "\u{E000}",
        "´",
        "¨",
        "\u{345}",
        "\u{323}",
        "ﷺ",
        "\u{E0100}",
        "\u{13A0}",
        "ῼ",
    ];
    let piece = prop_oneof![
        4 => prop::sample::select(pieces).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..9).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_day_of_an_instant_is_the_date_on_the_wall(zone in zones(), at_ms in instants()) {
        let clamped_ms = at_ms.clamp(AT_MS_MIN, AT_MS_MAX);
        let wall = zone.0.from_utc_datetime(&DateTime::from_timestamp_millis(clamped_ms).unwrap().naive_utc());
        prop_assert_eq!(zone.day_of(at_ms), wall.date_naive());
        prop_assert!(zone.rfc3339_ms(at_ms).starts_with(&wall.format("%Y-%m-%dT%H:%M:%S%.3f").to_string()));
    }

    #[test]
    fn days_follow_each_other_without_hole_or_overlap(zone in zones(), day in days()) {
        let next = day + Days::new(1);
        let (start_ms, end_ms) = (zone.day_start_ms(day), zone.day_start_ms(next));
        prop_assert!(start_ms <= end_ms);
        prop_assert!(zone.day_of(start_ms - 1) < day);
        if start_ms < end_ms {
            prop_assert_eq!(zone.day_of(start_ms), day);
            prop_assert_eq!(zone.day_of(end_ms - 1), day);
        }
    }

    #[test]
    fn an_instant_is_in_a_period_iff_its_day_is(zone in zones(), period in periods(), shift in -90_000_000_i64..90_000_000) {
        for edge_ms in [period.start_ms(zone), period.end_ms(zone)] {
            let at_ms = edge_ms + shift;
            prop_assert_eq!(period.contains_ms(zone, at_ms), period.contains(zone.day_of(at_ms)));
        }
    }

    #[test]
    fn slices_are_the_period_cut_where_the_label_changes(period in periods()) {
        for by in [By::Day, By::Week, By::Month] {
            let slices = by.slices(&period);
            let mut expected: Vec<(String, Period)> = Vec::new();
            for day in period.days() {
                let label = match by {
                    By::Day => day.format("%Y-%m-%d").to_string(),
                    By::Week => day.week(chrono::Weekday::Mon).first_day().to_string(),
                    By::Month => day.to_string()[..7].to_owned(),
                };
                match expected.last_mut() {
                    Some((last, slice)) if *last == label => slice.to = day,
                    _ => expected.push((label, Period { from: day, to: day })),
                }
            }
            prop_assert_eq!(slices, expected);
        }
    }

    #[test]
    fn the_previous_period_is_as_long_and_directly_before(period in periods()) {
        let previous = period.previous();
        prop_assert_eq!(previous.n_days(), period.n_days());
        prop_assert_eq!(previous.to + Days::new(1), period.from);
    }

    #[test]
    fn dialogues_are_all_messages_without_overlap(messages in conversations(), rule in rules()) {
        let mut ranges = Vec::new();
        cut(&messages, &rule, &mut ranges);
        let covered: Vec<usize> = ranges.iter().cloned().flatten().collect();
        prop_assert_eq!(covered, (0..messages.len()).collect::<Vec<_>>());
        prop_assert!(ranges.iter().all(|range| !range.is_empty()));
        let n: u64 = ranges.iter().map(|range| shape(&messages[range.clone()]).n_messages()).sum();
        prop_assert_eq!(n, messages.len() as u64);
    }

    #[test]
    fn a_message_opens_a_dialogue_iff_the_law_says_so(messages in conversations(), rule in rules()) {
        let mut ranges = Vec::new();
        cut(&messages, &rule, &mut ranges);
        for range in ranges {
            for at in range.clone().skip(1) {
                let dialogue = &messages[range.start..at];
                prop_assert!(!opens(dialogue, &messages[at], &rule), "{at} should open one");
            }
            if range.end < messages.len() {
                let dialogue = &messages[range.clone()];
                prop_assert!(opens(dialogue, &messages[range.end], &rule), "{} should not", range.end);
            }
        }
    }

    #[test]
    fn without_grace_only_the_message_before_matters(messages in conversations()) {
        let rule = DialogueRule { gap_ms: 1_000, grace_ms: 0 };
        let mut ranges = Vec::new();
        cut(&messages, &rule, &mut ranges);
        let starts: Vec<usize> = ranges.iter().map(|range| range.start).collect();
        let mut expected = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let opens = at == 0 || {
                let before = &messages[at - 1];
                message.at_ms - before.at_ms >= 1_000 || (before.closes && before.side == Side::Customer)
            };
            if opens {
                expected.push(at);
            }
        }
        prop_assert_eq!(starts, expected);
    }

    #[test]
    fn replies_are_the_changes_from_customer_to_employee_in_the_view(
        dialogue in conversations(),
        view_of in prop::option::of(0_u32..4),
        is_from_last in any::<bool>(),
    ) {
        let from = if is_from_last { ReplyFrom::Last } else { ReplyFrom::First };
        let in_view: Vec<usize> = (0..dialogue.len())
            .filter(|at| dialogue[*at].side == Side::Customer || view_of.is_none_or(|one| one == dialogue[*at].speaker))
            .collect();
        let side = |place: usize| dialogue[in_view[place]].side;
        let mut expected = Vec::new();
        for place in 1..in_view.len() {
            if side(place) == Side::Employee && side(place - 1) == Side::Customer {
                let mut first = place - 1;
                while first > 0 && side(first - 1) == Side::Customer {
                    first -= 1;
                }
                let since = if is_from_last { place - 1 } else { first };
                let interval_ms = dialogue[in_view[place]].at_ms - dialogue[in_view[since]].at_ms;
                expected.push((in_view[first], in_view[place - 1], in_view[place], interval_ms));
            }
        }
        let mut found = Vec::new();
        replies(&dialogue, view_of, from, &mut found);
        let found: Vec<_> = found.iter().map(|r| (r.turn_first, r.turn_last, r.reply, r.interval_ms)).collect();
        prop_assert_eq!(first_reply(&dialogue, view_of, from), expected.first().map(|reply| reply.3));
        prop_assert_eq!(&found, &expected);
        let ends_with_customer = in_view.last().is_some_and(|at| dialogue[*at].side == Side::Customer);
        prop_assert_eq!(unanswered_turn(&dialogue, view_of).is_some(), ends_with_customer);
    }

    #[test]
    fn the_view_of_everybody_is_the_company(dialogue in conversations()) {
        let (mut company, mut everybody) = (Vec::new(), Vec::new());
        replies(&dialogue, None, ReplyFrom::First, &mut company);
        replies_in_view(&dialogue, |speaker| speaker < 4, ReplyFrom::First, &mut everybody);
        prop_assert_eq!(company, everybody);
    }

    #[test]
    fn in_a_dialogue_that_a_customer_opened_the_first_reply_is_to_the_opening(messages in conversations()) {
        if messages.first().is_some_and(|m| m.side == Side::Customer) {
            let mut found = Vec::new();
            replies(&messages, None, ReplyFrom::First, &mut found);
            prop_assert!(found.first().is_none_or(|reply| reply.turn_first == 0));
        }
    }

    #[test]
    fn normalising_twice_changes_nothing(text in hard_texts()) {
        let once = normalise(&text);
        prop_assert_eq!(normalise(&once), once);
    }

    #[test]
    fn dress_around_a_text_does_not_matter(
        text in hard_texts(),
        dress in prop::sample::select(vec![" ", "！", "🙏", "[微笑]", "。~", "\u{3000}", "👍🏻", "1\u{FE0F}\u{20E3}"]),
    ) {
        let bare = normalise(&text);
        prop_assert_eq!(normalise(&format!("{dress}{bare}{dress}")), bare);
    }

    #[test]
    fn phrases_match_as_comparing_one_by_one(
        phrases in prop::collection::vec(hard_texts(), 0..5),
        text in hard_texts(),
        which in any::<prop::sample::Index>(),
    ) {
        let exact = ClosingPhrases::new(&phrases, ClosingMatch::Exact);
        let contains = ClosingPhrases::new(&phrases, ClosingMatch::Contains);
        let normal: Vec<String> = phrases.iter().map(|p| normalise(p)).filter(|p| !p.is_empty()).collect();
        let mut texts = vec![text.clone()];
        if !phrases.is_empty() {
            texts.push(phrases[which.index(phrases.len())].clone());
            texts.push(format!("好{}{text}", phrases[which.index(phrases.len())]));
        }
        for text in texts {
            let said = normalise(&text);
            prop_assert_eq!(exact.is_closing(&text), normal.contains(&said), "{}", text);
            prop_assert_eq!(contains.is_closing(&text), normal.iter().any(|p| said.contains(p.as_str())), "{}", text);
        }
    }

    #[test]
    fn a_percentile_is_the_smallest_value_with_enough_at_or_below_it(
        values in prop::collection::vec(-20_i64..20, 1..120),
        percent in 0_u32..=100,
    ) {
        let n = values.len();
        let has_enough = |value: i64| {
            let n_at_or_below = values.iter().filter(|other| **other <= value).count();
            n_at_or_below * 100 >= percent as usize * n
        };
        let expected = values.iter().copied().filter(|value| has_enough(*value)).min();
        let mut sorted = values.clone();
        sorted.sort_unstable();
        prop_assert_eq!(percentile_of_sorted(&sorted, percent), expected);
        prop_assert_eq!(percentile(&mut values.clone(), percent), expected);
    }

    #[test]
    fn the_first_adder_is_the_first_of_the_sorted_active(
        mut relations in prop::collection::vec((0_u32..5, 0_i64..20, prop::option::of(0_i64..25)), 0..8),
        at_ms in 0_i64..25,
    ) {
        let found = first_adder(&relations, at_ms);
        relations.sort_by_key(|&(user, add_ms, _)| (add_ms, user));
        let active = relations.iter().find(|(_, add_ms, lost_ms)| {
            *add_ms <= at_ms && at_ms < lost_ms.unwrap_or(i64::MAX)
        });
        prop_assert_eq!(found, active.map(|relation| relation.0));
    }
}

/// Section 3 with the grace, read backwards from a message: does it open a dialogue after this one?
fn opens(dialogue: &[Counted], message: &Counted, rule: &DialogueRule) -> bool {
    let last = dialogue.last().unwrap();
    if message.at_ms - last.at_ms >= rule.gap_ms {
        return true;
    }
    // A dialogue is closed by its last customer message or not at all: only courtesies follow a closing one.
    let last_customer = dialogue.iter().rfind(|m| m.side == Side::Customer);
    match last_customer.filter(|m| m.closes) {
        None => false,
        Some(closing) => {
            let is_courtesy = message.side == Side::Employee
                && rule.grace_ms > 0
                && message.at_ms - closing.at_ms <= rule.grace_ms;
            !is_courtesy
        }
    }
}
