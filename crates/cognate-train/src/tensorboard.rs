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
pub(crate) mod tests {
    use super::*;

    /// The events of each event file in a folder, the oldest file first, without the time that each begins with.
    pub(crate) fn event_files(folder: &Path) -> Vec<Vec<Vec<u8>>> {
        let mut paths: Vec<_> = fs_err::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("events.out.tfevents."));
        paths.sort_unstable();
        let events = |path| {
            let bytes = fs_err::read(path).unwrap();
            let (mut rest, mut events) = (&bytes[..], Vec::new());
            while let Some((length, behind)) = rest.split_first_chunk() {
                let (event, behind) = behind[4..].split_at(u64::from_le_bytes(*length) as usize);
                assert_eq!(event[0], 0x09);
                events.push(event[9..].to_vec());
                rest = &behind[4..];
            }
            events
        };
        paths.into_iter().map(events).collect()
    }

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

    #[test]
    fn a_number_has_seven_bits_a_byte_the_lowest_first_and_the_eighth_says_that_more_follow() {
        let bytes = |value| {
            let mut out = Vec::new();
            varint(&mut out, value);
            out
        };
        assert_eq!([bytes(0), bytes(127)], [[0], [127]]);
        assert_eq!([bytes(128), bytes(200), bytes(300)], [[0x80, 1], [0xc8, 1], [0xac, 2]]);
        assert_eq!(bytes(1 << 14), [0x80, 0x80, 1]);
    }

    #[test]
    fn an_event_file_begins_with_its_version() {
        let folder = tempfile::tempdir().unwrap();
        drop(EventFile::create(folder.path(), 300).unwrap());
        let version = b"\x1a\x0dbrain.Event:2".to_vec();
        let start = b"\x10\xac\x02\x3a\x02\x08\x01".to_vec();
        assert_eq!(event_files(folder.path()), [[version, start]]);
    }
}
