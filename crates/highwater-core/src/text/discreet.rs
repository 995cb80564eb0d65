//! What a command line says in confidence.
//!
//! ```text
//! mysql -psecret db                          mysql -p*** db
//! curl -H 'Authorization: Bearer x' …        Authorization: Bearer ***
//! psql postgres://me:secret@host/db          postgres://me:***@host/db
//! app --api-key=x --token y                  --api-key=*** --token ***
//! env DB_PASSWORD=x app                      DB_PASSWORD=***
//! ```
//!
//! A name gives its value away, so nothing is known of a secret that stands alone. Where it is not
//! certain, it is a secret: a command line is understood without it.

use std::borrow::Cow;

/// What stands for a secret.
const MASK: &[u8] = b"***";

/// Names that end in one of these, without regard to case, `-`, `_` and `.`, have a secret for a
/// value.
const SECRETS: [&[u8]; 16] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"secret",
    b"secrets",
    b"token",
    b"apikey",
    b"accesskey",
    b"secretkey",
    b"privatekey",
    b"authkey",
    b"encryptionkey",
    b"sharedkey",
    b"credential",
    b"credentials",
    b"authorization",
];

/// Names, or last words of names, that have one if they are an option: `--key`, `--db-pass`.
const SECRET_OPTIONS: [&[u8]; 2] = [b"key", b"pass"];

/// The ways to show who one is, which stand before the secret.
const SCHEMES: [&[u8]; 5] = [b"bearer", b"basic", b"digest", b"token", b"negotiate"];

/// Programs with an option of one letter for a secret; those whose names go on are meant, too.
const LETTERS: [(&[u8], &[u8], Place); 8] = [
    (b"mysql", b"-p", Place::Joined),
    (b"mariadb", b"-p", Place::Joined),
    (b"sshpass", b"-p", Place::Both),
    (b"mongo", b"-p", Place::Both),
    (b"redis-cli", b"-a", Place::Both),
    (b"ldap", b"-w", Place::Both),
    (b"curl", b"-u", Place::Both),
    (b"smbclient", b"-U", Place::Both),
];

/// Where the value of an option of one letter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Only in the same word: alone, it asks for it.
    Joined,
    /// There, or in the next word.
    Both,
}

/// What the next word is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Plain,
    /// The value of an option that may have none.
    Optional,
    Secret,
    /// A secret, perhaps after its scheme.
    Proof,
    /// The rest of a secret in quotes, up to this byte.
    Quoted(u8),
}

/// The command line without its secrets, each of which becomes `***`.
///
/// The words stand between NULs, as in `/proc/PID/cmdline`, or else between spaces; they stay where
/// they are. In a word with spaces, as a shell is given it, those are words, too.
pub fn discreet(line: &[u8]) -> Cow<'_, [u8]> {
    let mut reading = Reading::default();
    let inner = line.trim_ascii_end();
    let inner = inner.strip_suffix(b"\0").unwrap_or(inner);
    let said = if inner.contains(&0) { reading.words(line) } else { reading.phrase(line) };
    if said == line { Cow::Borrowed(line) } else { Cow::Owned(said) }
}

/// What was read so far, as far as it says what comes.
#[derive(Debug, Default)]
struct Reading {
    next: Next,
    /// The option of one letter of the program that was named last.
    letter: Option<(&'static [u8], Place)>,
}

impl Reading {
    /// Words between NULs, each whole.
    fn words(&mut self, line: &[u8]) -> Vec<u8> {
        let mut said = Vec::with_capacity(line.len());
        for (place, word) in line.split(|byte| *byte == 0).enumerate() {
            if place > 0 {
                said.push(0);
            }
            if word.contains(&b' ') && !matches!(self.next, Next::Secret | Next::Proof) {
                self.whole(word, &mut said);
            } else {
                self.word(word, &mut said);
            }
            // No quote goes on in another word.
            if matches!(self.next, Next::Quoted(_)) {
                self.next = Next::Plain;
            }
        }
        said
    }

