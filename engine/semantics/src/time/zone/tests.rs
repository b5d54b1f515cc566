//! Zones with hard days (semantics 1).

use super::*;

fn zone(name: &str) -> Zone {
    Zone::parse(name).unwrap()
}

fn day(text: &str) -> NaiveDate {
    text.parse().unwrap()
}

fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text)
        .unwrap()
        .timestamp_millis()
}

#[test]
fn absurd_instants_have_a_day_with_four_digits() {
    for name in [
        "Asia/Shanghai",
        "UTC",
        "Pacific/Kiritimati",
        "Etc/GMT+12",
        "America/New_York",
    ] {
        let zone = zone(name);
        for at_ms in [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX] {
            let day = zone.day_of(at_ms);
            assert!(
                zone.rfc3339_ms(at_ms).starts_with(&day.to_string()),
                "{name} {at_ms}"
            );
            assert!(zone.day_start_ms(day) <= clamp(at_ms), "{name} {at_ms}");
        }
        assert_eq!(
            zone.day_start_ms(NaiveDate::MIN),
            zone.day_start_ms(day("0001-01-01"))
        );
        assert!(zone.day_start_ms(NaiveDate::MAX) > AT_MS_MAX);
    }
    assert_eq!(
        zone("UTC").rfc3339_ms(i64::MAX),
        "9999-12-30T23:59:59.999+00:00"
    );
    assert_eq!(
        zone("UTC").rfc3339_ms(i64::MIN),
        "0001-01-02T00:00:00.000+00:00"
    );
}

#[test]
fn the_arithmetic_for_china_begins_when_its_summer_time_has_ended() {
    let shanghai = Zone::default();
    for at_ms in (-200..200).map(|n| SHANGHAI_FIXED_FROM_MS + n * 1_800_000 - 1) {
        assert_eq!(
            shanghai.day_of(at_ms),
            shanghai.local(at_ms).date_naive(),
            "{at_ms}"
        );
    }
    // In summer time the day began at 15:00 UTC; since then it begins at 16:00.
    assert_eq!(
        shanghai.day_start_ms(day("1991-09-15")),
        at("1991-09-14T15:00:00Z")
    );
    assert_eq!(
        shanghai.day_start_ms(day("1991-09-16")),
        at("1991-09-15T16:00:00Z")
    );
}

#[test]
fn a_skipped_midnight_begins_with_the_first_instant_after_it() {
    // 2018-11-04 00:00 became 01:00 in Brazil.
    let sao_paulo = zone("America/Sao_Paulo");
    let start_ms = sao_paulo.day_start_ms(day("2018-11-04"));
    assert_eq!(
        sao_paulo.rfc3339_ms(start_ms),
        "2018-11-04T01:00:00.000-02:00"
    );
    assert_eq!(
        sao_paulo.rfc3339_ms(start_ms - 1),
        "2018-11-03T23:59:59.999-03:00"
    );
    // 1919-03-30 23:30 became 00:30 in Toronto, so the day begins half an hour in.
    let toronto = zone("America/Toronto");
    let start_ms = toronto.day_start_ms(day("1919-03-31"));
    assert_eq!(
        toronto.rfc3339_ms(start_ms),
        "1919-03-31T00:30:00.000-04:00"
    );
    assert_eq!(toronto.day_of(start_ms - 1), day("1919-03-30"));
}

#[test]
fn an_hour_after_midnight_seen_twice_belongs_to_its_day_both_times() {
    // 2024-11-03 01:00 became 00:00 in Cuba: a day of 25 hours from its first midnight.
    let havana = zone("America/Havana");
    let start_ms = havana.day_start_ms(day("2024-11-03"));
    assert_eq!(start_ms, at("2024-11-03T00:00:00-04:00"));
    assert_eq!(
        havana.day_start_ms(day("2024-11-04")) - start_ms,
        25 * 3_600_000
    );
    assert_eq!(
        havana.day_of(at("2024-11-03T00:30:00-04:00")),
        day("2024-11-03")
    );
}

#[test]
fn a_turn_back_across_midnight_does_not_make_days_overlap() {
    // 2008-11-02 00:01 became 2008-11-01 23:01 in St. John's.
    let st_johns = zone("America/St_Johns");
    let start_ms = st_johns.day_start_ms(day("2008-11-02"));
    assert_eq!(start_ms, at("2008-11-02T00:00:00-03:30"));
    for minute in -180..180 {
        let at_ms = start_ms + minute * 60_000;
        let expected = if minute < 0 {
            "2008-11-01"
        } else {
            "2008-11-02"
        };
        assert_eq!(st_johns.day_of(at_ms), day(expected), "{minute}");
    }
}

#[test]
fn a_day_that_a_country_left_out_is_empty() {
    let apia = zone("Pacific/Apia");
    let missing = day("2011-12-30");
    assert_eq!(
        apia.day_start_ms(missing),
        apia.day_start_ms(day("2011-12-31"))
    );
    assert_eq!(apia.day_of(apia.day_start_ms(missing)), day("2011-12-31"));
    assert_eq!(
        apia.day_of(apia.day_start_ms(missing) - 1),
        day("2011-12-29")
    );
}

#[test]
fn the_remembered_day_is_not_taken_for_another_zone() {
    let at_ms = at("2024-07-01T23:30:00Z");
    assert_eq!(zone("UTC").day_of(at_ms), day("2024-07-01"));
    assert_eq!(zone("Asia/Tokyo").day_of(at_ms), day("2024-07-02"));
    assert_eq!(zone("America/New_York").day_of(at_ms), day("2024-07-01"));
}

#[test]
fn an_unknown_zone_is_named() {
    let error = Zone::parse("Asia/Peking").unwrap_err();
    assert_eq!(
        error.to_string(),
        "unknown time zone `Asia/Peking`, expected a name like `Asia/Shanghai`"
    );
}
