//! A sparse matrix by rows, and its product with a dense one.

use rayon::prelude::*;

/// Rows of a product computed together.
const CHUNK: usize = 64;

/// Row i holds the weights `values[offsets[i]..offsets[i + 1]]` in the `columns` of the same places, which ascend.
pub(crate) struct Sparse {
    pub(crate) width: usize,
    pub(crate) offsets: Vec<usize>,
    pub(crate) columns: Vec<u32>,
    pub(crate) values: Vec<f32>,
}

impl Sparse {
    /// No rows of `width` columns.
    pub(crate) fn empty(width: usize) -> Self {
        Self { width, offsets: vec![0], columns: Vec::new(), values: Vec::new() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    pub(crate) fn reserve(&mut self, rows: usize, values: usize) {
        self.offsets.reserve_exact(rows);
        self.columns.reserve_exact(values);
        self.values.reserve_exact(values);
    }

    pub(crate) fn push_row(&mut self, row: impl Iterator<Item = (u32, f32)>) {
        for (column, value) in row {
            self.columns.push(column);
            self.values.push(value);
        }
        self.offsets.push(self.values.len());
    }

    /// Adds the rows of `other` below.
    pub(crate) fn append(&mut self, other: &Self) {
        let start = self.values.len();
        self.offsets.extend(other.offsets[1..].iter().map(|end| start + end));
        self.columns.extend_from_slice(&other.columns);
        self.values.extend_from_slice(&other.values);
    }

    /// The (column, value) pairs of a row.
    pub(crate) fn row(&self, row: usize) -> impl Iterator<Item = (usize, f32)> {
        let range = self.offsets[row]..self.offsets[row + 1];
        self.columns[range.clone()].iter().map(|&column| column as usize).zip(self.values[range].iter().copied())
    }

    pub(crate) fn transposed(&self) -> Self {
        let mut offsets = vec![0; self.width + 1];
        self.columns.iter().for_each(|&column| offsets[column as usize + 1] += 1);
        (0..self.width).for_each(|column| offsets[column + 1] += offsets[column]);
        let mut next = offsets.clone();
        let mut columns = vec![0; self.values.len()];
        let mut values = vec![0.0; self.values.len()];
        for row in 0..self.rows() {
            for (column, value) in self.row(row) {
                columns[next[column]] = row as u32;
                values[next[column]] = value;
                next[column] += 1;
            }
        }
        Self { width: self.rows(), offsets, columns, values }
    }

    /// self (rows, width) · dense (width, n), f32 sums in the order of the columns.
    ///
    /// Bound: reading a row of `dense`, 4·n bytes from the outer caches, for each value of the matrix.
    pub(crate) fn times(&self, dense: &[f32], n: usize) -> Vec<f32> {
        assert_eq!(dense.len(), self.width * n);
        let mut out = vec![0.0; self.rows() * n];
        out.par_chunks_mut(CHUNK * n).enumerate().for_each(|(chunk, out)| {
            for (i, out) in out.chunks_exact_mut(n).enumerate() {
                for (column, value) in self.row(chunk * CHUNK + i) {
                    let row = &dense[column * n..(column + 1) * n];
                    out.iter_mut().zip(row).for_each(|(out, x)| *out += value * x);
                }
            }
        });
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_are_those_of_plain_loops() {
        let (rows, width) = (150, 70);
        let mut matrix = Sparse::empty(width);
        for row in 0..rows {
            let columns = (0..width).filter(|column| (row * 7 + column * 5) % 11 < row % 4);
            matrix.push_row(columns.map(|column| (column as u32, (row + 1) as f32 - column as f32)));
        }
        for matrix in [&matrix, &matrix.transposed(), &matrix.transposed().transposed()] {
            for n in [1, 5, 64] {
                // Whole numbers below 2^24: every sum is exact.
                let dense: Vec<f32> = (0..matrix.width * n).map(|i| (i % 17) as f32 - 8.0).collect();
                let out = matrix.times(&dense, n);
                for row in 0..matrix.rows() {
                    for j in 0..n {
                        let sum: f32 = matrix.row(row).map(|(column, value)| value * dense[column * n + j]).sum();
                        assert_eq!(out[row * n + j], sum);
                    }
                }
            }
        }
    }
}
