//! The largest singular values of a sparse matrix, and its rows in their directions.
//!
//! Randomised subspace iteration (Halko, Martinsson and Tropp 2011, algorithms 4.4 and 5.1): start from the images of
//! random directions, more of them than are wanted; multiply by Aᵀ and A in turn, making the columns orthonormal each
//! time; solve the small problem that is left. With Z orthonormal and Y = A·Z, the eigenvectors W of YᵀY give U·S =
//! Y·W.
//!
//! Dense parts are f32 with sums over blocks of rows in f64, the small eigenvalue problems f64. A matrix with a side
//! hardly longer than the number of directions is solved whole, in f64.

use cognate_base::Monitor;
use cognate_base::random::{Rng, stream};
use cognate_ops::matmul_nt;
use nalgebra::{DMatrix, SymmetricEigen};
use rayon::prelude::*;

use super::sparse::Sparse;
use crate::Result;
use crate::progress::Progress;

/// Directions beyond those wanted. Their singular values bound the error of the wanted ones.
pub(crate) const OVERSAMPLING: usize = 32;
/// Multiplications by Aᵀ and A. After q of them, the part of a direction outside the wanted space has shrunk by
/// (σ_beyond / σ_wanted)^(2q + 1).
const ITERATIONS: usize = 5;
/// Rows of a block whose sums are f32.
const BLOCK: usize = 512;
/// At most so many partial sums of blocks; a fixed number, so that the sum does not depend on threads.
const SPANS: usize = 32;
/// Directions with eigenvalues of YᵀY below this share of the largest are rounding, not signal: the f32 sums are right
/// to about 1e-7 of the largest.
const NOISE: f64 = 1e-6;
/// The same for sums in f64.
const NOISE_F64: f64 = 1e-13;

/// The `rank` largest singular values, largest first, and U·S: one row of `rank` numbers per row of the matrix.
pub(crate) struct Truncated {
    pub(crate) rank: usize,
    pub(crate) singular_values: Vec<f64>,
    pub(crate) rows: Vec<f32>,
}

/// Cuts `a` to at most `rank` dimensions. The sign of a dimension is such that its entry of largest magnitude is
/// positive.
pub(crate) fn truncated(a: &Sparse, rank: usize, seed: u64, monitor: &dyn Monitor) -> Result<Truncated> {
    let directions = rank.saturating_add(OVERSAMPLING);
    let progress = Progress::begin(monitor, "singular values", a.rows());
    progress.check()?;
    let mut cut = if a.rows().min(a.width) <= directions {
        whole(a, rank, &progress)?
    } else {
        randomised(a, rank, directions, seed, &progress)?
    };
    fix_signs(&mut cut.rows, cut.rank);
    Ok(cut)
}

fn randomised(a: &Sparse, rank: usize, directions: usize, seed: u64, progress: &Progress<'_>) -> Result<Truncated> {
    let transposed = a.transposed();
    let advance = || progress.advance(a.rows() / (2 * ITERATIONS + 1));
    let mut n = directions;
    let mut y = a.times(&random_signs(a.width, n, seed), n);
    for iteration in 0..ITERATIONS {
        advance()?;
        (y, n) = orthonormal(y, n);
        let mut z = transposed.times(&y, n);
        advance()?;
        (z, n) = orthonormal(z, n);
        if iteration + 1 == ITERATIONS {
            // Once leaves errors of rounding times the square of the condition; the last basis has to be better.
            (z, n) = orthonormal(z, n);
        }
        y = a.times(&z, n);
    }
    advance()?;
    let (values, vectors) = eigen(gram(&y, n), n, NOISE);
    let rank = rank.min(values.len());
    let rows = times_transposed(&y, &vectors[..rank * n], n, rank);
    Ok(Truncated { rank, singular_values: values[..rank].iter().map(|value| value.sqrt()).collect(), rows })
}

/// The exact cut of a matrix with a short side, by the eigenvectors of A·Aᵀ or Aᵀ·A.
fn whole(a: &Sparse, rank: usize, progress: &Progress<'_>) -> Result<Truncated> {
    let by_rows = a.rows() <= a.width;
    let long = if by_rows { a.transposed() } else { Sparse::empty(0) };
    let long = if by_rows { &long } else { a };
    let n = long.width;
    let mut gram = vec![0.0; n * n];
    for row in 0..long.rows() {
        progress.check()?;
        for (i, x) in long.row(row) {
            long.row(row).for_each(|(j, y)| gram[i * n + j] += f64::from(x) * f64::from(y));
        }
    }
    let (values, vectors) = eigen(gram, n, NOISE_F64);
    let rank = rank.min(values.len());
    let singular_values: Vec<f64> = values[..rank].iter().map(|value| value.sqrt()).collect();
    let mut rows = vec![0.0; a.rows() * rank];
    for (row, out) in rows.chunks_exact_mut(rank).enumerate() {
        for (d, out) in out.iter_mut().enumerate() {
            let vector = &vectors[d * n..(d + 1) * n];
            let value: f64 = if by_rows {
                f64::from(vector[row]) * singular_values[d]
            } else {
                a.row(row).map(|(i, x)| f64::from(x) * f64::from(vector[i])).sum()
            };
            *out = value as f32;
        }
    }
    Ok(Truncated { rank, singular_values, rows })
}

