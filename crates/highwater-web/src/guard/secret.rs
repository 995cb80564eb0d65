//! Makes what the configuration keeps of a secret.

use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::credentials::TOKEN_HASH;

/// A token is hashed once, and quickly: it has to be long, since nothing slows down who has the hash.
const MIN_TOKEN_CHARS: usize = 16;
/// bcrypt looks at no more of a password.
const MAX_PASSWORD_BYTES: usize = 72;

/// Why nothing is made of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// It can be guessed.
    #[error("a token needs {MIN_TOKEN_CHARS} characters at least; --new makes one")]
    Short,
    /// It cannot be sent.
    #[error("a token is made of ASCII letters, digits and signs, without blanks")]
    Unsendable,
    /// There is none.
    #[error("the password is empty")]
    Empty,
    /// Part of it would not count.
    #[error("a password has {MAX_PASSWORD_BYTES} bytes at most, and no zero byte")]
    Long,
    /// It cannot be told from what follows.
    #[error("a user's name is not empty and has no colon and no control characters")]
    Name,
    /// No randomness.
    #[error("the system gives no random numbers")]
    Random,
}

/// A token that cannot be guessed: 256 bits, in hexadecimal.
pub fn new_token() -> Result<String, SecretError> {
    Ok(hexadecimal(&random::<32>()?))
}

/// What `web.tokens` keeps of `token`.
pub fn token_line(token: &str) -> Result<String, SecretError> {
    if !token.chars().all(|c| c.is_ascii_graphic()) {
        return Err(SecretError::Unsendable);
    }
    if token.chars().count() < MIN_TOKEN_CHARS {
        return Err(SecretError::Short);
    }
    Ok(format!("{TOKEN_HASH}{}", hexadecimal(digest(&SHA256, token.as_bytes()).as_ref())))
}

/// What `web.users` keeps of this user; `cost` doubles with each step what a guess takes.
pub fn user_line(name: &str, password: &str, cost: u32) -> Result<String, SecretError> {
    if name.is_empty() || name.chars().any(|c| c == ':' || c.is_control()) {
        return Err(SecretError::Name);
    }
    if password.is_empty() {
        return Err(SecretError::Empty);
    }
    if password.len() > MAX_PASSWORD_BYTES || password.contains('\0') {
        return Err(SecretError::Long);
    }
    let hash = bcrypt::hash_with_salt(password, cost, random()?).map_err(|_| SecretError::Long)?;
    Ok(format!("{name}:{}", hash.format_for_version(bcrypt::Version::TwoY)))
}

fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SecretError::Random)?;
    Ok(bytes)
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        write!(text, "{byte:02x}").unwrap_or_default();
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_kept_as_its_hash() {
        // echo -n 0123456789abcdef | sha256sum
        let hash = "sha256:9f9f5111f7b27a781f1f1ddde5ebc2dd2b796bfc7365c9c28b548e564176929f";
        assert_eq!(token_line("0123456789abcdef").as_deref(), Ok(hash));
        let new = new_token().unwrap();
        assert_eq!(new.len(), 64);
        assert_ne!(Ok(new), new_token());
    }

    #[test]
    fn what_can_be_guessed_or_not_be_sent_is_refused() {
        assert_eq!(token_line("short"), Err(SecretError::Short));
        assert_eq!(token_line("a blank in the middle"), Err(SecretError::Unsendable));
        assert_eq!(token_line("sixteen-characters\n"), Err(SecretError::Unsendable));
        assert_eq!(token_line("ümläuts-and-others"), Err(SecretError::Unsendable));
        assert_eq!(user_line("", "x", 4), Err(SecretError::Name));
        assert_eq!(user_line("a:b", "x", 4), Err(SecretError::Name));
        assert_eq!(user_line("a", "", 4), Err(SecretError::Empty));
        assert_eq!(user_line("a", &"x".repeat(73), 4), Err(SecretError::Long));
        assert_eq!(user_line("a", "x\0y", 4), Err(SecretError::Long));
    }

    #[test]
    fn a_password_is_kept_as_htpasswd_keeps_it() {
        let line = user_line("ann", "right", 4).unwrap();
        let hash = line.strip_prefix("ann:").unwrap();
        assert!(hash.starts_with("$2y$04$") && hash.len() == 60, "{hash}");
        assert_eq!(bcrypt::verify("right", hash).ok(), Some(true));
        assert_ne!(user_line("ann", "right", 4), Ok(line), "salted");
    }
}
