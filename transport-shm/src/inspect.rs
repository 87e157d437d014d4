//! Looking at the links of a running process from outside, without its help.
//!
//! No descriptor of a segment stays open once a link is up, so that nobody can open it again through
//! `/proc/PID/fd`. What is left are the mappings, which `/proc/PID/maps` lists; their first bytes are
//! read through `/proc/PID/mem`. That takes the right to trace the process, no more and no less than
//! a debugger needs. Nothing is mapped here, so nothing the process does can hurt the reader.

use std::io;

use crate::Counters;

/// One segment that a process has mapped: one direction of one link, as its header stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SegmentReport {
    /// Whether the process is the writer of this segment, or reads what its peer writes.
    pub own: bool,
    /// The link: the same for both directions and in both processes.
    pub nonce: [u8; 16],
    /// The process that made the segment, as it said itself.
    pub owner_pid: u64,
    /// Bytes of the ring.
    pub ring_capacity: u64,
    /// 0 not open yet, 1 open, 3 closed by its owner, 4 ended by its owner because the peer broke a
    /// rule.
    pub state: u32,
    /// The owner's park word for data; odd: a thread sleeps until the peer sends.
    pub rx_park: u32,
    /// The owner's park word for room; odd: a thread sleeps until the peer reads.
    pub tx_park: u32,
    /// How often the owner rang the peer because of data, ends included.
    pub data_bell: u32,
    /// How often the owner rang the peer because of room, ends included.
    pub space_bell: u32,
    /// What the owner has done so far.
    pub counters: Counters,
}

/// Reads the headers of all segments that process `pid` has mapped, in the order of their addresses.
/// A process without a link has none.
///
/// # Errors
///
/// - [`io::ErrorKind::NotFound`]: there is no such process.
/// - [`io::ErrorKind::PermissionDenied`]: it may not be traced by this one.
/// - [`io::ErrorKind::Unsupported`]: this system has no shared-memory transport.
///
/// A link that ends meanwhile is left out.
///
/// # Source
///
/// `docs/WIRE-FORMAT.md` section 2.3; the manual pages `proc_pid_maps(5)` and `proc_pid_mem(5)`.
pub fn inspect(pid: u32) -> io::Result<Vec<SegmentReport>> {
    #[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
    {
        here::inspect(pid)
    }
    #[cfg(not(all(target_os = "linux", target_endian = "little", target_pointer_width = "64")))]
    {
        let _ = pid;
        let why = crate::unavailable().unwrap_or_default();
        Err(io::Error::new(io::ErrorKind::Unsupported, why))
    }
}

#[cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod here {
    use std::fs::{self, File};
    use std::io;
    use std::os::unix::fs::FileExt;

    use super::SegmentReport;
    use crate::{Counters, layout};

    /// How the system names a mapping of a segment: `segment/` gives its files this name.
    const MAPPED_FILE: &str = "/memfd:tramline (deleted)";

    pub(super) fn inspect(pid: u32) -> io::Result<Vec<SegmentReport>> {
        let gone = |error: io::Error| match error.raw_os_error() {
            // What the files of a process say that ended after they were opened.
            Some(libc::ESRCH) => io::ErrorKind::NotFound.into(),
            _ => error,
        };
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).map_err(gone)?;
        let mapped: Vec<_> = maps.lines().filter_map(segment_in).collect();
        if mapped.is_empty() {
            return Ok(Vec::new());
        }
        let memory = File::open(format!("/proc/{pid}/mem")).map_err(gone)?;
        let mut found = Vec::new();
        for (start, own) in mapped {
            let mut header = [0; layout::HEADER_LEN];
            // Unmapped meanwhile: its link is over.
            if memory.read_exact_at(&mut header, start).is_ok()
                && let Some(report) = report(&header, own)
            {
                found.push(report);
            }
        }
        Ok(found)
    }

    /// Where a line of `maps` says that the start of a segment lies, and whether it can be written.
    pub(super) fn segment_in(line: &str) -> Option<(u64, bool)> {
        // address, permissions, offset, device, inode, name; the name alone may hold blanks.
        let (fields, _) = line.split_once(MAPPED_FILE).filter(|(_, rest)| rest.is_empty())?;
        let mut fields = fields.split_whitespace();
        let start = u64::from_str_radix(fields.next()?.split('-').next()?, 16).ok()?;
        let permissions = fields.next()?.as_bytes();
        let offset = u64::from_str_radix(fields.next()?, 16).ok()?;
        (offset == 0 && permissions.first() == Some(&b'r'))
            .then(|| (start, permissions.get(1) == Some(&b'w')))
    }

    /// What a header says; `None` if it is none that this build reads.
    pub(super) fn report(header: &[u8; layout::HEADER_LEN], own: bool) -> Option<SegmentReport> {
        let word32 = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let word64 = |at: usize| u64::from(word32(at)) | (u64::from(word32(at + 4)) << 32);
        if word64(0x00) != layout::MAGIC || word32(0x08) != layout::LAYOUT_VERSION {
            return None;
        }
        let mut nonce = [0; 16];
        nonce.copy_from_slice(&header[0x40..0x50]);
        Some(SegmentReport {
            own,
            nonce,
            owner_pid: word64(0x50),
            ring_capacity: word64(0x20),
            state: word32(layout::STATE),
            rx_park: word32(layout::RX_PARK),
            tx_park: word32(layout::TX_PARK),
            data_bell: word32(layout::DATA_BELL),
            space_bell: word32(layout::SPACE_BELL),
            counters: Counters::gather(word64),
        })
    }
}

