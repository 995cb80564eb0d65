//! Where to ask, and as whom.

use std::fs;
use std::path::{Path, PathBuf};

/// Where a pod finds the files of its service account.
pub const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// Whom to ask, and as whom.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KubeConfig {
    /// `http://127.0.0.1:10255` or `https://127.0.0.1:10250` of the kubelet, or the API server's.
    pub url: String,
    /// The bearer token, read anew each time: it is replaced every hour.
    pub token_file: Option<PathBuf>,
    /// The authorities that may have signed the server's certificate, as PEM; without it those
    /// that the world trusts.
    pub ca_file: Option<PathBuf>,
    /// Takes any certificate. A kubelet often has one that it signed itself.
    pub insecure: bool,
    /// The name of this node: `url` is the API server's. Without it `url` is the kubelet's.
    pub node: Option<String>,
}

impl KubeConfig {
    /// In a pod: the files of the service account below `files`, the API server's address from the
    /// environment (`KUBERNETES_SERVICE_HOST`, `KUBERNETES_SERVICE_PORT`), and the name of the node.
    pub fn in_cluster(files: &Path, host: &str, port: &str, node: &str) -> Option<Self> {
        let token = files.join("token");
        if host.is_empty() || node.is_empty() || fs::metadata(&token).is_err() {
            return None;
        }
        let host = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
        let port = if port.is_empty() { "443" } else { port };
        Some(Self {
            url: format!("https://{host}:{port}"),
            token_file: Some(token),
            ca_file: Some(files.join("ca.crt")).filter(|file| file.is_file()),
            insecure: false,
            node: Some(node.to_owned()),
        })
    }
}

/// Whether the machine with these cgroups runs pods: `/kubepods/…`, `/kubepods.slice/…`, also below
/// another, as `kind` has it.
pub fn is_node<'a>(cgroups: impl IntoIterator<Item = &'a str>) -> bool {
    let is_pods = |part: &str| part == "kubepods" || part.ends_with("kubepods.slice");
    cgroups.into_iter().any(|path| path.split('/').any(is_pods))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_finds_its_account() {
        let dir = tempfile::tempdir().unwrap();
        let of = |host: &str, port: &str| KubeConfig::in_cluster(dir.path(), host, port, "node-1");
        assert_eq!(of("10.0.0.1", "443"), None, "there is no token");
        fs::write(dir.path().join("token"), "secret").unwrap();
        let found = of("10.0.0.1", "6443").unwrap();
        assert_eq!((found.url.as_str(), found.ca_file), ("https://10.0.0.1:6443", None));
        fs::write(dir.path().join("ca.crt"), "").unwrap();
        let found = of("fd00::1", "").unwrap();
        assert_eq!(found.url, "https://[fd00::1]:443");
        assert_eq!(found.ca_file, Some(dir.path().join("ca.crt")));
        assert_eq!(of("", "443"), None);
    }

    #[test]
    fn a_node_has_cgroups_of_pods() {
        assert!(is_node(["/", "/kubepods.slice/kubepods-burstable.slice"]));
        assert!(is_node(["/kubepods/besteffort/pod1"]));
        assert!(is_node(["/kubelet.slice/kubelet-kubepods.slice"]));
        assert!(!is_node(["/", "/system.slice/kubepods.service", "/docker/kubepodsx"]));
    }
}