    /// A word with spaces in it: a script, or a name and a secret with spaces.
    fn whole(&mut self, word: &[u8], said: &mut Vec<u8>) {
        if self.next == Next::Optional && !word.starts_with(b"-") {
            self.next = Next::Plain;
            return said.extend_from_slice(MASK);
        }
        let end = word.iter().position(|byte| matches!(byte, b'=' | b':')).unwrap_or(0);
        let (name, value) = word.split_at_checked(end).unwrap_or((word, b""));
        if !name.contains(&b' ') && is_secret(name) {
            let mark = value.get(..1).unwrap_or_default();
            let value = value.get(1..).unwrap_or_default().trim_ascii_start();
            let scheme = value.split(|byte| *byte == b' ').next().unwrap_or_default();
            said.extend_from_slice(name);
            said.extend_from_slice(mark);
            if mark == b":" {
                said.push(b' ');
            }
            if is_scheme(scheme) {
                said.extend_from_slice(scheme);
                said.push(b' ');
            }
            return said.extend_from_slice(MASK);
        }
        said.extend_from_slice(&self.phrase(word));
        self.next = Next::Plain;
    }

    /// Words between spaces.
    fn phrase(&mut self, text: &[u8]) -> Vec<u8> {
        let mut said = Vec::with_capacity(text.len());
        for (place, word) in text.split(|byte| *byte == b' ').enumerate() {
            if place > 0 {
                said.push(b' ');
            }
            self.word(word, &mut said);
        }
        said
    }

    fn word(&mut self, word: &[u8], said: &mut Vec<u8>) {
        if word.is_empty() {
            return;
        }
        match std::mem::take(&mut self.next) {
            Next::Optional if !word.starts_with(b"--") => self.mask(word, said),
            Next::Proof if is_scheme(word) => {
                self.next = Next::Secret;
                said.extend_from_slice(word);
            }
            Next::Secret | Next::Proof => self.mask(word, said),
            Next::Quoted(quote) => {
                if !word.contains(&quote) {
                    self.next = Next::Quoted(quote);
                }
            }
            Next::Optional | Next::Plain => self.plain(word, said),
        }
    }

    /// The word is a secret, or where one begins that is in quotes.
    fn mask(&mut self, word: &[u8], said: &mut Vec<u8>) {
        said.extend_from_slice(MASK);
        let quote = word.first().copied().filter(|first| matches!(first, b'"' | b'\''));
        if let Some(quote) = quote
            && !word.get(1..).unwrap_or_default().contains(&quote)
        {
            self.next = Next::Quoted(quote);
        }
    }

    fn plain(&mut self, word: &[u8], said: &mut Vec<u8>) {
        let bare = word.trim_ascii();
        let bare = bare.strip_prefix(b"'").or(bare.strip_prefix(b"\"")).unwrap_or(bare);
        if let Some((option, place)) = self.letter
            && let Some(value) = bare.strip_prefix(option)
            && !(value.is_empty() && place == Place::Joined)
        {
            said.extend_from_slice(option);
            match value {
                b"" => self.next = Next::Secret,
                value => self.mask(value, said),
            }
            return;
        }
        self.letter = letter(bare).or(self.letter);
        if is_scheme(bare) && bare.eq_ignore_ascii_case(b"bearer") {
            self.next = Next::Secret;
        } else if is_secret_option(bare) {
            self.next = Next::Optional;
        }
        self.values(word, said);
    }

    /// The word with the values of its names, and of its addresses, masked.
    fn values(&mut self, word: &[u8], said: &mut Vec<u8>) {
        let mut rest = word;
        while let Some(at) = rest.iter().position(|byte| matches!(byte, b'=' | b':')) {
            let (before, after) = rest.split_at_checked(at).unwrap_or((rest, b""));
            let (mark, after) = after.split_at_checked(1).unwrap_or((after, b""));
            said.extend_from_slice(before);
            said.extend_from_slice(mark);
            rest = after;
            let is_path = mark == b":" && is_end_of_path(before);
            if is_secret(before) && !is_path || mark == b"=" && is_secret_option(before) {
                rest = self.value(mark, after, said);
            } else if mark == b":" && after.starts_with(b"//") {
                rest = address(after, said);
            }
        }
        said.extend_from_slice(rest);
    }

