//! The requests to the kernel that have no safe form: a new network namespace, a TUN device, real-time scheduling.
#![allow(unsafe_code)]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::ioctl::{Opcode, Updater, ioctl, opcode};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// `TUNSETIFF` of linux/if_tun.h. It is declared to take an `int` and takes an [`InterfaceRequest`].
const TUNSETIFF: Opcode = opcode::write::<i32>(b'T', 202);
/// Packets without a link header, and without the four bytes of packet information.
const IFF_TUN_NO_PI: i16 = 0x0001 | 0x1000;

/// `struct ifreq` of linux/if.h, as `TUNSETIFF` reads and writes it.
#[repr(C)]
struct InterfaceRequest {
    name: [u8; 16],
    flags: i16,
    rest: [u8; 22],
}

/// Moves the calling thread, and only it, into a network namespace of its own.
pub(super) fn leave_network() -> io::Result<()> {
    // SAFETY: what makes this call unsafe is CLONE_FILES, which parts the thread from the others' descriptors; the flag
    // is not given.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET)? };
    Ok(())
}

/// Makes a TUN device in the calling thread's network namespace. It lives as long as the file, and each read or write
/// is one packet; reads do not block.
pub(super) fn tun(name: &str) -> io::Result<File> {
    let nonblocking = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new().read(true).write(true).custom_flags(nonblocking).open("/dev/net/tun")?;
    let mut request = InterfaceRequest { name: [0; 16], flags: IFF_TUN_NO_PI, rest: [0; 22] };
    let length = name.len().min(15); // a zero has to end it
    request.name[..length].copy_from_slice(&name.as_bytes()[..length]);
    // SAFETY: for this request the kernel reads a struct ifreq and writes one back. InterfaceRequest has its size of 40
    // bytes and its fields' places, consists of integers, for which any bytes are valid, and lives beyond the call.
    unsafe { ioctl(&file, Updater::<'_, TUNSETIFF, InterfaceRequest>::new(&mut request))? };
    Ok(file)
}

/// Lets the calling thread run as soon as it has something to do, whatever else wants the processor. Niceness would not
/// do: it counts only among the processes of one session.
pub(super) fn run_at_once() -> io::Result<()> {
    let lowest = libc::sched_param { sched_priority: 1 };
    // SAFETY: the call reads the structure, which lives beyond it; 0 is the calling thread.
    let answer =
        unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, &raw const lowest) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
