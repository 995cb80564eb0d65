//! Tokens and passwords, as a request brings them.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use subtle::ConstantTimeEq as _;

use super::GuardError;
use super::password::{MAX_COST, User, Users};

/// What a token's hash begins with.
pub(super) const TOKEN_HASH: &str = "sha256:";

/// The most of a header that is looked at: the longest passwords and tokens have some hundred bytes.
const MAX_HEADER_BYTES: usize = 4096;

/// Who may ask, by what he brings.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    tokens: Vec<[u8; 32]>,
    users: Option<Users>,
}

/// What is to be said of the credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// They are right, or nobody is asked.
    Fits,
    /// There are none.
    Missing,
    /// They are not right.
    Wrong,
    /// It cannot be told now.
    Busy,
}

impl Credentials {
    pub(super) fn new(tokens: &[String], users: &[String]) -> Result<Self, GuardError> {
        let tokens = tokens
            .iter()
            .enumerate()
            .map(|(at, token)| token_hash(token).ok_or(GuardError::Token(at.saturating_add(1))))
            .collect::<Result<_, _>>()?;
        let users = users
            .iter()
            .enumerate()
            .map(|(at, user)| {
                User::read(user).ok_or(GuardError::User(at.saturating_add(1), MAX_COST))
            })
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self { tokens, users: Users::new(users)? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tokens.is_empty() && self.users.is_none()
    }

    /// What is to be said of the credentials in `headers`.
    pub(super) async fn verdict(&self, headers: &HeaderMap) -> Verdict {
        if self.is_empty() {
            return Verdict::Fits;
        }
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let value = match (values.next(), values.next()) {
            (Some(value), None) => value.as_bytes(),
            (None, _) => return Verdict::Missing,
            _ => return Verdict::Wrong,
        };
        match (Shown::read(value), &self.users) {
            (Some(Shown::Token(token)), _) if self.is_token(token) => Verdict::Fits,
            (Some(Shown::Password { name, password }), Some(users)) => {
                users.verdict(&name, &password).await
            }
            _ => Verdict::Wrong,
        }
    }

    /// Compares with all, whichever fits: the time tells nothing of how much of one is right.
    fn is_token(&self, token: &[u8]) -> bool {
        let hash = digest(&SHA256, token);
        let fits = self.tokens.iter().map(|known| known.as_slice().ct_eq(hash.as_ref()));
        fits.fold(subtle::Choice::from(0), |any, one| any | one).into()
    }

    /// How to ask, for who did not.
    pub(super) fn challenges(&self) -> Vec<&'static str> {
        let token = (!self.tokens.is_empty()).then_some(r#"Bearer realm="highwater""#);
        let user = self.users.as_ref().map(|_| r#"Basic realm="highwater", charset="UTF-8""#);
        user.into_iter().chain(token).collect()
    }
}

/// What a request shows.
enum Shown<'h> {
    Token(&'h [u8]),
    Password { name: Vec<u8>, password: Vec<u8> },
}

impl<'h> Shown<'h> {
    fn read(header: &'h [u8]) -> Option<Self> {
        if header.len() > MAX_HEADER_BYTES {
            return None;
        }
        let blank = header.iter().position(|byte| *byte == b' ')?;
        let (scheme, rest) = header.split_at_checked(blank)?;
        let rest = rest.trim_ascii();
        if scheme.eq_ignore_ascii_case(b"bearer") {
            return Some(Self::Token(rest));
        }
        if !scheme.eq_ignore_ascii_case(b"basic") {
            return None;
        }
        let pair = STANDARD.decode(rest).ok()?;
        let mut parts = pair.splitn(2, |byte| *byte == b':');
        Some(Self::Password { name: parts.next()?.to_vec(), password: parts.next()?.to_vec() })
    }
}

/// The hash in a line of the configuration.
fn token_hash(line: &str) -> Option<[u8; 32]> {
    let digits = line.strip_prefix(TOKEN_HASH)?.as_bytes();
    let mut hash = [0; 32];
    if digits.len() != hash.len() * 2 {
        return None;
    }
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    use crate::guard::{token_line, user_line};

    fn both() -> Credentials {
        let token = token_line("a-token-of-some-length").unwrap();
        let user = user_line("ann", "right", 4).unwrap();
        Credentials::new(&[token], &[user]).unwrap()
    }

    fn verdict(credentials: &Credentials, values: &[&str]) -> Verdict {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(AUTHORIZATION, value.parse().unwrap());
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(credentials.verdict(&headers))
    }

    fn basic(pair: &str) -> String {
        format!("Basic {}", STANDARD.encode(pair))
    }

    #[test]
    fn a_token_or_a_password_lets_in() {
        let all = both();
        assert_eq!(verdict(&all, &["Bearer a-token-of-some-length"]), Verdict::Fits);
        assert_eq!(verdict(&all, &["bearer   a-token-of-some-length "]), Verdict::Fits);
        assert_eq!(verdict(&all, &[&basic("ann:right")]), Verdict::Fits);
        assert_eq!(verdict(&all, &[&basic("ann:right")]), Verdict::Fits, "as it did before");
        assert_eq!(verdict(&Credentials::default(), &["Bearer x"]), Verdict::Fits, "nobody asks");
    }

    #[test]
    fn nothing_else_does() {
        let all = both();
        assert_eq!(verdict(&all, &[]), Verdict::Missing);
        let hash = token_line("a-token-of-some-length").unwrap();
        for wrong in [
            "",
            "Bearer",
            "Bearer ",
            "Bearer a-token-of-some-lengt",
            &format!("Bearer {hash}"),
            "a-token-of-some-length",
            "Bearer a-token-of-some-length x",
            "Digest username=\"ann\"",
            "Basic",
            "Basic !!!!",
            "Basic YW5u",
            &basic("ann:wrong"),
            &basic("ann:"),
            &basic("ann"),
            &basic(":right"),
            &basic("bob:right"),
            &basic("Ann:right"),
            &basic("ann:right\0"),
            &format!("Bearer {}", "a".repeat(60_000)),
        ] {
            assert_eq!(verdict(&all, &[wrong]), Verdict::Wrong, "{wrong}");
        }
        let two = ["Bearer a-token-of-some-length", "Bearer x"];
        assert_eq!(verdict(&all, &two), Verdict::Wrong);
    }

    #[test]
    fn a_hash_has_64_digits() {
        let digits = "0f".repeat(32);
        assert_eq!(token_hash(&format!("sha256:{digits}")), Some([15; 32]));
        for wrong in [
            "",
            "sha256:",
            &digits,
            "sha256:0f",
            &format!("sha256:+{}", digits.trim_start_matches('0')),
            "sha256:é",
        ] {
            assert_eq!(token_hash(wrong), None, "{wrong}");
        }
    }
}
