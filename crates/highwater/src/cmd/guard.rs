//! Who may ask a server, as `[web]` of the configuration says it; the same for `agent` and `serve`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use highwater_agent::clock;
use highwater_agent::config::{Config, Rules, Web};
use highwater_web::{Guard, Protection, TlsFiles};

/// The guard of a server at `address`; what is wrong with it and yet no error is given to `say`.
pub(crate) fn of(web: &Web, address: SocketAddr, say: fn(&str)) -> anyhow::Result<Guard> {
    let guard = Guard::new(address, &protection(web)?, || clock::now().wall)?;
    guard.warnings().iter().for_each(|line| say(line));
    Ok(guard)
}

/// `[web]` and `[rules]` of the configuration `file`, or of none.
pub(crate) fn web(file: Option<&Path>) -> anyhow::Result<(Web, Rules)> {
    let Some(file) = file else { return Ok((Web::default(), Rules::default())) };
    // The error says what is beneath it already.
    let config = Config::load(file).map_err(|error| anyhow::anyhow!("{error}"))?;
    Ok((config.web, config.rules))
}

fn protection(web: &Web) -> anyhow::Result<Protection> {
    let files = [&web.tls_certificate_file, &web.tls_key_file];
    let tls = match files.map(|file| !file.is_empty()) {
        [false, false] => None,
        [true, true] => {
            let [certificate, key] = files.map(PathBuf::from);
            Some(TlsFiles { certificate, key })
        }
        _ => bail!("web.tls_certificate_file and web.tls_key_file belong together: name both"),
    };
    Ok(Protection {
        tls,
        tokens: web.tokens.clone(),
        users: web.users.clone(),
        hosts: web.hosts.clone(),
        plain_http: web.allow_plain_http,
        anyone: web.allow_anyone,
    })
}
