//! Sensitive words against a slow obvious re-statement, on random input (semantics 8).

use huicun_semantics::words::{WordHit, WordMatch, WordRule, Words};
use proptest::prelude::*;

/// Characters, and what each folds to when it stands alone.
const FOLDS: [(char, &str); 20] = [
    ('万', "万"),
    ('萬', "万"),
    ('发', "发"),
    ('發', "发"),
    ('髮', "发"),
    ('加', "加"),
    ('a', "a"),
    ('A', "a"),
    ('Ａ', "a"),
    ('1', "1"),
    ('①', "1"),
    ('㎜', "mm"),
    ('m', "m"),
    (' ', ""),
    ('\u{3000}', ""),
    ('-', ""),
    ('·', ""),
    ('。', ""),
    ('🙏', ""),
    ('\u{200B}', ""),
];

fn texts(n_chars_max: usize) -> impl Strategy<Value = String> {
    let chars = FOLDS.map(|(c, _)| c).to_vec();
    prop::collection::vec(prop::sample::select(chars), 0..=n_chars_max)
        .prop_map(|chars| chars.into_iter().collect())
}

fn rules() -> impl Strategy<Value = Vec<(Vec<String>, bool)>> {
    prop::collection::vec((prop::collection::vec(texts(3), 0..4), any::<bool>()), 0..4)
}

fn folded(chars: &[char]) -> String {
    let fold = |c: &char| FOLDS.iter().find(|(other, _)| other == c).unwrap().1;
    chars.iter().map(fold).collect()
}

/// Whether a word stands in exactly these characters of a text, and in no fewer of them.
fn stands_in(word: &[char], match_: WordMatch, chars: &[char]) -> bool {
    let wanted = folded(word);
    if match_ == WordMatch::Exact || wanted.is_empty() {
        return !word.is_empty() && word == chars;
    }
    // It may begin or end within a character that folds to several, so it need not be all of them.
    let says_something = |c: Option<&char>| c.is_some_and(|c| !folded(&[*c]).is_empty());
    let says = folded(chars);
    let inner = |from: usize, to: usize| folded(chars.get(from..to).unwrap_or(&[])).len();
    let (first_len, last_len) = (
        folded(&chars[..chars.len().min(1)]).len(),
        folded(&chars[chars.len().saturating_sub(1)..]).len(),
    );
    let n = says.len();
    says_something(chars.first())
        && says_something(chars.last())
        && (0..=n).any(|from| {
            let to = from + wanted.len();
            says.get(from..to) == Some(&wanted)
                && from < first_len
                && to > n - last_len
                && (chars.len() < 3 || wanted.len() >= inner(1, chars.len() - 1))
        })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_are_hit_wherever_they_stand(rules in rules(), text in texts(14)) {
        let match_of = |is_exact| if is_exact { WordMatch::Exact } else { WordMatch::Normalised };
        let given: Vec<WordRule<'_>> = rules
            .iter()
            .map(|(words, is_exact)| WordRule { words, match_: match_of(*is_exact) })
            .collect();
        let chars: Vec<char> = text.chars().collect();
        let mut expected = Vec::new();
        for start in 0..chars.len() {
            for end in start + 1..=chars.len() {
                for (rule, (words, is_exact)) in rules.iter().enumerate() {
                    for (word, text) in words.iter().enumerate() {
                        let word_chars: Vec<char> = text.chars().collect();
                        if stands_in(&word_chars, match_of(*is_exact), &chars[start..end]) {
                            expected.push(WordHit { rule, word, start, end });
                        }
                    }
                }
            }
        }
        prop_assert_eq!(Words::new(&given).hits(&text), expected);
    }

    #[test]
    fn any_text_is_hit_by_each_of_its_parts(text in "\\PC{1,12}", from in any::<prop::sample::Index>(), to in any::<prop::sample::Index>()) {
        let chars: Vec<char> = text.chars().collect();
        let (a, b) = (from.index(chars.len()), to.index(chars.len()));
        let (start, end) = (a.min(b), a.max(b) + 1);
        let word: String = chars[start..end].iter().collect();
        let rule = WordRule { words: &[word], match_: WordMatch::Exact };
        let found = Words::new(&[rule]).hits(&text);
        prop_assert!(found.iter().any(|hit| (hit.start, hit.end) == (start, end)));
        prop_assert!(found.iter().all(|hit| chars[hit.start..hit.end] == chars[start..end]));
    }

    #[test]
    fn places_lie_within_the_text(text in ".{0,20}", word in ".{1,2}") {
        let rule = WordRule { words: &[word], match_: WordMatch::Normalised };
        let n_chars = text.chars().count();
        for hit in Words::new(&[rule]).hits(&text) {
            prop_assert!(hit.start < hit.end && hit.end <= n_chars);
        }
    }
}