#[cfg(all(test, target_os = "linux", target_endian = "little", target_pointer_width = "64"))]
mod tests {
    use super::here::{report, segment_in};
    use super::*;
    use crate::layout::{self, Fixed};

    #[test]
    fn only_the_start_of_a_segment_is_taken_from_a_list_of_mappings() {
        let line = |permissions: &str, offset: &str, name: &str| {
            format!("7f00a000-7f01b000 {permissions} {offset} 00:01 1234                 {name}")
        };
        let name = "/memfd:tramline (deleted)";
        assert_eq!(segment_in(&line("rw-s", "00000000", name)), Some((0x7f00_a000, true)));
        assert_eq!(segment_in(&line("r--s", "00000000", name)), Some((0x7f00_a000, false)));
        for other in [
            line("rw-s", "00001000", name),
            line("---s", "00000000", name),
            line("rw-s", "00000000", "/memfd:other (deleted)"),
            line("rw-s", "00000000", "/memfd:tramline (deleted) (deleted)"),
            "7f00a000-7f01b000 rw-p 00000000 00:00 0".into(),
            name.into(),
            String::new(),
        ] {
            assert_eq!(segment_in(&other), None, "{other}");
        }
    }

    #[test]
    fn a_header_is_read_field_by_field_and_a_foreign_one_is_left_out() {
        let fixed = Fixed { segment_len: 0x11000, ring_capacity: 0x10000, nonce: [7; 16] };
        let mut header = [0; layout::HEADER_LEN];
        header[..layout::FIXED_LEN].copy_from_slice(&fixed.encode(42));
        for (i, at) in [layout::RX_PARK, layout::TX_PARK, layout::DATA_BELL, layout::SPACE_BELL]
            .into_iter()
            .chain([layout::STATE, layout::HEAD])
            .chain((0..layout::COUNTER_COUNT).map(|i| layout::COUNTERS + 8 * i))
            .enumerate()
        {
            header[at] = u8::try_from(i + 1).expect("small");
        }
        let found = report(&header, true).expect("a header");
        assert_eq!((found.own, found.nonce, found.owner_pid), (true, [7; 16], 42));
        assert_eq!((found.ring_capacity, found.state), (0x10000, 5));
        let words = [found.rx_park, found.tx_park, found.data_bell, found.space_bell];
        assert_eq!(words, [1, 2, 3, 4]);
        let Counters { records, bytes, consumed, parks, wakes, full_waits, drops } = found.counters;
        assert_eq!(
            [consumed, records, bytes, parks, wakes, full_waits, drops],
            [6, 7, 8, 9, 10, 11, 12]
        );

        for at in [0, 8] {
            let mut foreign = header;
            foreign[at] ^= 1;
            assert_eq!(report(&foreign, true), None, "byte {at}");
        }
    }

    #[test]
    fn a_process_that_is_not_there_is_not_found() {
        // Above the largest process id of Linux, 2^22.
        let error = inspect(u32::MAX).expect_err("no such process");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
