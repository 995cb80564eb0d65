//! Every fork, exec and exit, as the kernel's proc connector sends them over netlink
//! (`drivers/connector/cn_proc.c`).
//!
//! A process that lives 50 ms is seen, with its exit code or the signal that ended it. From 6.6 on
//! the kernel is told which events are wanted; an older one sends all of them, and what is not
//! wanted is passed over here. It takes `CAP_NET_ADMIN` before 6.6, and always the first network,
//! pid and user namespace: in another network there is no connector, and from within another of the
//! other two the kernel does not even answer.

mod message;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink};

use super::Absent;

pub use message::{ProcEvent, parse};

/// The multicast group of process events (`CN_IDX_PROC`).
const GROUP: u32 = 1;

/// How much the kernel keeps for a reader that is late; it grants twice this. An event takes 768
/// bytes there, so this is 10,000 of them: more than a second of 2,000 short lives a second.
const QUEUE_BYTES: usize = 4 << 20;

/// Room for one datagram, which holds one event of 76 bytes.
const DATAGRAM_BYTES: usize = 4096;

/// How many events one call reads, so that a storm of processes leaves time for the other
/// witnesses.
const EVENTS_MAX: usize = 4096;

/// The open connector.
#[derive(Debug)]
pub struct Connector {
    socket: OwnedFd,
    datagram: Vec<u8>,
}

impl Connector {
    /// Subscribes to process events. Reading never blocks.
    pub fn open() -> Result<Self, Absent> {
        let mut connector = Self::bind().map_err(refusal)?;
        // A kernel before 6.6 does not answer the first: it does not know the length.
        for ask in [message::LISTEN_TO_SOME.as_slice(), message::LISTEN] {
            let request = message::request(ask);
            rustix::net::send(&connector.socket, &request, SendFlags::empty()).map_err(refusal)?;
            match connector.answer().map_err(refusal)? {
                Some(0) => return Ok(connector),
                Some(refused) => {
                    let errno = i32::try_from(refused).unwrap_or(0);
                    return Err(refusal(Errno::from_raw_os_error(errno)));
                }
                None => {}
            }
        }
        Err(Absent::new(
            "the kernel's proc connector does not answer: it takes the host's own pid and user namespace (hostPID for a pod, --pid=host for a container)",
        ))
    }

    fn bind() -> Result<Self, Errno> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = Some(netlink::CONNECTOR);
        let family = AddressFamily::NETLINK;
        let socket = rustix::net::socket_with(family, SocketType::DGRAM, flags, protocol)?;
        // Without CAP_NET_ADMIN the queue is as long as net.core.rmem_max allows.
        rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE_BYTES)
            .or_else(|_| rustix::net::sockopt::set_socket_recv_buffer_size(&socket, QUEUE_BYTES))?;
        rustix::net::bind(&socket, &SocketAddrNetlink::new(0, GROUP))?;
        Ok(Self { socket, datagram: Vec::with_capacity(DATAGRAM_BYTES) })
    }

    /// What the kernel says to a request: 0, or an error number. It answers before `send`
    /// returns; events may stand before the answer.
    fn answer(&mut self) -> Result<Option<u32>, Errno> {
        for _ in 0..EVENTS_MAX {
            match self.receive() {
                Ok(datagram) => {
                    if let Some(said) = message::answer(datagram) {
                        return Ok(Some(said));
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR | Errno::NOBUFS) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(None)
    }

    /// Gives what happened since the last call, until there is no more for now, or much was read.
    ///
    /// The kernel stamps events with a clock that stands still while the machine sleeps: `asleep`
    /// is what the boot clock is ahead of it.
    pub fn read(&mut self, asleep: Duration, each: &mut dyn FnMut(ProcEvent)) -> io::Result<()> {
        for _ in 0..EVENTS_MAX {
            match self.receive() {
                Ok(datagram) => parse(datagram, asleep, each),
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => {}
                Err(Errno::NOBUFS) => each(ProcEvent::Lost),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(())
    }

    fn receive(&mut self) -> Result<&[u8], Errno> {
        self.datagram.clear();
        let room = rustix::buffer::spare_capacity(&mut self.datagram);
        rustix::net::recv(&self.socket, room, RecvFlags::empty())?;
        Ok(&self.datagram)
    }
}

/// A kernel before 6.6 does not notice that a subscriber is gone, and would go on making events.
impl Drop for Connector {
    fn drop(&mut self) {
        let request = message::request(message::IGNORE);
        let _best_effort = rustix::net::send(&self.socket, &request, SendFlags::empty());
    }
}

/// For `poll`: readable when there is an event.
impl AsFd for Connector {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn refusal(errno: Errno) -> Absent {
    Absent::new(match errno {
        Errno::PERM | Errno::ACCESS => {
            "process events are not permitted: it takes root or CAP_NET_ADMIN".to_owned()
        }
        Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT | Errno::NOENT | Errno::CONNREFUSED => {
            "no process events here: the kernel needs CONFIG_CONNECTOR and CONFIG_PROC_EVENTS; they are sent in the host's own network namespace alone (hostNetwork for a pod, --net=host for a container); a service with RestrictAddressFamilies= has to allow AF_NETLINK".to_owned()
        }
        errno => format!("no process events: {errno}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_names_the_way_out() {
        assert!(refusal(Errno::PERM).why.contains("CAP_NET_ADMIN"));
        assert!(refusal(Errno::PROTONOSUPPORT).why.contains("CONFIG_PROC_EVENTS"));
        assert!(refusal(Errno::AFNOSUPPORT).why.contains("AF_NETLINK"));
        assert!(refusal(Errno::IO).why.contains("no process events"));
    }
}
