//! Comparing texts with phrases (semantics 3).

use super::*;

fn phrases(phrases: &[&str], match_: ClosingMatch) -> ClosingPhrases {
    let phrases: Vec<String> = phrases.iter().map(|phrase| (*phrase).to_owned()).collect();
    ClosingPhrases::new(&phrases, match_)
}

#[test]
fn exact_wants_the_whole_text() {
    let closing = phrases(&["谢谢", "好的谢谢！", "OK"], ClosingMatch::Exact);
    for text in ["谢谢", "谢谢[微笑]", "好的谢谢", "ｏｋ", "ok👌"] {
        assert!(closing.is_closing(text), "{text}");
    }
    for text in ["谢谢你", "好的，谢谢", "", "[微笑]", "o k"] {
        assert!(!closing.is_closing(text), "{text}");
    }
}

#[test]
fn contains_finds_a_phrase_anywhere() {
    let closing = phrases(&["谢谢", "OK"], ClosingMatch::Contains);
    for text in ["谢谢", "好的，谢谢你啊", "就这样OK的", "＃谢谢＃"] {
        assert!(closing.is_closing(text), "{text}");
    }
    assert!(!closing.is_closing("谢 谢"));
}

#[test]
fn a_phrase_that_says_nothing_matches_nothing() {
    for match_ in [ClosingMatch::Exact, ClosingMatch::Contains] {
        for none in [&[][..], &["", "！", "[微笑]", "👍"]] {
            let closing = phrases(none, match_);
            for text in ["", "！", "[微笑]", "👍", "谢谢"] {
                assert!(!closing.is_closing(text), "{match_:?} {text}");
            }
        }
    }
}
