//! JSON in pieces: what begins and ends, keys, texts and bare words, with nothing kept but the
//! present token.

/// Levels that are followed; sadf has nine.
const MAX_DEPTH: usize = 32;

/// As much of a text as is kept; a path has at most 4,096 bytes.
const MAX_TEXT: usize = 4096;

/// One step through a document.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// An object begins.
    Object,
    /// A list begins.
    List,
    /// An object or a list ends.
    End,
    /// The key of what follows, as it is written.
    Key(&'a [u8]),
    /// A text, as it is written.
    Text(&'a [u8]),
    /// A number, `true`, `false` or `null`.
    Bare(&'a [u8]),
    /// Bytes that do not belong there.
    Broken,
    /// A level too deep to be followed.
    TooDeep,
    /// The text that follows was cut.
    Cut,
}

/// Inside which token a piece may end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Inside {
    #[default]
    Nothing,
    Text,
    /// After a backslash in a text.
    Escape,
    Bare,
}

/// Takes JSON apart.
#[derive(Debug, Default)]
pub(crate) struct Json {
    inside: Inside,
    token: Vec<u8>,
    is_cut: bool,
    /// Of every level, whether it is an object.
    levels: Vec<bool>,
    /// Levels beyond those.
    deeper: usize,
    /// Whether the next text is a key.
    at_key: bool,
    /// Line ends so far.
    line_ends: u64,
}

impl Json {
    /// Takes a piece and gives every step that is complete in it, with its line.
    pub(crate) fn push<E>(
        &mut self,
        mut bytes: &[u8],
        take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while let Some((first, rest)) = bytes.split_first() {
            bytes = match self.inside {
                Inside::Nothing => {
                    self.between(*first, take)?;
                    rest
                }
                Inside::Text => self.text(bytes, take)?,
                Inside::Escape => {
                    self.keep(&[*first]);
                    self.inside = Inside::Text;
                    rest
                }
                Inside::Bare => self.bare(bytes, take)?,
            };
        }
        Ok(())
    }

    /// Whether everything that began has ended.
    pub(crate) fn is_whole(&self) -> bool {
        self.levels.is_empty() && self.deeper == 0 && self.inside == Inside::Nothing
    }

    /// The line that is being read.
    pub(crate) fn line(&self) -> u64 {
        self.line_ends + 1
    }

    fn between<E>(
        &mut self,
        byte: u8,
        take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = self.line();
        match byte {
            b'\n' => self.line_ends += 1,
            b' ' | b'\t' | b'\r' => {}
            b':' => self.at_key = false,
            b',' => self.at_key = self.levels.last().copied().unwrap_or_default(),
            b'"' => self.inside = Inside::Text,
            b'{' => return self.begin(true, take),
            b'[' => return self.begin(false, take),
            b'}' | b']' => return self.end(take),
            b'0'..=b'9' | b'a'..=b'z' | b'-' | b'+' | b'.' => {
                self.token.push(byte);
                self.inside = Inside::Bare;
            }
            _ => return take(line, Step::Broken),
        }
        Ok(())
    }

    fn begin<E>(
        &mut self,
        is_object: bool,
        take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let line = self.line();
        if self.levels.len() >= MAX_DEPTH {
            self.deeper = self.deeper.saturating_add(1);
            return take(line, Step::TooDeep);
        }
        self.levels.push(is_object);
        self.at_key = is_object;
        take(line, if is_object { Step::Object } else { Step::List })
    }

    fn end<E>(&mut self, take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>) -> Result<(), E> {
        if self.deeper > 0 {
            self.deeper -= 1;
            return Ok(());
        }
        let step = if self.levels.pop().is_some() { Step::End } else { Step::Broken };
        self.at_key = false;
        take(self.line(), step)
    }

    /// Goes on in a text; what follows it.
    fn text<'a, E>(
        &mut self,
        bytes: &'a [u8],
        take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        let end = memchr::memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len());
        let (inner, rest) = bytes.split_at(end);
        self.keep(inner);
        let Some((mark, rest)) = rest.split_first() else { return Ok(rest) };
        match mark {
            b'\\' => {
                self.keep(b"\\");
                self.inside = Inside::Escape;
            }
            b'\n' => {
                self.keep(b"\n");
                self.line_ends += 1;
            }
            _ => self.text_ends(take)?,
        }
        Ok(rest)
    }

    fn text_ends<E>(
        &mut self,
        take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.inside = Inside::Nothing;
        let line = self.line();
        if std::mem::take(&mut self.is_cut) {
            take(line, Step::Cut)?;
        }
        let done = match (self.deeper, self.at_key) {
            (0, true) => take(line, Step::Key(&self.token)),
            (0, false) => take(line, Step::Text(&self.token)),
            _ => Ok(()),
        };
        self.token.clear();
        done
    }

    /// Goes on in a bare word; what follows it.
    fn bare<'a, E>(
        &mut self,
        bytes: &'a [u8],
        take: &mut dyn FnMut(u64, Step<'_>) -> Result<(), E>,
    ) -> Result<&'a [u8], E> {
        let is_part =
            |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-');
        let end = bytes.iter().position(|byte| !is_part(byte));
        let (inner, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
        self.keep(inner);
        if end.is_some() {
            self.inside = Inside::Nothing;
            self.is_cut = false;
            let line = self.line();
            let done = if self.deeper == 0 { take(line, Step::Bare(&self.token)) } else { Ok(()) };
            self.token.clear();
            done?;
        }
        Ok(rest)
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = MAX_TEXT.saturating_sub(self.token.len());
        self.is_cut |= bytes.len() > room;
        self.token.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(pieces: &[&[u8]]) -> (String, bool) {
        let (mut json, mut out) = (Json::default(), String::new());
        for piece in pieces {
            let mut take = |line: u64, step: Step<'_>| {
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                let step = match step {
                    Step::Object => "{".to_owned(),
                    Step::List => "[".to_owned(),
                    Step::End => ")".to_owned(),
                    Step::Key(key) => format!(" {}:", text(key)),
                    Step::Text(of) => format!(" {:?}", text(of)),
                    Step::Bare(of) => format!(" {}", text(of)),
                    other => format!(" {other:?}@{line}"),
                };
                out.push_str(&step);
                Ok::<(), ()>(())
            };
            json.push(piece, &mut take).unwrap();
        }
        (out, json.is_whole())
    }

    #[test]
    fn a_document_has_the_same_steps_however_it_is_cut() {
        let text = br#"{"a": [1, -2.5e3, {"b\"c": "d:\\"}], "e": null, "f": {}, "g": "h"}"#;
        let want = r#"{ a:[ 1 -2.5e3{ b\"c: "d:\\\\")) e: null f:{) g: "h")"#;
        assert_eq!(steps(&[text]), (want.to_owned(), true));
        let single: Vec<&[u8]> = text.chunks(1).collect();
        assert_eq!(steps(&single), (want.to_owned(), true));
    }

    #[test]
    fn garbage_is_told_and_passed_over() {
        assert_eq!(steps(&[b"}\n]\xff"]), (" Broken@1 Broken@2 Broken@2".to_owned(), true));
        assert_eq!(steps(&[b"[\"never"]), ("[".to_owned(), false));
        let deep = [b'['; 40];
        assert!(steps(&[&deep]).0.ends_with(&" TooDeep@1".repeat(8)));
        let (all, whole) = steps(&[&deep, &[b']'; 40], b"7 "]);
        assert!(all.ends_with(") 7") && whole);
        let long = [b"\"".as_slice(), &[b'x'; 9999], b"\" 1 "].concat();
        let (all, _) = steps(&[&long]);
        assert!(all.starts_with(" Cut@1") && all.len() < 5000 && all.ends_with(" 1"));
    }
}
