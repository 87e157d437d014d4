//! What the links of another process are doing, read from outside while they work.

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets};
use tramline::json;
use tramline_transport_shm::{Counters, SegmentReport};

use crate::failure::{Failure, plain};

/// Shows every segment that process `pid` has mapped.
///
/// # Errors
///
/// There is no such process, it may not be looked at, or it has no link over shared memory.
pub(crate) fn run(pid: u32, as_json: bool, out: &mut impl Write) -> Result<(), Failure> {
    let segments = tramline_transport_shm::inspect(pid)
        .map_err(|e| Failure::Inspect { pid, why: reason(&e) })?;
    if segments.is_empty() {
        return Err(Failure::Inspect { pid, why: "it has no link over shared memory".into() });
    }
    if as_json {
        for segment in &segments {
            writeln!(out, "{}", object(pid, segment))?;
        }
    } else {
        writeln!(out, "{}", table(&segments))?;
    }
    Ok(())
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such process".into(),
        io::ErrorKind::PermissionDenied => "this user may not trace it".into(),
        _ => plain(error),
    }
}

fn link(segment: &SegmentReport) -> String {
    segment.nonce.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn state(segment: &SegmentReport) -> String {
    match segment.state {
        0 => "not open yet".into(),
        1 => "open".into(),
        3 => "closed".into(),
        4 => "faulted".into(),
        other => other.to_string(),
    }
}

/// What threads of the owner sleep for; a word is odd while one does.
fn sleeps(segment: &SegmentReport) -> &'static str {
    match (segment.rx_park & 1, segment.tx_park & 1) {
        (0, 0) => "-",
        (_, 0) => "data",
        (0, _) => "room",
        (_, _) => "data, room",
    }
}

fn object(pid: u32, segment: &SegmentReport) -> String {
    let Counters { records, bytes, consumed, parks, wakes, full_waits, drops, .. } =
        segment.counters;
    let value = json!({
        "pid": pid,
        "own": segment.own,
        "link": link(segment),
        "owner_pid": segment.owner_pid,
        "state": segment.state,
        "ring_capacity": segment.ring_capacity,
        "head": consumed,
        "rx_park": segment.rx_park,
        "tx_park": segment.tx_park,
        "data_bell": segment.data_bell,
        "space_bell": segment.space_bell,
        "records": records,
        "bytes": bytes,
        "parks": parks,
        "wakes": wakes,
        "full_waits": full_waits,
        "drops": drops,
    });
    value.to_string()
}

fn table(segments: &[SegmentReport]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED);
    table.set_header([
        "link",
        "side",
        "pid",
        "state",
        "ring",
        "records",
        "bytes",
        "read",
        "parks",
        "wakes",
        "full",
        "drops",
        "sleeps for",
    ]);
    for segment in segments {
        let Counters { records, bytes, consumed, parks, wakes, full_waits, drops, .. } =
            segment.counters;
        let side = if segment.own { "own" } else { "peer" };
        let numbers =
            [segment.ring_capacity, records, bytes, consumed, parks, wakes, full_waits, drops];
        // Enough of it to tell the links of one machine apart.
        let names = [
            link(segment)[..8].to_owned(),
            side.into(),
            segment.owner_pid.to_string(),
            state(segment),
        ];
        let numbers = numbers.into_iter().map(|number| number.to_string());
        table.add_row(names.into_iter().chain(numbers).chain([sleeps(segment).to_owned()]));
    }
    for index in 4..=10 {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}
