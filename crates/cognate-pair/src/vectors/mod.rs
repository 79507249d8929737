//! Vectors in memory: what they must be. Their files are `parquet.rs` and `npy.rs`.

pub(crate) mod npy;
pub(crate) mod parquet;

use std::collections::HashMap;

use crate::{Error, Result};

/// How far a vector's Euclidean length may be from 1 to count as a unit vector.
///
/// Vectors stored as half-precision numbers keep their length to about 5e-4.
pub const UNIT_TOLERANCE: f64 = 1e-3;
/// How far the length of a vector may be from 1 because its numbers were rounded to f32, or summed in f32 when it was
/// scaled.
const ROUNDING: f64 = 1e-6;

/// One vector per document: `ids.len()` rows of `width` numbers.
///
/// A row is a unit vector, or all zeros for a document that the embedder could say nothing about; such a document has
/// no neighbours.
#[derive(Clone, Debug, PartialEq)]
pub struct Vectors {
    /// The documents, one per row; no identifier comes twice.
    pub ids: Vec<String>,
    /// Numbers per row.
    pub width: usize,
    /// The rows, one after the other.
    pub data: Vec<f32>,
}

impl Vectors {
    /// Rows.
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The vector of a document, counted from 0.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.width..(row + 1) * self.width]
    }

    /// The cosine of the angle between two rows (0 where one of them is zero), summed in f64.
    ///
    /// # Panics
    /// When there is no such row.
    pub fn similarity(&self, first: usize, second: usize) -> f32 {
        let products = self.row(first).iter().zip(self.row(second)).map(|(&x, &y)| f64::from(x) * f64::from(y));
        (products.sum::<f64>() as f32).clamp(-1.0, 1.0)
    }

    /// Whether a row is all zeros.
    pub(crate) fn is_zero(&self, row: usize) -> bool {
        self.row(row).iter().all(|&x| x == 0.0)
    }

    /// Checks everything that the type promises.
    ///
    /// # Errors
    /// When the sizes do not fit, an identifier comes twice, a number is not finite, or a row is neither a unit
    /// vector nor zero.
    pub fn check(&self) -> Result<()> {
        self.check_shape()?;
        self.check_ids()?;
        for row in 0..self.len() {
            let length = self.length(row)?;
            if length != 0.0 && (length - 1.0).abs() > UNIT_TOLERANCE {
                return Err(Error::NotUnit { row, id: self.ids[row].clone(), length });
            }
        }
        Ok(())
    }

    /// Scales every row to length 1 and returns how many rows it changed. Zero rows, and rows whose length is 1 up to
    /// rounding (1e-6), keep their bits.
    ///
    /// # Errors
    /// When the sizes do not fit or a number is not finite.
    pub fn normalise(&mut self) -> Result<usize> {
        self.check_shape()?;
        let mut changed = 0;
        for row in 0..self.len() {
            let length = self.length(row)?;
            if length == 0.0 || (length - 1.0).abs() <= ROUNDING {
                continue;
            }
            for value in &mut self.data[row * self.width..(row + 1) * self.width] {
                *value = (f64::from(*value) / length) as f32;
            }
            changed += 1;
        }
        Ok(changed)
    }

    fn check_shape(&self) -> Result<()> {
        if self.len() >= u32::MAX as usize {
            return Err(Error::TooManyDocuments { documents: self.len() });
        }
        if self.width == 0 || self.len().checked_mul(self.width) != Some(self.data.len()) {
            return Err(Error::Shape { ids: self.len(), width: self.width, values: self.data.len() });
        }
        Ok(())
    }

    fn check_ids(&self) -> Result<()> {
        let mut rows = HashMap::with_capacity(self.len());
        for (second, id) in self.ids.iter().enumerate() {
            if let Some(first) = rows.insert(id.as_str(), second) {
                return Err(Error::DuplicateId { id: id.clone(), first, second });
            }
        }
        Ok(())
    }

    /// The Euclidean length of a row.
    fn length(&self, row: usize) -> Result<f64> {
        let values = self.row(row);
        let square: f64 = values.iter().map(|&x| f64::from(x) * f64::from(x)).sum();
        if square.is_finite() {
            return Ok(square.sqrt());
        }
        let column = values.iter().position(|x| !x.is_finite()).unwrap_or(0);
        Err(Error::NotFinite { row, id: self.ids[row].clone(), column, value: values[column] })
    }
}