    /// Masks the value at the beginning of `text`, and gives what comes after it.
    fn value<'t>(&mut self, mark: &[u8], text: &'t [u8], said: &mut Vec<u8>) -> &'t [u8] {
        let is_end = |byte: &u8| matches!(byte, b'&' | b',' | b'}' | b';');
        let end = if mark == b"=" {
            text.iter().position(|byte| matches!(byte, b'&'))
        } else {
            text.iter().position(is_end)
        };
        let (value, rest) = text.split_at_checked(end.unwrap_or(text.len())).unwrap_or((text, b""));
        if is_scheme(value) {
            said.extend_from_slice(value);
            self.next = Next::Secret;
        } else if !value.is_empty() {
            self.mask(value, said);
        } else if mark == b":" && rest.is_empty() {
            self.next = Next::Proof;
        }
        rest
    }
}

/// `//user:password@host`: masks the password, and gives what comes after it.
fn address<'t>(text: &'t [u8], said: &mut Vec<u8>) -> &'t [u8] {
    let host = text.get(2..).unwrap_or_default();
    let end = host.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\''));
    let authority = host.get(..end.unwrap_or(host.len())).unwrap_or(host);
    let at = authority.iter().rposition(|byte| *byte == b'@');
    let user = at.and_then(|at| authority.get(..at));
    let Some(colon) = user.and_then(|user| user.iter().position(|byte| *byte == b':')) else {
        return text;
    };
    said.extend_from_slice(b"//");
    said.extend_from_slice(host.get(..=colon).unwrap_or_default());
    said.extend_from_slice(MASK);
    at.and_then(|at| host.get(at..)).unwrap_or_default()
}

fn letter(word: &[u8]) -> Option<(&'static [u8], Place)> {
    let name = word.rsplit(|byte| *byte == b'/').next().unwrap_or(word);
    let known = LETTERS.iter().find(|(program, ..)| name.starts_with(program))?;
    Some((known.1, known.2))
}

fn is_scheme(word: &[u8]) -> bool {
    SCHEMES.iter().any(|scheme| word.eq_ignore_ascii_case(scheme))
}

/// Whether what has this name, or ends in it, is a secret.
fn is_secret(name: &[u8]) -> bool {
    let name = last_name(name);
    SECRETS.iter().any(|secret| ends_with(name, secret))
}

/// `--token` or `-token`; not a word that only says so.
fn is_secret_option(word: &[u8]) -> bool {
    let Some(name) = word.strip_prefix(b"-") else { return false };
    let last = name.rsplit(|byte| matches!(byte, b'-' | b'_' | b'.')).next().unwrap_or(name);
    let is_letters = name.iter().all(|byte| is_of_name(*byte));
    let is_option = SECRET_OPTIONS.iter().any(|option| last.eq_ignore_ascii_case(option));
    is_letters && (is_option || is_secret(name))
}

/// A directory or an image may be named so: `-v /run/secret:/x`, `docker.io/secret:1`.
fn is_end_of_path(text: &[u8]) -> bool {
    let before = text.len().saturating_sub(last_name(text).len());
    before.checked_sub(1).is_some_and(|at| text.get(at) == Some(&b'/'))
}

/// The name at the end of the text, without the quote after it.
fn last_name(text: &[u8]) -> &[u8] {
    let text = text.strip_suffix(b"\"").or(text.strip_suffix(b"'")).unwrap_or(text);
    let start =
        text.iter().rposition(|byte| !is_of_name(*byte)).map_or(0, |at| at.saturating_add(1));
    text.get(start..).unwrap_or_default()
}

const fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.')
}

