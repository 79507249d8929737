//! Operations up to a point of an arm's training, and in all.

use crate::report::{Arm, Report};
use crate::task_point::TaskPoint;

impl Report {
    /// Operations up to a point of the training of `arm` with `seed`, [`Arm::preparation_flops`](Arm::preparation_flops)
    /// included; `None` where training it was not counted.
    #[must_use]
    pub fn flops_at(&self, arm: &str, seed: u64, tokens: u64) -> Option<f64> {
        let trained = self.arms.iter().find(|other| other.name == arm && other.seed == seed)?;
        let own = trained.flops * tokens as f64 / trained.train_tokens as f64;
        (trained.flops > 0.0 && trained.train_tokens > 0).then_some(trained.preparation_flops + own)
    }

    /// Operations of an arm's training and of all that it needed, base models among it, on average over its models; `None` where they
    /// were not counted.
    #[must_use]
    pub fn flops_in_all(&self, arm: &str) -> Option<f64> {
        self.mean_flops(arm, |model| model.base_flops + model.preparation_flops + model.flops)
    }

    /// The same without base models that repetition has for nothing.
    #[must_use]
    pub fn flops_beside_repetition(&self, arm: &str) -> Option<f64> {
        self.mean_flops(arm, |model| model.preparation_flops + model.flops)
    }

    fn mean_flops(&self, arm: &str, flops: impl Fn(&Arm) -> f64) -> Option<f64> {
        let models: Vec<&Arm> = self.arms.iter().filter(|other| other.name == arm).collect();
        let is_counted = !models.is_empty() && models.iter().all(|model| model.flops > 0.0);
        is_counted.then(|| models.iter().map(|model| flops(model)).sum::<f64>() / models.len() as f64)
    }

    /// Gives the points of tasks their operations, as losses have theirs.
    pub fn count_task_curves(&mut self) {
        let flops = |point: &TaskPoint| self.flops_at(&point.arm, point.seed?, point.tokens);
        let counted: Vec<Option<f64>> = self.task_curves.iter().map(flops).collect();
        self.task_curves.iter_mut().zip(counted).for_each(|(point, flops)| point.flops = flops);
    }
}
