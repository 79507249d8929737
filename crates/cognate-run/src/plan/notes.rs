//! What a reader of a plan should know beside the table.

use cognate_base::process;
use cognate_corpus::{IngestStats, TokenizeStats};

use super::short;
use crate::arms::{Diet, epochs_of_unique};
use crate::duration::seconds;
use crate::estimate::{Estimate, StagePlan, Written};
use crate::recipe::{Arm, Contexts, PERPLEXITY, SeedsOf, Training};
use crate::stages::tune::tuning_flops;
use crate::step::{Step, label};
use crate::warnings::{costly_tuning, epochs, few_pairs, long_documents};

/// What stands below a plan's table.
#[derive(Default)]
pub(super) struct Notes {
    /// What a reader should know.
    pub(super) plain: Vec<String>,
    /// What would stop the run, or spoil its results.
    pub(super) warnings: Vec<String>,
}

impl Estimate<'_> {
    /// What holds for the whole recipe and for its arms.
    pub(super) fn notes(&self, stages: &[StagePlan], memory: Option<process::Memory>) -> Notes {
        let mut notes = Notes { plain: vec![self.certainty(), self.corpus()], warnings: Vec::new() };
        notes.plain.extend(self.measured.ingest.as_ref().map(dropped));
        notes.plain.extend(memory_note(stages, memory));
        notes.warnings.extend(self.lengths());
        self.recipe.arms.iter().for_each(|arm| self.arm(arm, &mut notes));
        (0..self.recipe.synthesizers.len()).for_each(|at| self.tuning(at, &mut notes));
        notes.warnings.extend(self.too_few());
        notes.plain.extend(self.others());
        notes
    }

    /// What is measured and what is estimated.
    fn certainty(&self) -> String {
        let mut done: Vec<&str> = self.measured.rows.keys().map(|step| step.stage()).collect();
        done.dedup();
        let left_out = self.measured.left_out.as_ref();
        if done.is_empty() {
            let why = left_out.map_or_else(String::new, |why| format!(", since {why}"));
            return format!("~ marks an estimate; no stage was done to measure more{why}");
        }
        let why = left_out.map_or_else(String::new, |why| format!("; not all of them, since {why}"));
        format!(
            "~ marks an estimate; other figures follow from the recipe, or were measured: {} done in a temporary folder in {}{why}",
            match done.as_slice() {
                [one] => format!("`{one}` was"),
                [firsts @ .., last] => format!("`{}` and `{last}` were", firsts.join("`, `")),
                [] => String::new(),
            },
            seconds(self.measured.wall_s),
        )
    }

    /// How many documents there are, and how long.
    fn corpus(&self) -> String {
        let survey = self.survey;
        if let (Some(ingest), Some(tokenized)) = (&self.measured.ingest, self.measured.tokenized) {
            let splits = [tokenized.validation, tokenized.unique, tokenized.oracle, tokenized.selection];
            let sum = |of: fn(&TokenizeStats) -> u64| splits.iter().map(of).sum::<u64>();
            let (documents, tokens, bytes) = (sum(|one| one.documents), sum(|one| one.tokens), sum(|one| one.bytes));
            return format!(
                "{} documents, of which {documents} are kept, with {:.0} tokens on average; {:.2} bytes a token with a vocabulary of {}",
                ingest.read,
                tokens as f64 / documents.max(1) as f64,
                bytes as f64 / tokens.max(1) as f64,
                tokenized.vocabulary,
            );
        }
        format!(
            "{} documents of ~{:.0} tokens on average{}; ~{:.2} bytes a token with a vocabulary of {}",
            survey.documents as u64,
            survey.tokens_per_document,
            if survey.whole { "" } else { " (extrapolated from parts of the corpus)" },
            survey.bytes_per_token(),
            survey.vocabulary,
        )
    }

    /// What long documents mean.
    fn lengths(&self) -> Vec<String> {
        let share =
            |context: usize| self.measured.longer_than(context).unwrap_or_else(|| self.survey.longer_than(context));
        long_documents(self.recipe, share)
    }

    /// What a synthesizer learns from, and what is wrong with that.
    fn tuning(&self, at: usize, notes: &mut Notes) {
        let (step, size) = (Step::Tune(at), self.size(at));
        let label = step.label(self.recipe);
        let Some(held_out) = self.measured.lessons.contains_key(&at).then(|| self.held_out(self.set_of(at))) else {
            return notes.plain.push(format!(
                "{label}: at most ~{} training pairs, and so much of tuning, scoring relevance and an equal-flops arm: which neighbours are pairs \
                 is not known yet",
                short(size.pairs as f64)
            ));
        };
        notes.plain.push(format!(
            "{label}: {} training pairs, {} tokens in {} steps; {held_out} pairs held out",
            size.pairs, size.tokens, size.steps
        ));
        let (tuning, pretraining) = tuning_flops(self.recipe, at, self.vocabulary(), self.mean(), size);
        // What is drawn of them is wanted so.
        let all = self.measured.pairs.get(&self.set_of(at)).map_or(size.pairs, |(training, _)| *training);
        let set = self.set_of(at);
        notes.warnings.extend(few_pairs(&Step::Pair(set).label(self.recipe), &self.recipe.pairs[set].method, all));
        notes.warnings.extend(costly_tuning(&label, tuning, pretraining));
    }

    fn set_of(&self, synthesizer: usize) -> usize {
        self.recipe.pair_set(&self.recipe.synthesizers[synthesizer].pairs)
    }

    /// What an arm is trained on, and what is wrong with that.
    fn arm(&self, arm: &Arm, notes: &mut Notes) {
        let (unique, oracle) = self.split_tokens();
        let Training { train, model, .. } = &arm.training;
        let tokens = self.training_tokens(&arm.training, self.recipe.seed);
        let diet = Diet::of(&arm.training, tokens, (unique as u64, oracle as u64));
        let is_measured = self.measured.tokenized.is_some();
        let mark = if is_measured { "" } else { "~" };
        notes.plain.push(format!(
            "{}: {mark}{} unique tokens seen {mark}{:.2} times, {} synthetic tokens",
            arm.name, diet.unique_tokens, diet.epochs, diet.synthetic_tokens
        ));
        let times = epochs_of_unique(arm, (unique as u64, oracle as u64));
        notes.warnings.extend(times.and_then(|times| epochs(&arm.name, times)));
        let (batch, context) = (train.batch_tokens, model.context);
        if arm.training.contexts != Contexts::Single && !batch.is_multiple_of(context) {
            notes.plain.push(format!(
                "{}: [train] batch_tokens = {batch} is no multiple of [model] context = {context}, so batches cut contexts of related \
                 documents; how many is counted",
                arm.name
            ));
        }
        // Where it is measured, the run's own check has told.
        if !is_measured && arm.training.max_epochs.is_some_and(|most| diet.epochs > most) {
            notes.warnings.push(format!(
                "{}: the corpus is too small for {} tokens of documents so fresh; the run would stop before training",
                arm.name, diet.train_tokens
            ));
        }
    }

    /// What stops the run before training, as far as the numbers of documents say so.
    fn too_few(&self) -> Option<String> {
        let (unique, neighbours) = (self.unique_documents(), self.recipe.pair.neighbours);
        let needs = !self.recipe.embeddings.is_empty();
        (needs && self.measured.ingest.is_none() && unique <= neighbours as f64).then(|| {
            format!(
                "about {unique:.0} documents are unique, and [pair] neighbours = {neighbours} of each are looked for: the run would stop \
                 before training; raise [corpus] unique_share or lower [pair] neighbours"
            )
        })
    }

    /// What a server is asked that writes about entities: how often, and for how much.
    fn of_server(&self, corpus: usize, url: &str) -> String {
        let (recipe, of) = (self.recipe, &self.recipe.synthetic[corpus]);
        let listed = match &of.seeds {
            SeedsOf::Corpus(name) => self.written(recipe.corpus_of(name)).documents,
            SeedsOf::Unique | SeedsOf::None => self.unique_documents(),
        };
        let Written { documents, length, seed } = self.written(corpus);
        format!(
            "generate {}: {url} is asked {listed:.0} times for the entities of a document, and at least {documents:.0} times for a text, with about {} tokens \
             of prompts and {} of texts in all, as this tokenizer counts; neither its time nor its operations are counted",
            of.name,
            short((listed + documents) * seed),
            short(documents * length)
        )
    }

    /// What is not counted, and how far the figures go.
    fn others(&self) -> Vec<String> {
        let recipe = self.recipe;
        let mut notes = Vec::new();
        for (at, corpus) in recipe.synthetic.iter().enumerate() {
            let Some(endpoint) = &corpus.generate.endpoint else { continue };
            let url = &endpoint.url;
            if corpus.generate.most_entities.is_some() {
                notes.push(self.of_server(at, url));
                continue;
            }
            notes.push(format!("generate: {url} writes the documents; its time is what this machine would take"));
        }
        let tasks: Vec<&str> =
            recipe.evaluate.tasks.iter().map(String::as_str).filter(|task| *task != PERPLEXITY).collect();
        if !tasks.is_empty() {
            notes.push(format!(
                "evaluate: published tasks ({}) are counted neither in FLOPs nor in time: how long their questions are is not looked at here",
                tasks.join(", ")
            ));
        }
        notes
    }
}