/// Random signs, `rows` times `n`: as good a start as normal numbers, and one bit each.
fn random_signs(rows: usize, n: usize, seed: u64) -> Vec<f32> {
    let mut signs = vec![0.0; rows * n];
    signs.par_chunks_mut(BLOCK * n).enumerate().for_each(|(block, signs)| {
        let mut random = stream(seed, "lsa.directions", block as u64);
        for signs in signs.chunks_mut(64) {
            let bits = random.next_u64();
            signs.iter_mut().enumerate().for_each(|(i, sign)| *sign = if bits >> i & 1 == 0 { -1.0 } else { 1.0 });
        }
    });
    signs
}

/// An orthonormal basis of the columns of `y` (rows, n), and its number of columns: y·W·Λ^(-1/2), where yᵀy = W·Λ·Wᵀ,
/// without the directions that are only rounding.
///
/// From the second time on the columns that come in are nearly orthogonal, because W turned them towards the singular
/// vectors, and scaling each by its own length loses nothing.
fn orthonormal(y: Vec<f32>, n: usize) -> (Vec<f32>, usize) {
    let (values, mut vectors) = eigen(gram(&y, n), n, NOISE);
    for (vector, value) in vectors.chunks_exact_mut(n).zip(&values) {
        vector.iter_mut().for_each(|x| *x = (f64::from(*x) / value.sqrt()) as f32);
    }
    (times_transposed(&y, &vectors, n, values.len()), values.len())
}

/// yᵀ·y (n, n) of y (rows, n): f32 inside blocks of rows, f64 over blocks, spans of blocks in parallel.
fn gram(y: &[f32], n: usize) -> Vec<f64> {
    let rows = y.len() / n;
    let span = rows.div_ceil(SPANS).next_multiple_of(BLOCK);
    let parts: Vec<Vec<f64>> = y
        .par_chunks(span * n)
        .map(|span| {
            let mut sum = vec![0.0; n * n];
            let mut product = vec![0.0; n * n];
            let mut columns = vec![0.0; BLOCK * n];
            for block in span.chunks(BLOCK * n) {
                let rows = block.len() / n;
                let columns = &mut columns[..rows * n];
                for (i, row) in block.chunks_exact(n).enumerate() {
                    row.iter().enumerate().for_each(|(j, &x)| columns[j * rows + i] = x);
                }
                matmul_nt(&mut product, columns, columns, n, n, rows);
                sum.iter_mut().zip(&product).for_each(|(sum, &x)| *sum += f64::from(x));
            }
            sum
        })
        .collect();
    let mut total = vec![0.0; n * n];
    for part in parts {
        total.iter_mut().zip(part).for_each(|(total, x)| *total += x);
    }
    total
}

/// y (rows, n) · wᵀ of w (m, n).
fn times_transposed(y: &[f32], w: &[f32], n: usize, m: usize) -> Vec<f32> {
    let mut out = vec![0.0; y.len() / n * m];
    out.par_chunks_mut(BLOCK * m).zip(y.par_chunks(BLOCK * n)).for_each(|(out, y)| {
        matmul_nt(out, y, w, y.len() / n, m, n);
    });
    out
}

/// Eigenvalues above `noise` times the largest, largest first, and their eigenvectors, one per row of n numbers.
fn eigen(symmetric: Vec<f64>, n: usize, noise: f64) -> (Vec<f64>, Vec<f32>) {
    let solved = SymmetricEigen::new(DMatrix::from_vec(n, n, symmetric));
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| solved.eigenvalues[j].total_cmp(&solved.eigenvalues[i]));
    let floor = noise * solved.eigenvalues[order[0]];
    order.retain(|&i| solved.eigenvalues[i] > floor);
    let values = order.iter().map(|&i| solved.eigenvalues[i]).collect();
    let vectors =
        order.iter().flat_map(|&i| solved.eigenvectors.column(i).iter().map(|&x| x as f32).collect::<Vec<_>>());
    (values, vectors.collect())
}

/// Turns each column so that its entry of largest magnitude (the first such) is positive.
fn fix_signs(rows: &mut [f32], rank: usize) {
    let mut largest = vec![0.0_f32; rank];
    for row in rows.chunks_exact(rank) {
        for (largest, &x) in largest.iter_mut().zip(row) {
            if x.abs() > largest.abs() {
                *largest = x;
            }
        }
    }
    for row in rows.chunks_exact_mut(rank) {
        row.iter_mut().zip(&largest).filter(|(_, largest)| **largest < 0.0).for_each(|(x, _)| *x = -*x);
    }
}

