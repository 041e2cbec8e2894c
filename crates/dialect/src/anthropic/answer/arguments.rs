//! Tells when the arguments of a streamed call are whole.
//!
//! **Invariant:** never wrong about JSON objects and lists: strings, escapes and nesting are followed.

/// Follows the pieces of one JSON value.
#[derive(Debug, Default)]
pub(super) struct Follower {
    depth: u64,
    in_string: bool,
    is_escaped: bool,
    has_begun: bool,
}

impl Follower {
    /// Takes the next piece.
    pub(super) fn push(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if self.in_string {
                match byte {
                    _ if self.is_escaped => self.is_escaped = false,
                    b'\\' => self.is_escaped = true,
                    b'"' => self.in_string = false,
                    _ => {}
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' | b'[' => {
                    self.depth += 1;
                    self.has_begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    /// An object or list has begun and ended.
    pub(super) fn is_whole(&self) -> bool {
        self.has_begun && self.depth == 0 && !self.in_string
    }
}

#[cfg(test)]
mod tests {
    use super::Follower;

    #[test]
    fn an_object_is_whole_with_its_last_bracket_and_not_before() {
        for arguments in ["{}", r#"{"a":{"b":"}\"{\\"},"c":[1,{}]}"#, r#"{"é":"\u007d"}"#] {
            let mut follower = Follower::default();
            for (end, character) in arguments.char_indices() {
                assert!(!follower.is_whole(), "{arguments} at {end}");
                follower.push(&character.to_string());
            }
            assert!(follower.is_whole(), "{arguments}");
        }
        assert!(!Follower::default().is_whole());
    }
}