/// What of the documents is dropped.
pub(super) fn dropped(ingest: &IngestStats) -> String {
    let passages = match ingest.contaminated {
        0 => String::new(),
        _ => format!(", most often {}", ingest.told_passages()),
    };
    format!(
        "dropped: {} without text, {} exact duplicates, {} contaminated ({:.1} % of the documents outside of validation share \
         [corpus] contamination_words with a validation document{passages}); {} records rejected",
        ingest.without_text,
        ingest.exact_duplicates,
        ingest.contaminated,
        100.0 * ingest.contaminated_share(),
        ingest.rejected,
    )
}

/// The stage that takes most memory, beside what there is.
pub(super) fn memory_note(stages: &[StagePlan], memory: Option<process::Memory>) -> Option<String> {
    let most = stages.iter().max_by_key(|stage| stage.memory_bytes)?;
    let needed = format!(
        "{} takes most memory, about {}B",
        label(most.stage, most.arm.as_deref()),
        short(most.memory_bytes as f64)
    );
    let Some(process::Memory { total, available }) = memory else { return Some(needed) };
    let has = format!("this machine has {}B", short(total as f64));
    Some(match most.memory_bytes {
        need if need > total => {
            let too_large = stages.iter().filter(|stage| stage.memory_bytes > total).count();
            format!(
                "{needed}, and {has}: the run would fail there{}; shorten [model] or batch_tokens, or take a larger machine",
                if too_large > 1 { format!(" (and in {} other stages)", too_large - 1) } else { String::new() }
            )
        }
        need if need > available => {
            format!("{needed}; {has}, of which other programs hold all but {}B now", short(available as f64))
        }
        _ => format!("{needed}; {has}"),
    })
}
