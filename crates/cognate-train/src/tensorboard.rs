//! TensorBoard event files: the numbers of `metrics.jsonl` as scalars.
//!
//! A file is a run of TFRecords, each `length: u64, masked CRC of the length: u32, bytes, masked CRC of the bytes: u32`, little
//! endian, where masked is `rotate_right(crc, 15) + 0xa282ead8` of CRC-32C (tensorflow/core/lib/io/record_writer.h). The bytes are
//! a protocol buffer `Event` (tensorflow/core/util/event.proto), of which the few fields used are written by hand.
//!
//! Every sitting of a run writes a file of its own, as TensorBoard expects. Its second event says at which step the sitting
//! starts; TensorBoard then drops what earlier files hold from that step on, which is what a killed process wrote after its last
//! checkpoint.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fs_err::{File, OpenOptions};

use crate::Result;

/// `SessionLog.SessionStatus.START`.
const START: u64 = 1;

/// An event file, open to append.
pub(crate) struct EventFile(BufWriter<File>);

impl EventFile {
    /// Starts the file of a sitting whose first step is `step`.
    pub(crate) fn create(folder: &Path, step: u64) -> Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let nanos = since.as_nanos();
        // Names are read in the order of the alphabet, so time comes first and in digits of one length.
        let name = format!("events.out.tfevents.{:010}.{:09}.cognate", nanos / 1_000_000_000, nanos % 1_000_000_000);
        let file = OpenOptions::new().write(true).create_new(true).open(folder.join(name))?;
        let mut events = Self(BufWriter::new(file));
        events.write(None, |event| text(event, 3, "brain.Event:2"))?;
        events.write(Some(step), |event| message(event, 7, |log| varint_field(log, 1, START)))?;
        Ok(events)
    }

    /// Writes numbers of one step, each under its name.
    pub(crate) fn scalars(&mut self, step: u64, scalars: &[(&str, f64)]) -> Result<()> {
        self.write(Some(step), |event| {
            message(event, 5, |summary| {
                for (name, value) in scalars {
                    message(summary, 1, |entry| {
                        text(entry, 1, name);
                        key(entry, 2, 5);
                        entry.extend_from_slice(&(*value as f32).to_le_bytes());
                    });
                }
            });
        })
    }

    pub(crate) fn flush(&mut self) -> Result<()> {
        Ok(self.0.flush()?)
    }

    fn write(&mut self, step: Option<u64>, fill: impl FnOnce(&mut Vec<u8>)) -> Result<()> {
        let mut event = Vec::new();
        let wall_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        key(&mut event, 1, 1);
        event.extend_from_slice(&wall_s.to_le_bytes());
        if let Some(step) = step {
            varint_field(&mut event, 2, step);
        }
        fill(&mut event);
        let length = (event.len() as u64).to_le_bytes();
        self.0.write_all(&length)?;
        self.0.write_all(&masked_crc(&length).to_le_bytes())?;
        self.0.write_all(&event)?;
        self.0.write_all(&masked_crc(&event).to_le_bytes())?;
        Ok(())
    }
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// A field's number and wire type (0 varint, 1 eight bytes, 2 bytes with their length, 5 four bytes).
fn key(out: &mut Vec<u8>, field: u64, wire: u64) {
    varint(out, field << 3 | wire);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn varint_field(out: &mut Vec<u8>, field: u64, value: u64) {
    key(out, field, 0);
    varint(out, value);
}

fn text(out: &mut Vec<u8>, field: u64, value: &str) {
    key(out, field, 2);
    varint(out, value.len() as u64);
    out.extend_from_slice(value.as_bytes());
}

fn message(out: &mut Vec<u8>, field: u64, fill: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    fill(&mut inner);
    key(out, field, 2);
    varint(out, inner.len() as u64);
    out.extend_from_slice(&inner);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against bytes that tensorboard 2.20's own `RecordWriter` and `event_pb2` wrote for the same event
    /// (`tools/reference/tensorboard_events.py`).
    #[test]
    fn a_record_has_the_bytes_that_tensorboard_writes() {
        let mut event = Vec::new();
        key(&mut event, 1, 1);
        event.extend_from_slice(&1.5f64.to_le_bytes());
        varint_field(&mut event, 2, 300);
        message(&mut event, 5, |summary| {
            message(summary, 1, |entry| {
                text(entry, 1, "loss");
                key(entry, 2, 5);
                entry.extend_from_slice(&2.25f32.to_le_bytes());
            });
        });
        let length = (event.len() as u64).to_le_bytes();
        let record =
            [&length[..], &masked_crc(&length).to_le_bytes(), &event, &masked_crc(&event).to_le_bytes()].concat();
        let hex: String = record.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("../../../testdata/golden/tensorboard-record.hex").trim());
    }
}