#[cfg(test)]
mod tests {
    use cognate_base::Silent;
    use cognate_base::random::RngExt;

    use super::*;

    /// A sparse matrix with the singular values that its few strong columns give it, and noise below them.
    fn matrix(rows: usize, width: usize, strong: usize) -> Sparse {
        let mut random = stream(7, "test", 0);
        let mut matrix = Sparse::empty(width);
        for _ in 0..rows {
            let topic = random.random_range(0..strong);
            let mut row: Vec<(u32, f32)> = Vec::new();
            for column in 0..width {
                let of_topic = column % strong == topic && random.random_range(0..3) > 0;
                if of_topic {
                    row.push((column as u32, random.random_range(1.0..2.0) / (1.0 + topic as f32)));
                } else if random.random_range(0..20) == 0 {
                    row.push((column as u32, random.random_range(0.0..0.02)));
                }
            }
            matrix.push_row(row.into_iter());
        }
        matrix
    }

    fn dense(a: &Sparse) -> DMatrix<f64> {
        let mut dense = DMatrix::zeros(a.rows(), a.width);
        for row in 0..a.rows() {
            a.row(row).for_each(|(column, value)| dense[(row, column)] = f64::from(value));
        }
        dense
    }

    /// Compares with a dense f64 SVD: singular values, and U·S by its products between rows, which no choice of signs
    /// or of a basis inside equal singular values can change.
    fn check(a: &Sparse, rank: usize, tolerance: f64) {
        let cut = truncated(a, rank, 3, &Silent).unwrap();
        assert_eq!(cut.rank, rank);
        let mut reference = dense(a).svd(true, false);
        reference.sort_by_singular_values();
        let largest = reference.singular_values[0];
        for (found, expected) in cut.singular_values.iter().zip(reference.singular_values.iter()) {
            assert!((found - expected).abs() < tolerance * largest, "{found} {expected}");
        }
        let u = reference.u.unwrap();
        let us = u.columns(0, rank) * DMatrix::from_diagonal(&reference.singular_values.rows(0, rank).into_owned());
        let expected = &us * us.transpose();
        let found = DMatrix::from_row_iterator(a.rows(), rank, cut.rows.iter().map(|&x| f64::from(x)));
        let difference = (&found * found.transpose() - expected).amax();
        assert!(difference < tolerance * largest * largest, "{difference}");
    }

    #[test]
    fn randomised_agrees_with_a_dense_svd() {
        let a = matrix(150, 90, 6);
        assert!(a.width > 6 + OVERSAMPLING, "the random way is taken");
        // f32 products: a few hundred terms, each right to 6e-8 of the largest.
        check(&a, 6, 1e-5);
        check(&a.transposed(), 6, 1e-5);
    }

    #[test]
    fn a_matrix_with_a_short_side_is_solved_whole() {
        let a = matrix(120, 20, 4);
        // f64 throughout but for the rows, which are f32.
        check(&a, 20, 1e-6);
        check(&a.transposed(), 20, 1e-6);
        check(&a, 3, 1e-6);
    }

    #[test]
    fn directions_that_do_not_exist_are_left_out() {
        // 120 rows of 3 kinds: three dimensions, whatever is asked for; both ways.
        for width in [40, 200] {
            let mut a = Sparse::empty(width);
            for row in 0..120 {
                let kind = row % 3;
                a.push_row((0..width as u32).filter(|c| c % 3 == kind).map(|c| (c, 1.0 + kind as f32)));
            }
            let cut = truncated(&a, 10, 0, &Silent).unwrap();
            assert_eq!((cut.rank, cut.singular_values.len(), cut.rows.len()), (3, 3, 360));
        }
    }

    #[test]
    fn the_bases_are_orthonormal() {
        let y: Vec<f32> = dense(&matrix(700, 48, 8)).transpose().iter().map(|&x| x as f32).collect();
        let (once, n) = orthonormal(y, 48);
        let (twice, n) = orthonormal(once, n);
        let gram = gram(&twice, n);
        for i in 0..n {
            for j in 0..n {
                // f32 entries: sums of 700 products right to 6e-8 each.
                assert!((gram[i * n + j] - f64::from(u8::from(i == j))).abs() < 1e-5, "{i} {j} {}", gram[i * n + j]);
            }
        }
    }

    #[test]
    fn the_largest_entry_of_a_dimension_is_positive() {
        let mut rows = vec![1.0, -2.0, -3.0, 1.0];
        fix_signs(&mut rows, 2);
        assert_eq!(rows, [-1.0, 2.0, 3.0, -1.0]);
    }
}
