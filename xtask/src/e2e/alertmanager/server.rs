//! Debian's Alertmanager, with a place of its own.

use std::fs;
use std::path::Path;

use crate::e2e::loopback::Server;

/// Starts one that tells `hook` of everything, soon and never again.
pub(super) fn start(folder: &Path, name: &str, hook: &str) -> anyhow::Result<Server> {
    let place = folder.join(name);
    fs::create_dir_all(&place)?;
    let config = place.join("alertmanager.yml");
    fs::write(
        &config,
        format!(
            "route: {{receiver: hook, group_by: ['...'], group_wait: 1s, group_interval: 2s, \
             repeat_interval: 4h}}\n\
             receivers:\n- name: hook\n  webhook_configs:\n  \
             - {{url: 'http://{hook}/', send_resolved: true}}\n"
        ),
    )?;
    let log = place.join("log");
    Server::start("prometheus-alertmanager", &log, "/api/v2/status", |command, address| {
        command.arg(format!("--config.file={}", config.display()));
        command.arg(format!("--storage.path={}", place.display()));
        command.arg(format!("--web.listen-address={address}"));
        command.arg("--cluster.listen-address=");
    })
}
