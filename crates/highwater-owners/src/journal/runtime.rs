//! What dockerd, containerd and the kubelet log of an end.
//!
//! ```text
//! level=info msg="Container failed to exit within 10s of signal 15 - using the force" container=ID
//! level=info msg="Container ID failed to exit within 10 seconds of signal 15 - using the force"
//! level=info msg="ignoring event" container=ID … topic=/tasks/delete type="*events.TaskDelete"
//! level=info msg="shim disconnected" id=ID namespace=moby
//! level=info msg="TaskExit event &TaskExit{ContainerID:ID,ID:ID,Pid:7,ExitStatus:137,…}"
//! level=info msg="received exit event container_id:\"ID\" id:\"ID\" pid:7 exit_status:137 …"
//! level=info msg="TaskOOM event container_id:\"ID\""
//! "Killing container with a grace period" pod="ns/web-1" … containerName="app" containerID="…://ID"
//! "Eviction manager: pod is evicted successfully" pod="ns/web-1"
//! ```

use highwater_core::id::Pid;
use highwater_core::owner::{Owner, is_container_id};
use highwater_core::testimony::{ContainerWord, Fact, Party, PodWord, Signal};

use crate::told::cited;

/// The digits of a container's id.
const ID_DIGITS: usize = 64;

/// The exit code that containerd's shims make up for a container they lost.
const LOST: i32 = 255;

/// What is said, and of which container.
pub(super) fn read(text: &str) -> Option<(Party, Fact)> {
    kubelet(text).or_else(|| container(text))
}

fn container(text: &str) -> Option<(Party, Fact)> {
    let (word, pid) = said(text)?;
    let id = id(text)?;
    let owner = Some(Owner::Container(id.to_owned()));
    let container_id = Some(id.to_owned());
    Some((Party { pid, owner, container_id, ..Party::default() }, Fact::Container(word)))
}

fn said(text: &str) -> Option<(ContainerWord, Option<Pid>)> {
    if text.contains("failed to exit within ") {
        let is_forced = text.contains("using the force") || text.contains("trying direct SIGKILL");
        let kill = ContainerWord::Kill { signal: Some(Signal::KILL) };
        return is_forced.then_some((kill, None));
    }
    if text.contains("TaskOOM event") || text.contains("topic=/tasks/oom") {
        return Some((ContainerWord::Oom, None));
    }
    if text.contains("TaskExit event") || text.contains("received exit event") {
        // What is said again when it could not be handled is not another end.
        if text.contains("level=error") {
            return None;
        }
        let number = |names: [&str; 2]| names.iter().find_map(|name| after(text, name));
        let code =
            number(["exit_status:", "ExitStatus:"]).and_then(|code| i32::try_from(code).ok());
        let pid = number(["pid:", "Pid:"]).and_then(|pid| u32::try_from(pid).ok());
        let code = code.filter(|code| *code != LOST);
        return Some((ContainerWord::Died { code, oom: None }, pid.map(Pid::new)));
    }
    let is_over = text.contains("msg=\"shim disconnected\"")
        || text.contains("topic=/tasks/delete") && text.contains("TaskDelete");
    is_over.then_some((ContainerWord::Died { code: None, oom: None }, None))
}

/// The number behind `name`.
fn after(text: &str, name: &str) -> Option<u64> {
    let (_, rest) = text.split_once(name)?;
    let end = rest.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

/// The first whole id in the text: 64 digits that nothing else stands around.
fn id(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric())
        .find(|part| part.len() == ID_DIGITS && is_container_id(part))
}

fn kubelet(text: &str) -> Option<(Party, Fact)> {
    let message = || cited(text.split_once("] ").map_or(text, |(_, words)| words).as_bytes());
    let word = if text.contains("\"Killing container with a grace period")
        || text.contains("Killing container \"")
    {
        PodWord::Killing { message: message() }
    } else if text.contains("viction manager: pod ") && text.contains(" is evicted successfully") {
        PodWord::Evicted { message: message() }
    } else if text.contains("\"Message for Container of pod\"") {
        let message = quoted(text, "containerMessage=")?;
        PodWord::Killing { message: message.to_owned() }
    } else {
        return None;
    };
    let id = id(text);
    let owner = pod(text).or_else(|| id.map(|id| Owner::Container(id.to_owned())))?;
    let container_id = id.map(str::to_owned);
    let about = Party { owner: Some(owner), container_id, ..Party::default() };
    Some((about, Fact::Pod(word)))
}

/// `pod="ns/web-1"`; an eviction is of the whole pod, and names no container.
fn pod(text: &str) -> Option<Owner> {
    let (namespace, pod) = match quoted(text, "pod=") {
        Some(pod) => pod.split_once('/')?,
        None => evicted(text)?,
    };
    let container = quoted(text, "containerName=").unwrap_or_default();
    let (namespace, pod, container) = (namespace.into(), pod.into(), container.into());
    Some(Owner::Pod { namespace, pod, container })
}

/// `eviction manager: pod web-1_ns(uid) is evicted successfully` (up to 1.20).
fn evicted(text: &str) -> Option<(&str, &str)> {
    let (_, rest) = text.split_once("viction manager: pod ")?;
    let (pod, rest) = rest.split_once('_')?;
    let (namespace, _) = rest.split_once('(')?;
    Some((namespace, pod))
}

/// `name="value"`.
fn quoted<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    rest.strip_prefix('"')?.split('"').next()
}
