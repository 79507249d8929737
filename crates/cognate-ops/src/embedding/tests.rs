use proptest::prelude::*;

use super::{cpu, reference};
use crate::Cpu;
use crate::testing::{close, numbers, numbers64};

proptest! {
    #[test]
    fn copies_agree_with_the_reference(count in 1usize..600, table_rows in 1usize..50, width in 1usize..150, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let table = numbers(seed, table_rows * width);
        let rows: Vec<u32> = numbers(seed ^ 1, count).iter().map(|v| ((v + 1.0) * 1e4) as u32 % table_rows as u32).collect();
        let (mut fast, mut plain) = (vec![7.0; count * width], vec![7.0; count * width]);
        cpu::gather(&device, &mut fast, &table, &rows, width);
        reference::gather(&mut plain, &numbers64(&table), &rows, width);
        close(&fast, &plain, 0.0);
        let (mut sum, mut sum64) = (table.clone(), numbers64(&table));
        cpu::gather_backward(&device, &mut sum, &fast, &rows, width);
        reference::gather_backward(&mut sum64, &plain, &rows, width);
        // At most `count` additions of numbers in [−1, 1].
        close(&sum, &sum64, (count * count) as f64 * f64::from(f32::EPSILON));
    }

    #[test]
    fn scatter_undoes_gather(every in 1usize..5, all in 1usize..700, width in 1usize..40, seed: u64) {
        let device = Cpu::new(2).unwrap();
        let table = numbers(seed, all * width);
        let rows: Vec<u32> = (0..all as u32).step_by(every).rev().collect();
        let mut picked = vec![0.0; rows.len() * width];
        cpu::gather(&device, &mut picked, &table, &rows, width);
        let (mut fast, mut plain) = (vec![5.0; table.len()], vec![5.0; table.len()]);
        cpu::scatter(&device, &mut fast, &picked, &rows, width);
        reference::scatter(&mut plain, &numbers64(&picked), &rows, width);
        close(&fast, &plain, 0.0);
        for row in 0..all {
            let expected = if row % every == 0 { &table[row * width..][..width] } else { &vec![0.0; width][..] };
            prop_assert_eq!(&fast[row * width..][..width], expected);
        }
    }
}
