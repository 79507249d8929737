//! The one place where the instruction set is chosen: each kernel is compiled for AVX-512, for AVX2 with FMA, and for the
//! baseline, and the best that the processor has runs.
//!
//! A kernel is written once, over arrays of [`LANES`] numbers that the compiler turns into vector registers. Sums keep one
//! partial per lane, so the order of additions is the same for every instruction set; only the fused multiply-add rounds
//! differently from the baseline's multiply and add.

use std::sync::OnceLock;

/// Numbers a kernel handles at a time: one AVX-512 register, two of AVX2, four of SSE2.
pub(crate) const LANES: usize = 16;

/// A set of instructions that kernels are compiled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// AVX-512 F, DQ, BW and VL.
    Avx512,
    /// AVX2 and FMA.
    Avx2,
    /// Whatever the target's baseline is.
    Portable,
}

impl Isa {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// As [`VARIABLE`] and records write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }
}

/// The environment variable that asks for an instruction set other than the processor's best.
pub const VARIABLE: &str = "COGNATE_SIMD";

/// Why no instruction set could be chosen.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// [`VARIABLE`] says what is no instruction set.
    #[error("{VARIABLE}={asked:?}: expected {}", names(Isa::ALL))]
    Unknown {
        /// What it says.
        asked: String,
    },
    /// [`VARIABLE`] asks for what the processor does not have.
    #[error("{VARIABLE}={asked:?}: this processor does not have it; it has {}", names(available(*best)))]
    Unavailable {
        /// What it says.
        asked: String,
        /// The best that there is.
        best: Isa,
    },
}

fn names(sets: impl IntoIterator<Item = Isa>) -> String {
    sets.into_iter().map(Isa::name).collect::<Vec<_>>().join(", ")
}

/// What a processor has whose best is `best`: a better one has the lesser ones.
fn available(best: Isa) -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().skip_while(move |&isa| isa != best)
}

/// The instruction set that `asked`, the value of [`VARIABLE`], means on a processor whose best is `best`.
fn choose(asked: Option<&str>, best: Isa) -> Result<Isa, IsaError> {
    let Some(asked) = asked else { return Ok(best) };
    let unknown = || IsaError::Unknown { asked: asked.to_owned() };
    let isa = Isa::ALL.into_iter().find(|isa| isa.name() == asked).ok_or_else(unknown)?;
    if available(best).any(|available| available == isa) {
        Ok(isa)
    } else {
        Err(IsaError::Unavailable { asked: asked.to_owned(), best })
    }
}

/// The instruction set in use: the best of the processor, or the one that [`VARIABLE`] asks for. A program calls this when it
/// starts; kernels, which cannot hand on an error, call [`isa`].
///
/// # Errors
/// When the variable's value is none of [`Isa::ALL`], or the processor does not have it.
pub fn checked_isa() -> Result<Isa, IsaError> {
    static CHOSEN: OnceLock<Result<Isa, IsaError>> = OnceLock::new();
    let choice = || {
        let asked = std::env::var_os(VARIABLE);
        choose(asked.as_ref().map(|asked| asked.to_string_lossy()).as_deref(), detect())
    };
    CHOSEN.get_or_init(choice).clone()
}

/// The instruction set in use.
///
/// # Panics
/// When [`checked_isa`] has an error: nothing may be computed otherwise than was asked for.
pub fn isa() -> Isa {
    static CHOSEN: OnceLock<Isa> = OnceLock::new();
    #[cfg(test)]
    if let Some(isa) = tests::FORCED.get() {
        return isa;
    }
    *CHOSEN.get_or_init(|| checked_isa().unwrap_or_else(|error| panic!("{error}")))
}

