//! The learning rate at each step.

/// How the rate goes on after the warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Half a cosine from the peak to the final rate (Loshchilov and Hutter 2017).
    Cosine,
    /// The peak, to the end.
    Constant,
}

/// A highest learning rate for a training run of `flops` operations between embedding and head: 0.3118 · C^(−1/8), which DeepSeek-AI
/// fitted to sweeps of AdamW with C from 1e17 to 2e19 (DeepSeek LLM, arXiv 2401.02954, section 3.1). Width, depth and budget enter
/// through C. Two digits: a rule of thumb has no more. (The constants are recalled; the paper could not be opened here.)
pub fn peak_rate_for(flops: f64) -> f64 {
    // Square roots are exact to the last bit on every machine, powf is not.
    let rate = 0.3118 / flops.max(1.0).sqrt().sqrt().sqrt();
    let digits = 10f64.powi(1 - rate.log10().floor() as i32);
    (rate * digits).round() / digits
}

/// Learning rate over a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    /// Highest rate.
    pub peak_rate: f64,
    /// Rate towards the end of a cosine.
    pub final_rate: f64,
    /// Share of the steps that the rate climbs to the peak in, from 0 to 1.
    pub warmup_share: f64,
    /// After the warm-up.
    pub shape: Shape,
}

impl Schedule {
    /// Rate at `step` (from 0) of `steps`: peak·(s+1)/W in the W steps of the warm-up, then
    /// final + (peak − final)/2 · (1 + cos(π·(s−W)/(S−W))).
    pub fn rate(&self, step: u64, steps: u64) -> f64 {
        let warmup = (self.warmup_share * steps as f64).round() as u64;
        if step < warmup {
            return self.peak_rate * (step + 1) as f64 / warmup as f64;
        }
        match self.shape {
            Shape::Constant => self.peak_rate,
            Shape::Cosine => {
                let part = (step - warmup) as f64 / (steps - warmup).max(1) as f64;
                let half = (self.peak_rate - self.final_rate) / 2.0;
                self.final_rate + half * (1.0 + (std::f64::consts::PI * part).cos())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_derived_rate_is_that_of_the_formula() {
        // 0.3118 / 10^(17/8), 0.3118 / 10^(19.301/8) and 0.3118 / 10^1.5.
        assert_eq!([1e17, 2e19, 1e12].map(peak_rate_for), [0.0023, 0.0012, 0.0099]);
        assert!(peak_rate_for(0.0) < 1.0);
    }

    #[test]
    fn rates_are_those_of_the_golden_training_run() {
        // Ten steps, three of warm-up, as tools/reference/training.py prints them.
        let schedule = Schedule { peak_rate: 1e-2, final_rate: 1e-3, warmup_share: 0.3, shape: Shape::Cosine };
        let rates: Vec<f64> = (0..10).map(|step| schedule.rate(step, 10)).collect();
        let printed = [0.003333, 0.006667, 0.01, 0.01, 0.009554, 0.008306, 0.006501, 0.004499, 0.002694, 0.001446];
        for (rate, printed) in rates.iter().zip(printed) {
            assert!((rate - printed).abs() < 5e-7, "{rates:?}");
        }
    }

    #[test]
    fn no_warm_up_and_all_warm_up() {
        let none = Schedule { peak_rate: 1.0, final_rate: 0.0, warmup_share: 0.0, shape: Shape::Cosine };
        assert_eq!(none.rate(0, 4), 1.0);
        let all = Schedule { warmup_share: 1.0, ..none };
        assert_eq!((0..4).map(|s| all.rate(s, 4)).collect::<Vec<_>>(), [0.25, 0.5, 0.75, 1.0]);
        let constant = Schedule { shape: Shape::Constant, ..none };
        assert_eq!(constant.rate(3, 4), 1.0);
    }
}
