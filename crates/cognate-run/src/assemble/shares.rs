//! Arms that see the same synthetic corpora in different shares, side by side.

use std::collections::BTreeMap;

use cognate_results::{Dose, Doses, GapClosed, VALIDATION, gap_key};

use super::Assembly;

impl Assembly<'_> {
    /// The gap that arms close over their share of synthetic text, for corpora that at least two measured arms see in different shares.
    pub(super) fn doses(&self, gap_closed: &BTreeMap<String, GapClosed>) -> Vec<Doses> {
        let mut found: BTreeMap<String, Vec<Dose>> = BTreeMap::new();
        for arm in self.recipe.arms.iter().filter(|arm| arm.evaluate) {
            let synthetic = &arm.training.synthetic;
            // Which share an arm has that chooses its share is not its recipe's to say.
            if arm.trainings().any(|training| training.synthetic != *synthetic) {
                continue;
            }
            let name = self.report_name(arm);
            let Some(gap) = gap_closed.get(&gap_key(VALIDATION, name)).filter(|_| !synthetic.is_empty()) else {
                continue;
            };
            let mut names: Vec<&str> = synthetic.iter().map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            let dose = Dose { arm: name.to_owned(), share: arm.training.synthetic_share(), gap: *gap };
            found.entry(names.join(", ")).or_default().push(dose);
        }
        let several = |(corpora, mut arms): (String, Vec<Dose>)| {
            arms.sort_by(|a, b| a.share.total_cmp(&b.share));
            let differ = arms.windows(2).any(|pair| pair[0].share < pair[1].share);
            differ.then_some(Doses { corpora, arms })
        };
        found.into_iter().filter_map(several).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::recipe::Recipe;

    #[test]
    fn arms_of_the_same_corpora_stand_by_their_shares() {
        let arms = [
            "kind = \"repetition\"",
            "name = \"much\"\nsynthetic.related = 0.75",
            "name = \"little\"\nsynthetic.related = 0.25\ntrain.weight_decay = [0.1, 0.4]",
            "name = \"any\"\nsynthetic.related = [0.3, 0.4]",
            "name = \"both\"\nsynthetic = { related = 0.25, shuffled = 0.25 }",
            "name = \"alone\"\nkind = \"unconditional\"",
            "kind = \"oracle\"",
        ];
        let arms: String = arms.iter().map(|arm| format!("[[arm]]\n{arm}\n")).collect();
        let text = format!(
            "name = \"a\"\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n{arms}"
        );
        let recipe = Recipe::parse(Path::new("r.toml"), &text).unwrap();
        let assembly = Assembly { root: Path::new("nowhere"), recipe: &recipe };
        let gap = |mean| GapClosed { mean: Some(mean), low: None, high: None, seeds: 1 };
        let names = ["much", "little", "any", "both", "alone"];
        let gaps = names.iter().enumerate().map(|(at, name)| (gap_key(VALIDATION, name), gap(at as f64)));
        let found = assembly.doses(&gaps.collect());
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].corpora, "related");
        let shown: Vec<(&str, f64, Option<f64>)> =
            found[0].arms.iter().map(|dose| (dose.arm.as_str(), dose.share, dose.gap.mean)).collect();
        assert_eq!(shown, [("little", 0.25, Some(1.0)), ("much", 0.75, Some(0.0))]);
    }
}