#[cfg(target_arch = "x86_64")]
fn detect() -> Isa {
    let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    let avx512 = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vl");
    match (avx2, avx512) {
        (true, true) => Isa::Avx512,
        (true, false) => Isa::Avx2,
        _ => Isa::Portable,
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> Isa {
    Isa::Portable
}

/// Defines a function whose body is compiled for each [`Isa`]. `FMA` in the body says whether a fused multiply-add is one
/// instruction.
macro_rules! kernel {
    ($(#[$meta:meta])* $vis:vis fn $name:ident<const $fma:ident: bool>($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block) => {
        $(#[$meta])*
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body<const $fma: bool>($($arg: $ty),*) $(-> $ret)? $body
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512dq,avx512bw,avx512vl,avx2,fma")]
            fn avx512($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) $(-> $ret)? { body::<true>($($arg),*) }
            match $crate::simd::isa() {
                #[cfg(target_arch = "x86_64")]
                // SAFETY: isa() answers Avx512 only where the processor has every feature that the function enables.
                $crate::simd::Isa::Avx512 => unsafe { avx512($($arg),*) },
                #[cfg(target_arch = "x86_64")]
                // SAFETY: likewise for Avx2.
                $crate::simd::Isa::Avx2 => unsafe { avx2($($arg),*) },
                _ => body::<false>($($arg),*),
            }
        }
    };
}
pub(crate) use kernel;

/// a · b + c, fused where that is one instruction.
#[inline(always)]
pub(crate) fn fma<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// Sum of the lanes in a fixed, balanced order.
#[inline(always)]
pub(crate) fn sum_lanes(lanes: [f32; LANES]) -> f32 {
    let mut eight = [0.0; 8];
    for i in 0..8 {
        eight[i] = lanes[i] + lanes[i + 8];
    }
    let mut four = [0.0; 4];
    for i in 0..4 {
        four[i] = eight[i] + eight[i + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Σ a·b.
#[inline(always)]
pub(crate) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (a_body, a_tail) = a.as_chunks::<LANES>();
    let (b_body, b_tail) = b.as_chunks::<LANES>();
    for (x, y) in a_body.iter().zip(b_body) {
        for i in 0..LANES {
            lanes[i] = fma::<FMA>(x[i], y[i], lanes[i]);
        }
    }
    let mut tail = 0.0;
    for (x, y) in a_tail.iter().zip(b_tail) {
        tail = fma::<FMA>(*x, *y, tail);
    }
    sum_lanes(lanes) + tail
}

/// Largest number, −∞ of none.
#[inline(always)]
pub(crate) fn max(x: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (body, tail) = x.as_chunks::<LANES>();
    for chunk in body {
        for i in 0..LANES {
            lanes[i] = if chunk[i] > lanes[i] { chunk[i] } else { lanes[i] };
        }
    }
    tail.iter().chain(&lanes).fold(f32::NEG_INFINITY, |best, &v| if v > best { v } else { best })
}

/// eˣ within 2 units in the last place for x in [−87, 88]; 0 below −87.3 (a subnormal at most) and at most 2¹²⁷·√2 above.
/// NaN stays NaN.
///
/// 2^n · e^r with n = round(x · log₂e) and |r| ≤ ln2/2; e^r by its Taylor polynomial of degree 7, whose remainder
/// r⁸/8! is below 1e-8 of the result (Cody and Waite's two-part ln2 keeps r exact).
#[inline(always)]
pub(crate) fn exp<const FMA: bool>(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2^23: adding it leaves round(x) in the low mantissa bits
    const LN2_HI: f32 = 0.693_359_4;
    const LN2_LO: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.3, 88.0);
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = fma::<FMA>(n, -LN2_LO, fma::<FMA>(n, -LN2_HI, clamped));
    let mut p = 1.0 / 5040.0;
    for c in [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        p = fma::<FMA>(p, r, c);
    }
    // The low bits of `shifted` are n in two's complement; adding n to p's exponent multiplies by 2^n.
    let bits = p.to_bits().wrapping_add(shifted.to_bits() << 23);
    let result = f32::from_bits(bits);
    if x.is_nan() {
        x
    } else if x < -87.3 {
        0.0
    } else {
        result
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// Stands in for the chosen instruction set on this thread.
        pub(super) static FORCED: Cell<Option<Isa>> = const { Cell::new(None) };
    }

    /// What `work` returns under each instruction set that the processor has, the best first. Only this thread computes with it, so
    /// `work` uses a device of one thread.
    pub(crate) fn under_each<R>(work: impl Fn() -> R) -> Vec<(Isa, R)> {
        let run = |isa| {
            FORCED.set(Some(isa));
            let result = work();
            FORCED.set(None);
            (isa, result)
        };
        available(detect()).map(run).collect()
    }

    #[test]
    fn what_is_asked_for_is_taken_or_refused_but_never_replaced() {
        use Isa::{Avx2, Avx512, Portable};
        for best in Isa::ALL {
            assert_eq!(choose(None, best), Ok(best));
            assert_eq!(choose(Some("portable"), best), Ok(Portable));
        }
        assert_eq!(choose(Some("avx2"), Avx512), Ok(Avx2));
        for (asked, best) in [("avx512", Avx2), ("avx512", Portable), ("avx2", Portable)] {
            let error = choose(Some(asked), best).unwrap_err();
            assert_eq!(error, IsaError::Unavailable { asked: asked.into(), best });
        }
        for asked in ["", "AVX2", "avx-512", "avx512 ", "sse"] {
            let message = choose(Some(asked), Avx512).unwrap_err().to_string();
            assert_eq!(message, format!("COGNATE_SIMD={asked:?}: expected avx512, avx2, portable"));
        }
        let message = choose(Some("avx512"), Avx2).unwrap_err().to_string();
        assert_eq!(message, "COGNATE_SIMD=\"avx512\": this processor does not have it; it has avx2, portable");
    }

    #[test]
    fn exp_is_close_to_the_library_on_its_stated_range() {
        let mut worst = 0.0f64;
        for i in 0..400_000 {
            let x = -87.0 + i as f32 * (175.0 / 400_000.0);
            for y in [exp::<true>(x), exp::<false>(x)] {
                worst = worst.max(((f64::from(y) - f64::from(x).exp()) / f64::from(x).exp()).abs());
            }
        }
        // 2 units in the last place of f32.
        assert!(worst < 2.0 * f64::from(f32::EPSILON), "relative error {worst:e}");
        assert_eq!(exp::<true>(0.0), 1.0);
        assert_eq!(exp::<true>(-200.0), 0.0);
        assert_eq!(exp::<true>(f32::NEG_INFINITY), 0.0);
        assert!(exp::<true>(f32::NAN).is_nan());
        assert!(exp::<true>(1e30).is_finite());
    }

    #[test]
    fn dot_and_max_agree_with_plain_loops_at_every_length() {
        for n in 0..70usize {
            let a: Vec<f32> = (0..n).map(|i| (i as f32 * 0.37).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 0.91).cos()).collect();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            // n products of magnitude below 1, each rounded once: the error is below n · 2^-23.
            assert!((f64::from(dot::<true>(&a, &b)) - exact).abs() <= n as f64 * f64::from(f32::EPSILON));
            assert_eq!(max(&a), a.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
