//! What can be typed to make the hash of a secret.

/// Make what the configuration keeps of a token or a password.
///
/// Reads the secret from standard input, up to the end of the line, and prints the line that goes into
/// the table web: the SHA-256 of a token, or with --user the bcrypt hash of a password. With --new it makes the
/// secret itself, and prints it in a comment above the line. Nothing is stored.
///
/// Exit status: 0 printed; 1 the secret cannot be used, and why; 64 usage.
#[derive(Debug, clap::Args)]
pub(crate) struct WebSecretArgs {
    /// A password of this user, for basic authentication; else a token
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Make a secret that cannot be guessed
    #[arg(long)]
    pub(crate) new: bool,
}
