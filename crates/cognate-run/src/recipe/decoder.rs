//! The decoder that a recipe's table `[model]` describes.

use cognate_model::Config;

use super::{Model, Recipe};

/// The decoder of a model of `recipe`.
pub(crate) fn model_config(recipe: &Recipe, model: &Model, vocab: usize) -> Config {
    decoder_config(model, vocab, max_positions(recipe))
}

/// The decoder that a table `[model]` describes.
pub(crate) fn decoder_config(model: &Model, vocab: usize, max_positions: usize) -> Config {
    let Model { layers, width, heads, kv_heads, head_width, ffn, rope_base, norm_eps, qk_norm, tied, context: _ } =
        *model;
    let rope_scaling = None;
    Config {
        vocab,
        width,
        layers,
        heads,
        kv_heads,
        head_width,
        ffn,
        max_positions,
        rope_base,
        rope_scaling,
        norm_eps,
        qk_norm,
        tied,
    }
}

/// The longest context that any stage shows the model: the same for every arm, with synthesis or without.
pub(crate) fn max_positions(recipe: &Recipe) -> usize {
    let of_arms = recipe.arms.iter().flat_map(|arm| arm.trainings().map(|training| training.model.context));
    let of_synthesizers = recipe.synthesizers.iter().map(|synthesizer| synthesizer.tune.context);
    of_arms.chain(of_synthesizers).fold(recipe.model.context.max(recipe.tune.context), usize::max)
}
