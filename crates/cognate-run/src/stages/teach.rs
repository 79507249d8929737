//! `teach`: what arms expect of every token of a corpus, for others to learn.

use cognate_base::Monitor;
use cognate_corpus::TokenFile;
use cognate_model::Decoder;
use cognate_train::{TeachConfig, Teachings, TeachingsStats, teach, teaching_bytes};
use serde_json::json;

use super::{Place, Stage};
use crate::context::{Config, Context, Inputs, Made};
use crate::error::Result;
use crate::estimate::{Cost, Estimate};
use crate::recipe::{Model, Recipe, Taught, Teaching, model_config};
use crate::rundir::Work;
use crate::step::{Replicate, Step};

/// What the files are called, before their parts.
pub(crate) const NAME: &str = "taught";
/// The parts: tokens, and their probabilities.
pub(crate) const PARTS: [&str; 2] = ["ids", "probabilities"];

/// One of [`Recipe::teachings`].
pub(crate) struct Teach(pub(crate) usize);

impl Teach {
    fn teaching<'a>(&self, recipe: &'a Recipe) -> &'a Teaching {
        &recipe.teachings[self.0]
    }

    /// The teachers: all members of the arms' models of the recipe's own seed.
    fn teachers(&self, recipe: &Recipe) -> Vec<Replicate> {
        let arms = self.teaching(recipe).teachers.iter();
        arms.flat_map(|name| Replicate::own(recipe, recipe.arm(name)).members(recipe)).collect()
    }

    fn models<'a>(&self, recipe: &'a Recipe) -> impl Iterator<Item = &'a Model> {
        self.teachers(recipe).into_iter().map(|model| &recipe.arms[model.arm].training.model)
    }

    /// What its teachers hold while they are asked, with a vocabulary of `vocabulary`.
    fn bytes(&self, recipe: &Recipe, vocabulary: usize) -> f64 {
        let configs: Vec<_> = self.models(recipe).map(|model| model_config(recipe, model, vocabulary)).collect();
        teaching_bytes(&configs, self.teaching(recipe).context)
    }
}

/// The corpus' tokens: the step that makes them, and their name in its folder.
fn tokens(recipe: &Recipe, of: &Taught) -> (Step, &'static str) {
    match of {
        Taught::Unique => (Step::Tokenize, "unique"),
        Taught::Oracle => (Step::Tokenize, "oracle"),
        Taught::Synthetic(corpus) => (Step::Filter(recipe.corpus_of(corpus)), "synthetic"),
    }
}

/// What the teachers of the teaching at `at` expect of `text`.
pub(crate) fn open(context: &Context<'_>, at: usize, text: &TokenFile) -> Result<Teachings> {
    let step = Step::Teach(at);
    let stats: TeachingsStats = context.statistics(step.folder(context.recipe))?;
    Ok(Teachings::open(&context.made(step).folder, NAME, stats.top, text)?)
}

impl Stage for Teach {
    fn step(&self) -> Step {
        Step::Teach(self.0)
    }

    fn version(&self, _: &Recipe) -> u32 {
        1
    }

    fn needs(&self, recipe: &Recipe) -> Vec<Step> {
        let teaching = self.teaching(recipe);
        let (text, _) = tokens(recipe, &teaching.of);
        std::iter::once(text).chain(self.teachers(recipe).into_iter().map(Step::Train)).collect()
    }

    fn config(&self, recipe: &Recipe, config: &mut Config) -> Result<()> {
        let Teaching { temperature, top, context, .. } = self.teaching(recipe);
        config.put("train", json!({"teacher_temperature": temperature, "teacher_top": top}))?;
        config.put("model", json!({"context": context}))?;
        config.put("arm", json!({"teachers": self.teachers(recipe).len()}))
    }

