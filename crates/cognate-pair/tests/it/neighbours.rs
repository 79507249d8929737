//! The search against a plain one in f64.

use cognate_base::Silent;
use cognate_pair::{Error, Neighbours, Vectors, exact_neighbours, exact_neighbours_apart};
use proptest::prelude::*;

use crate::{Stopped, list, on_threads, vectors};

/// Every neighbour of every row, best first, ties by number: plain loops, f64.
fn reference(vectors: &Vectors, row: usize) -> Vec<(u32, f64)> {
    let product = |other: usize| -> f64 {
        vectors.row(row).iter().zip(vectors.row(other)).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    let mut all: Vec<(u32, f64)> =
        (0..vectors.len()).filter(|&other| other != row).map(|other| (other as u32, product(other))).collect();
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    all
}

/// f32 products of unit vectors of up to 64 numbers: far below this.
const ROUNDING: f64 = 2e-6;

fn check(vectors: &Vectors, k: usize) {
    let found = exact_neighbours(vectors, k, &Silent).unwrap();
    for row in 0..vectors.len() {
        let expected = reference(vectors, row);
        let found = list(&found, row);
        assert_eq!(found.len(), k);
        let mut numbers: Vec<u32> = found.iter().map(|entry| entry.0).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), k, "row {row} names a neighbour twice");
        for (place, &(other, similarity)) in found.iter().enumerate() {
            let exact = expected.iter().find(|entry| entry.0 == other).unwrap().1;
            assert!((f64::from(similarity) - exact).abs() < ROUNDING, "row {row}: {similarity} is not {exact}");
            // Nothing better is missing: place by place the similarity is the best there is, up to rounding.
            assert!((f64::from(similarity) - expected[place].1).abs() < ROUNDING, "row {row} place {place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    // Sizes around the tile's 256 query rows; unit rows.
    #[test]
    fn agrees_with_plain_loops(n in 2_usize..600, width in 1_usize..64, k in 1_usize..12, seed in 0_u64..1000) {
        check(&vectors(n, width, 7, 0.5, seed), k.min(n - 1));
    }
}

#[test]
fn agrees_with_plain_loops_beyond_one_tile_of_keys() {
    check(&vectors(1700, 24, 40, 0.7, 5), 10);
}

#[test]
fn the_result_does_not_depend_on_threads() {
    let vectors = vectors(2000, 33, 50, 0.6, 9);
    let run = |threads| on_threads(threads, || exact_neighbours(&vectors, 20, &Silent).unwrap());
    let one = run(1);
    assert_eq!(one, run(2));
    assert_eq!(one, run(7));
}

#[test]
fn ties_go_to_the_lower_number_and_a_row_is_not_its_own_neighbour() {
    // Products of these rows are exact: 1, 0.5, 0 and so on. 700 rows of 8 kinds: every score comes many times.
    let kinds: [[f32; 4]; 8] =
        std::array::from_fn(|kind| std::array::from_fn(|c| if kind >> (c % 3) & 1 == 0 { 0.5 } else { -0.5 }));
    let n = 700;
    let vectors = Vectors {
        ids: (0..n).map(|i| i.to_string()).collect(),
        width: 4,
        data: (0..n).flat_map(|i| kinds[i * i % 8]).collect(),
    };
    let k = 40;
    let found = exact_neighbours(&vectors, k, &Silent).unwrap();
    for row in 0..n {
        let expected: Vec<(u32, f32)> =
            reference(&vectors, row).into_iter().take(k).map(|(other, s)| (other, s as f32)).collect();
        assert_eq!(list(&found, row), expected, "row {row}");
    }
}

#[test]
fn zero_rows_have_no_neighbours_and_short_lists_end() {
    let mut vectors = vectors(6, 5, 3, 0.3, 1);
    for row in [0, 3] {
        vectors.data[row * 5..(row + 1) * 5].fill(0.0);
    }
    let found = exact_neighbours(&vectors, 5, &Silent).unwrap();
    assert_eq!((found.len(), found.k, found.ids.len()), (6, 5, 30));
    for row in [0, 3] {
        assert!(list(&found, row).is_empty());
    }
    for row in [1, 2, 4, 5] {
        let mut others: Vec<u32> = list(&found, row).iter().map(|entry| entry.0).collect();
        others.sort_unstable();
        assert_eq!(others, [1, 2, 4, 5].into_iter().filter(|&other| other != row as u32).collect::<Vec<_>>());
        assert_eq!(found.ids[row * 5 + 3..row * 5 + 5], [Neighbours::NONE; 2]);
    }
}

#[test]
fn neighbours_of_ones_own_group_are_passed_over_before_the_nearest_are_counted() {
    // Clusters of ten, in groups of eight of the same cluster and, at last, of rows that have no group in common.
    let mut vectors = vectors(600, 24, 60, 0.5, 5);
    vectors.data[7 * 24..8 * 24].fill(0.0);
    let groups: Vec<u32> = (0..600).map(|row| if row < 480 { row % 60 } else { row }).collect();
    let found = exact_neighbours_apart(&vectors, 5, &groups, &Silent).unwrap();
    for row in (0..600).filter(|&row| row != 7) {
        let expected: Vec<(u32, f64)> =
            reference(&vectors, row).into_iter().filter(|&(other, _)| groups[other as usize] != groups[row]).collect();
        let found = list(&found, row);
        assert_eq!(found.len(), 5, "row {row}");
        for (place, &(other, similarity)) in found.iter().enumerate() {
            assert_ne!(groups[other as usize], groups[row], "row {row}");
            assert!((f64::from(similarity) - expected[place].1).abs() < ROUNDING, "row {row} place {place}");
        }
    }
    let singles: Vec<u32> = (0..600).collect();
    let apart = |groups: &[u32]| exact_neighbours_apart(&vectors, 5, groups, &Silent);
    assert_eq!(apart(&singles).unwrap(), exact_neighbours(&vectors, 5, &Silent).unwrap());
    // Two of one group and one that is alone have one neighbour at most.
    let few = crate::vectors(3, 4, 3, 0.3, 1);
    let found = exact_neighbours_apart(&few, 2, &[1, 2, 1], &Silent).unwrap();
    assert_eq!([0, 1, 2].map(|row| list(&found, row).len()), [1, 2, 1]);
    assert!(matches!(apart(&[3; 600]).unwrap_err(), Error::OneGroup { documents: 600 }));
}

#[test]
fn what_cannot_be_searched_is_an_error_that_names_the_row() {
    let good = vectors(10, 4, 3, 0.3, 1);
    let find = |vectors: &Vectors, k| exact_neighbours(vectors, k, &Silent).unwrap_err();
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut bad = good.clone();
        bad.data[6 * 4 + 2] = value;
        let error = find(&bad, 2);
        assert!(matches!(error, Error::NotFinite { row: 6, column: 2, .. }), "{error}");
        assert!(error.to_string().contains("\"d6\""), "{error}");
    }
    let mut bad = good.clone();
    bad.data[5 * 4..6 * 4].iter_mut().for_each(|x| *x *= 2.0);
    assert!(matches!(find(&bad, 2), Error::NotUnit { row: 5, .. }));
    let mut bad = good.clone();
    bad.ids[7] = "d2".to_string();
    assert!(matches!(find(&bad, 2), Error::DuplicateId { first: 2, second: 7, .. }));
    let mut bad = good.clone();
    bad.data.pop();
    assert!(matches!(find(&bad, 2), Error::Shape { ids: 10, width: 4, values: 39 }));
    assert!(matches!(find(&good, 10), Error::TooFewRows { rows: 10, k: 10 }));
    // Asked for, 70,000 times 69,999 neighbours would be taken as memory at once.
    let many = vectors(70_000, 1, 1, 0.0, 1);
    assert!(matches!(find(&many, 69_999), Error::TooManyNeighbours { rows: 70_000, k: 69_999, most: 61_356 }));
    assert!(matches!(find(&good, 0), Error::Config { field: "neighbours", .. }));
    assert!(matches!(exact_neighbours(&good, 2, &Stopped).unwrap_err(), Error::Interrupted(_)));
}
