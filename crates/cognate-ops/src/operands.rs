//! What every device asserts of the operands of an op: the lengths that the fast versions rely on where they read and write
//! through pointers, and that the plain ones would otherwise silently cut to the shortest.
//!
//! Each op's `mod.rs` states its shapes with [`shapes`] once, for both devices. The cost is a few comparisons an op.

/// Numbers of an operand of these dimensions.
///
/// # Panics
/// When an address cannot count them: a product that wraps around could pass for the length of a small buffer.
pub(crate) fn size(dimensions: &[usize]) -> usize {
    let product = dimensions.iter().try_fold(1usize, |product, &dimension| product.checked_mul(dimension));
    product.unwrap_or_else(|| panic!("the dimensions {dimensions:?} name more numbers than an address can count"))
}

/// Asserts that `operand` of `op` has the numbers of its dimensions, which stand in `formula` as they are written.
#[track_caller]
pub(crate) fn has_size(op: &str, operand: &str, found: usize, dimensions: &[usize], formula: &str) {
    let expected = size(dimensions);
    assert!(found == expected, "{op}: {operand} has {found} numbers, expected {expected} = ({formula})");
}

/// Asserts the sizes of an op's operands by name: `shapes!("rms_norm": out [inv_rms.len(), weight.len()])`. Where one operand's
/// size follows from another's, its name is in the dimensions, and so in the message whichever of the two is wrong.
macro_rules! shapes {
    ($op:literal: $($operand:ident [$($dimension:expr),+]),+ $(,)?) => {$(
        $crate::operands::has_size(
            $op, stringify!($operand), $operand.len(), &[$($dimension),+], stringify!($($dimension),+),
        );
    )+};
}
pub(crate) use shapes;

/// Asserts that `table` has whole rows of `width`, and that `rows` names some of them.
#[track_caller]
pub(crate) fn has_rows(op: &str, operand: &str, found: usize, width: usize, rows: &[u32]) {
    assert!(
        width > 0 && found.is_multiple_of(width),
        "{op}: {operand} has {found} numbers, expected whole rows of {width}"
    );
    let most = rows.iter().max();
    assert!(
        most.is_none_or(|&row| (row as usize) < found / width),
        "{op}: {operand} has {} rows, and row {} is asked for",
        found / width,
        most.unwrap_or(&0),
    );
}

/// Asserts that a buffer has `count` numbers from `offset` on.
#[track_caller]
pub(crate) fn holds(op: &str, found: usize, offset: usize, count: usize) {
    let fits = offset.checked_add(count).is_some_and(|end| end <= found);
    assert!(fits, "{op}: buffer has {found} numbers, expected {count} from {offset} on");
}
