//! Published tasks as part of `evaluate`: which files, and every arm's figures.

use std::collections::BTreeMap;
use std::path::Path;

use cognate_base::Monitor;
use cognate_base::files::AtomicFile;
use cognate_corpus::Tokenizer;
use cognate_eval::tasks::{
    Definition, TaskFiles, TaskOptions, TaskScores, check_task, evaluate_task, file_in, file_names,
};
use serde::{Deserialize, Serialize};

use super::BATCH_TOKENS;
use crate::device::Models;
use crate::error::{Error, Result};
use crate::recipe::{PERPLEXITY, Recipe, tasks_of};

/// File with what each question contributed, a JSON object a line.
pub(crate) const QUESTIONS: &str = "questions.jsonl";

/// The tasks' part of what the stage leaves in its manifest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Scored {
    /// The figures by task.
    #[serde(default)]
    pub(crate) tasks: BTreeMap<String, TaskScores>,
}

/// The recipe's tasks and where their files are. Those of a world lie in `made`, the folder of `ingest`, and
/// are left out where there is none.
pub(crate) fn tasks(recipe: &Recipe, made: Option<&Path>) -> Result<Vec<(Definition, TaskFiles)>> {
    let own = recipe.corpus.world.as_ref().map_or(&[][..], tasks_of);
    let is_own = |name: &str| own.contains(&name);
    let data_dir = recipe.evaluate.data_dir.as_ref().map(|folder| recipe.at(folder));
    let file = |folder: Option<&Path>, names: &[String]| {
        let folder = folder.unwrap_or(Path::new(""));
        file_in(folder, names).ok_or_else(|| Error::Setting {
            name: "evaluate.data_dir".to_owned(),
            found: folder.display().to_string(),
            expected: format!("a folder with {}", file_names(names)),
        })
    };
    let with_files = |name: &String| {
        let task = Definition::bundled(name)?;
        let folder = if is_own(name) { made } else { data_dir.as_deref() };
        let examples = (task.default_shots() > 0 && !task.example_files().is_empty()).then(|| task.example_files());
        let files = TaskFiles {
            questions: file(folder, task.files())?,
            examples: examples.map(|names| file(folder, names)).transpose()?,
        };
        Ok((task, files))
    };
    // A world may have nothing to ask: where nobody is told of once, say.
    let has = |name: &str| {
        made.is_some_and(|made| Definition::bundled(name).is_ok_and(|task| file_in(made, task.files()).is_some()))
    };
    let there = |name: &&String| **name != PERPLEXITY && (!is_own(name) || has(name));
    recipe.evaluate.tasks.iter().filter(there).map(with_files).collect()
}

/// What a task is measured on: each file by what it is called among the inputs of the stage.
pub(crate) fn inputs<'a>(
    task: &Definition,
    files: &'a TaskFiles,
) -> impl Iterator<Item = (String, &'a Path)> + use<'a> {
    let name = task.name().to_owned();
    let questions = std::iter::once((format!("the questions of {name}"), files.questions.as_path()));
    questions.chain(files.examples.as_deref().map(|path| (format!("the examples of {name}"), path)))
}

/// Refuses files of the recipe's tasks that its models could not be measured on; see [`check_task`].
pub(crate) fn check(
    recipe: &Recipe,
    made: Option<&Path>,
    models: Option<(&Tokenizer, usize)>,
    monitor: &dyn Monitor,
) -> Result<()> {
    for (task, files) in tasks(recipe, made)? {
        check_task(models, &task, &files, options(recipe), monitor)?;
    }
    Ok(())
}

fn options(recipe: &Recipe) -> TaskOptions {
    let limit = (recipe.evaluate.limit > 0).then_some(recipe.evaluate.limit);
    // One seed for all arms: they get the same examples.
    TaskOptions { shots: None, limit, seed: recipe.seed, batch_tokens: BATCH_TOKENS }
}

/// Measures a model on the recipe's tasks and writes [`QUESTIONS`] into `folder`; nothing where there are no tasks.
pub(crate) fn score(
    (recipe, made): (&Recipe, &Path),
    model: &mut Models,
    tokenizer: &Tokenizer,
    folder: &Path,
    monitor: &dyn Monitor,
) -> Result<Scored> {
    let mut scored = Scored::default();
    let tasks = tasks(recipe, Some(made))?;
    if tasks.is_empty() {
        return Ok(scored);
    }
    let mut file = AtomicFile::create(folder.join(QUESTIONS))?;
    for (task, files) in &tasks {
        let (scores, outcomes) = evaluate_task(model, tokenizer, task, files, options(recipe), monitor)?;
        for outcome in &outcomes {
            let line = serde_json::to_string(outcome).map_err(std::io::Error::from)?;
            std::io::Write::write_all(&mut file, format!("{line}\n").as_bytes())?;
        }
        scored.tasks.insert(task.name().to_owned(), scores);
    }
    file.commit()?;
    Ok(scored)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_limit_is_none_and_every_arm_is_asked_with_one_seed() {
        let recipe = |limit: usize| {
            let text = format!(
                "name = \"a\"\nseed = 7\n[corpus]\npaths = [\"d\"]\n[model]\nlayers = 1\nwidth = 8\nheads = 1\n[train]\nbudget_tokens = 100000\n\
                 [evaluate]\nlimit = {limit}\n"
            );
            Recipe::parse(Path::new("r.toml"), &text).unwrap()
        };
        let asked = options(&recipe(0));
        assert_eq!((asked.limit, asked.seed, asked.shots), (None, 7, None));
        assert_eq!(options(&recipe(1)).limit, Some(1));
    }
}