    fn inputs(&self, context: &Context<'_>, inputs: &mut Inputs<'_>) -> Result<()> {
        let recipe = context.recipe;
        let teaching = self.teaching(recipe);
        let (text, name) = tokens(recipe, &teaching.of);
        inputs.add_tokens("the tokens", text.folder(recipe), name)?;
        for (at, model) in self.teachers(recipe).into_iter().enumerate() {
            let model = context.made(Step::Train(model));
            inputs.add(&format!("teacher {}", at + 1), model, "final/model.safetensors")?;
        }
        Ok(())
    }

    fn work(&self, context: &Context<'_>, place: Place<'_>, monitor: &dyn Monitor) -> Result<Made> {
        let recipe = context.recipe;
        let Teaching { temperature, top, context: length, of, .. } = self.teaching(recipe);
        let (text, name) = tokens(recipe, of);
        let text = context.tokens(text.folder(recipe), name)?;
        let mut models = Vec::new();
        for model in self.teachers(recipe) {
            models.push(Decoder::load(context.device()?, &context.made(Step::Train(model)).path("final"))?.0);
        }
        let tokenizer = context.tokenizer()?;
        let (begin, vocab) = (tokenizer.begin_of_document(), tokenizer.vocab_size());
        let config = TeachConfig { context: *length, begin, temperature: *temperature, top: *top, vocab };
        let stats = teach(&mut models, &text, config, (place.folder, NAME), monitor)?;
        tracing::info!(
            "{}: {} of each distribution are kept, which leaves {:.2} % of its mass and {:.3} of {:.3} nats of its entropy unknown",
            Step::Teach(self.0).label(recipe),
            stats.top,
            100.0 * stats.rest,
            stats.lost,
            stats.entropy
        );
        let mut made = Made::default();
        for part in PARTS {
            made.rows(&format!("{NAME}-{part}.bin"), stats.tokens * stats.top as u64);
            made.rows(&format!("{NAME}-{part}.idx"), text.documents() as u64);
        }
        let (documents, tokens) = (text.documents() as u64, stats.tokens as f64);
        let mean = (tokens / documents.max(1) as f64).min(*length as f64);
        let flops = models.iter().map(|model| model.config().forward_flops(tokens, tokens, mean / 2.0)).sum();
        made.work = Work { statistics: json!(stats), flops, tokens: stats.tokens, documents };
        Ok(made)
    }

    fn model<'a>(&self, recipe: &'a Recipe) -> Option<&'a Model> {
        self.models(recipe).next()
    }

    fn model_memory(
        &self,
        recipe: &Recipe,
        model: &cognate_model::Config,
        _longest: &dyn Fn(usize) -> usize,
    ) -> Option<(&'static str, f64)> {
        Some(("asking this recipe's teachers", self.bytes(recipe, model.vocab)))
    }

    fn cost(&self, estimate: &Estimate<'_>) -> Cost {
        let recipe = estimate.recipe;
        let teaching = self.teaching(recipe);
        let (unique, oracle) = estimate.split_tokens();
        let (tokens, documents) = match &teaching.of {
            Taught::Unique => (unique, unique / estimate.mean()),
            Taught::Oracle => (oracle, oracle / estimate.mean()),
            Taught::Synthetic(corpus) => {
                let corpus = recipe.corpus_of(corpus);
                let tokens = recipe.synthetic_tokens(corpus) as f64;
                (tokens, tokens / estimate.written(corpus).length)
            }
        };
        let mean = estimate.mean().min(teaching.context as f64);
        let vocabulary = estimate.vocabulary();
        let flops = |model: &Model| model_config(recipe, model, vocabulary).forward_flops(tokens, tokens, mean / 2.0);
        let flops: f64 = self.models(recipe).map(flops).sum();
        let top = teaching.top.min(vocabulary) as f64;
        let bytes = estimate.token_bytes(tokens * top, documents) + tokens * top * 2.0 + documents * 20.0;
        Cost { documents, tokens, flops, bytes, wall_s: estimate.passes_s(flops), ..Cost::default() }
    }

    fn memory(&self, estimate: &Estimate<'_>) -> f64 {
        self.bytes(estimate.recipe, estimate.vocabulary())
    }
}