fn ends_with(name: &[u8], end: &[u8]) -> bool {
    let mut letters = name.iter().rev().filter(|byte| byte.is_ascii_alphanumeric());
    end.iter()
        .rev()
        .all(|byte| letters.next().is_some_and(|letter| letter.eq_ignore_ascii_case(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        String::from_utf8(discreet(line.as_bytes()).into_owned()).unwrap()
    }

    #[test]
    fn values_of_secret_names_are_masked() {
        for (line, expected) in [
            ("app --password x --user y", "app --password *** --user y"),
            ("app --password=x y", "app --password=*** y"),
            ("app --db-passwd x", "app --db-passwd ***"),
            ("app --secret=x --token y --key z", "app --secret=*** --token *** --key ***"),
            ("app --api-key x --apiKey=y", "app --api-key *** --apiKey=***"),
            ("app --password --user y", "app --password --user y"),
            ("app --password 'a b' c", "app --password ***  c"),
            ("env DB_PASSWORD=x GITHUB_TOKEN=y app", "env DB_PASSWORD=*** GITHUB_TOKEN=*** app"),
            ("docker run -e PGPASSWORD=x db", "docker run -e PGPASSWORD=*** db"),
            ("java -Ddb.password=x -jar a", "java -Ddb.password=*** -jar a"),
            ("curl http://h/?a=b&token=x&c=d", "curl http://h/?a=b&token=***&c=d"),
            (r#"curl -d {"password":"x","a":"b"}"#, r#"curl -d {"password":***,"a":"b"}"#),
        ] {
            assert_eq!(said(line), expected);
        }
    }

    #[test]
    fn programs_with_a_letter_for_it() {
        for (line, expected) in [
            ("mysql -uroot -psecret db", "mysql -uroot -p*** db"),
            ("mysql -p db", "mysql -p db"),
            ("/usr/bin/mysqldump -psecret db", "/usr/bin/mysqldump -p*** db"),
            ("sudo mariadb -psecret", "sudo mariadb -p***"),
            ("sshpass -p secret ssh h", "sshpass -p *** ssh h"),
            ("redis-cli -a secret ping", "redis-cli -a *** ping"),
            ("curl -u me:secret h", "curl -u *** h"),
            ("mkdir -psecret", "mkdir -psecret"),
            ("docker run -p 80:80 x", "docker run -p 80:80 x"),
        ] {
            assert_eq!(said(line), expected);
        }
    }

    #[test]
    fn addresses_and_headers() {
        for (line, expected) in [
            ("psql postgres://me:secret@h:5432/db", "psql postgres://me:***@h:5432/db"),
            ("git clone https://h/x ssh://git@h/y", "git clone https://h/x ssh://git@h/y"),
            ("a amqp://u:a@b@h,amqp://u:c@i", "a amqp://u:***@h,amqp://u:***@i"),
            ("curl -H Authorization: Bearer x h", "curl -H Authorization: Bearer *** h"),
            ("curl -H\0Authorization: Basic x y\0h", "curl -H\0Authorization: Basic ***\0h"),
            ("curl -H\0X-Api-Key: x\0h\0", "curl -H\0X-Api-Key: ***\0h\0"),
            ("curl -H 'Authorization: Bearer x' h", "curl -H 'Authorization: Bearer *** h"),
            ("say bearer x", "say bearer ***"),
        ] {
            assert_eq!(said(line), expected);
        }
    }

    #[test]
    fn words_between_zeros_are_whole() {
        for (line, expected) in [
            ("app\0--password\0a b\0c", "app\0--password\0***\0c"),
            ("app\0--password\0", "app\0--password\0"),
            ("app\0--password\0'x\0--user\0y", "app\0--password\0***\0--user\0y"),
            ("env\0PASSWORD=a b\0app", "env\0PASSWORD=***\0app"),
            ("sh\0-c\0mysql -psecret db\0", "sh\0-c\0mysql -p*** db\0"),
        ] {
            assert_eq!(said(line), expected);
        }
    }

    #[test]
    fn the_rest_stays_as_it_is() {
        for line in [
            "",
            " ",
            "\0\0",
            "kill -9 4711",
            "PWD=/home app --key-file=/x --tokenizer bpe",
            "docker run -v /run/secret:/run/secret hub/token:1",
            "sort -k2 --max-tokens 5",
            "systemctl stop a@b:c.service",
            "sh\0-c\0exec sleep 60\0",
        ] {
            assert!(matches!(discreet(line.as_bytes()), Cow::Borrowed(_)), "{line:?}");
        }
        let garbage = b"\xff:=\0:=//:@\xfe= '\"";
        assert!(discreet(garbage).len() <= garbage.len() + 8);
    }

    #[test]
    fn what_is_masked_stays_masked() {
        let once = said("a --token x https://u:p@h Authorization: Bearer x");
        assert_eq!(said(&once), once);
    }
}
