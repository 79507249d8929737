//! One text file as one document.

use std::sync::Arc;

use crate::document::{BadRecord, Document, Origin};
use crate::error::Result;
use crate::input::Input;
use crate::metadata::Metadata;
use crate::reader::ReadOptions;
use crate::unpack::Unpacked;

/// A text file; its document comes once.
#[derive(Debug)]
pub(crate) struct TextFile<'m> {
    input: Input,
    source: Unpacked<'m>,
    is_read: bool,
}

impl<'m> TextFile<'m> {
    pub(crate) fn new(input: Input, source: Unpacked<'m>) -> Self {
        Self { input, source, is_read: false }
    }

    /// The document, then `None`.
    pub(crate) fn next(&mut self, options: &ReadOptions) -> Option<Result<(Origin, Result<Document, BadRecord>)>> {
        if std::mem::replace(&mut self.is_read, true) {
            return None;
        }
        let origin = Origin { file: Arc::clone(&self.input.path), row: 1 };
        Some(self.read(options.max_record_bytes).map(|document| (origin, document)))
    }

    fn read(&mut self, limit: usize) -> Result<Result<Document, BadRecord>> {
        const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
        let mut text = Vec::new();
        loop {
            let ahead = self.source.fill(0)?;
            if ahead.is_empty() {
                break;
            }
            if text.len() + ahead.len() > limit {
                return Ok(Err(BadRecord::TooLong { limit }));
            }
            text.extend_from_slice(ahead);
            let taken = ahead.len();
            self.source.consume(taken);
        }
        if text.starts_with(BYTE_ORDER_MARK) {
            text.drain(..BYTE_ORDER_MARK.len());
        }
        text.shrink_to_fit();
        let document =
            |text| Document { id: self.input.name.to_string(), text, group: None, metadata: Metadata::default() };
        Ok(String::from_utf8(text)
            .map(document)
            .map_err(|error| BadRecord::NotUtf8 { byte: error.utf8_error().valid_up_to() + 1 }))
    }
}
