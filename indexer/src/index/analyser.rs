//! The analyser: one token for each character of the folded text, its position the character's
//! number. No stop words, no length limits, no grouping: anything dropped here is a message missed.

use tantivy::tokenizer::{Token, TokenStream, Tokenizer};

use super::fold::fold_str;

/// Splits text into its folded characters.
#[derive(Clone, Default)]
pub struct Characters {
    folded: String,
    token: Token,
}

/// The characters of one text.
pub struct CharacterStream<'a> {
    folded: &'a str,
    at: usize,
    token: &'a mut Token,
}

impl Tokenizer for Characters {
    type TokenStream<'a> = CharacterStream<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> CharacterStream<'a> {
        self.folded.clear();
        fold_str(text, &mut self.folded);
        self.token.reset();
        CharacterStream {
            folded: &self.folded,
            at: 0,
            token: &mut self.token,
        }
    }
}

impl TokenStream for CharacterStream<'_> {
    fn advance(&mut self) -> bool {
        let Some(next) = self.folded[self.at..].chars().next() else {
            return false;
        };
        self.token.offset_from = self.at;
        self.at += next.len_utf8();
        self.token.offset_to = self.at;
        self.token.text.clear();
        self.token.text.push(next);
        // `reset` leaves usize::MAX, so that the first character is position 0.
        self.token.position = self.token.position.wrapping_add(1);
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}
