//! Graphs that cannot be made: things that are made from themselves, that contradict what they are made from, or that a report could not
//! compare.

use std::collections::BTreeSet;

use super::Model;
use super::kinds::Kind;
use super::pair_methods::{Cycle, Obfuscated, PairMethod, Shuffled};
use super::recipe_error::RecipeError;
use super::things::{Arm, Contexts, Init, SeedsOf, Synthetic, Things, Training, Writer};
use super::written::{Section, Written};

type Result<T = (), E = Box<RecipeError>> = std::result::Result<T, E>;

/// Refuses what the things of a recipe, each sound alone, cannot be together. `sections` and `kinds` are those of the arms.
pub(super) fn check(written: &Written, sections: &[Section], kinds: &[Kind], things: &Things) -> Result {
    let graph = Graph { written, sections, kinds, things };
    graph.circles()?;
    graph.obfuscated()?;
    graph.shuffled()?;
    graph.arms()?;
    graph.servers()
}

struct Graph<'a> {
    written: &'a Written,
    sections: &'a [Section],
    kinds: &'a [Kind],
    things: &'a Things,
}

impl Graph<'_> {
    /// Refuses things that are made from themselves.
    fn circles(&self) -> Result {
        let mut sound = BTreeSet::new();
        let arms = self.things.arms.iter().map(|arm| format!("arm {}", arm.name));
        let corpora = self.things.synthetic.iter().map(|corpus| format!("synthetic {}", corpus.name));
        let pairs = self.things.pairs.iter().map(|pairs| format!("pairs {}", pairs.name));
        for thing in arms.chain(corpora).chain(pairs) {
            self.walk(&thing, &mut Vec::new(), &mut sound)?;
        }
        Ok(())
    }

    /// Goes through what `thing` is made from; `sound` are those that no circle goes through.
    fn walk(&self, thing: &str, path: &mut Vec<String>, sound: &mut BTreeSet<String>) -> Result {
        if sound.contains(thing) {
            return Ok(());
        }
        if let Some(start) = path.iter().position(|other| other == thing) {
            let circle: Vec<&str> = path[start..].iter().map(String::as_str).chain([thing]).collect();
            let message = format!("things are made from each other in a circle: {}", circle.join(" <- "));
            return Err(self.section_of(thing).thing_refused(message, "let one of them be made from something else"));
        }
        path.push(thing.to_owned());
        for next in self.made_from(thing) {
            self.walk(&next, path, sound)?;
        }
        path.pop();
        sound.insert(thing.to_owned());
        Ok(())
    }

    fn section_of(&self, thing: &str) -> &Section {
        let (kind, name) = thing.split_once(' ').unwrap_or(("", thing));
        match kind {
            "arm" => self
                .sections
                .iter()
                .zip(self.kinds)
                .find(|(section, kind)| kind.name(section) == name)
                .map(|(section, _)| section),
            kind => self.written.things(kind).iter().find(|section| section.text("name") == name),
        }
        .unwrap_or_else(|| self.written.table(""))
    }

    fn made_from(&self, thing: &str) -> Vec<String> {
        let Some((kind, name)) = thing.split_once(' ') else { return Vec::new() };
        let mut from = Vec::new();
        match kind {
            "arm" => {
                for arm in self.things.arms.iter().filter(|arm| arm.name == name) {
                    for training in arm.trainings() {
                        from.extend(training.synthetic.iter().map(|(corpus, _)| format!("synthetic {corpus}")));
                        from.extend(training.teachers.iter().map(|arm| format!("arm {arm}")));
                        if let Some(other) = &training.operations_of {
                            // What a step of the baseline costs is the measure.
                            let baseline = self.things.report.baseline.iter().filter(|baseline| *baseline != name);
                            from.extend([other].into_iter().chain(baseline).map(|arm| format!("arm {arm}")));
                        }
                        if let Some(Init::Model(model)) = &training.init {
                            from.push(model_thing(model));
                        }
                    }
                }
            }
            "synthetic" => {
                for corpus in self.things.synthetic.iter().filter(|corpus| corpus.name == name) {
                    from.extend(corpus.by.model().map(model_thing));
                    if let SeedsOf::Corpus(seeds) = &corpus.seeds {
                        from.push(format!("synthetic {seeds}"));
                    }
                }
            }
            "synthesizer" => {
                for synthesizer in self.things.synthesizers.iter().filter(|other| other.name == name) {
                    from.push(model_thing(&synthesizer.base));
                    from.push(format!("pairs {}", synthesizer.pairs));
                }
            }
            "pairs" => {
                for pairs in self.things.pairs.iter().filter(|pairs| pairs.name == name) {
                    from.extend(pairs.method.of().map(|of| format!("pairs {of}")));
                    from.extend(pairs.method.by().map(|by| format!("synthesizer {by}")));
                }
            }
            _ => {}
        }
        from.sort();
        from.dedup();
        from
    }

    /// Refuses to obfuscate what are no true pairs of documents: texts that a set has made, and shuffled pairs.
    fn obfuscated(&self) -> Result {
        for pairs in &self.things.pairs {
            let PairMethod::Obfuscated(Obfuscated { of, .. }) = &pairs.method else { continue };
            let source = self.things.pairs.iter().find(|set| set.name == *of);
            if source.is_some_and(|set| !set.method.relates_documents()) {
                let message = format!(
                    "the pairs `{}` are to be of documents that are related, and `{of}` has others",
                    pairs.name
                );
                let section = self.section_of(&format!("pairs {}", pairs.name));
                let advice = "let `of` name neighbours or given pairs; for a control, shuffle the obfuscated set";
                return Err(section.thing_refused(message, advice));
            }
        }
        Ok(())
    }

    /// Refuses to make false, or to keep, pairs of which none is true.
    fn shuffled(&self) -> Result {
        for pairs in &self.things.pairs {
            let (of, done) = match &pairs.method {
                PairMethod::Shuffled(Shuffled { of, share }) if *share < 1.0 => (of, "made false"),
                PairMethod::Cycle(Cycle { of, .. }) => (of, "kept for its truth"),
                _ => continue,
            };
            if self.things.pairs.iter().any(|set| set.name == *of && set.is_shuffled()) {
                let name = &pairs.name;
                let message =
                    format!("of the pairs `{of}` nothing is true, so no share of them can be {done} in `{name}`");
                let section = self.section_of(&format!("pairs {name}"));
                return Err(section.thing_refused(message, "let `of` name pairs that are related"));
            }
        }
        Ok(())
    }

    /// Refuses a completion server that would have to serve several synthesizers under one name.
    fn servers(&self) -> Result {
        let corpora = &self.things.synthetic;
        let server = |corpus: &Synthetic| {
            corpus.generate.endpoint.as_ref().map(|endpoint| (endpoint.url.clone(), endpoint.model.clone()))
        };
        for (at, corpus) in corpora.iter().enumerate() {
            let same = corpora[..at].iter().find(|other| other.by != corpus.by && server(other) == server(corpus));
            if let Some(same) = same.filter(|_| server(corpus).is_some()) {
                let message = format!(
                    "the corpora `{}` and `{}` are written by two synthesizers, and one server is asked for both by one name",
                    same.name, corpus.name
                );
                let section = self.section_of(&format!("synthetic {}", corpus.name));
                return Err(
                    section.thing_refused(message, "give one of them an `endpoint_model` or `endpoint_url` of its own")
                );
            }
        }
        Ok(())
    }

    /// The arm that a model is or comes from, among those that are made.
    fn made_of(&self, model: &Writer) -> Option<&Arm> {
        match model {
            Writer::Arm(name) => self.things.arms.iter().find(|arm| arm.name == *name),
            Writer::Synthesizer(name) => {
                self.made_of(&self.things.synthesizers.iter().find(|other| other.name == *name)?.base)
            }
        }
    }

    /// Refuses arms that are the same, that nobody could tell apart, or whose budget is another without saying so.
    fn arms(&self) -> Result {
        let arms = &self.things.arms;
        let budget = |arm: &Arm| arm.training.train.tokens();
        let baseline = self.things.report.baseline.as_ref();
        let baseline = arms.iter().find(|arm| Some(&arm.name) == baseline);
        for (at, arm) in arms.iter().enumerate() {
            let section = &self.sections[at];
            for (word, role) in [
                ("repetition", &self.things.report.baseline),
                ("oracle", &self.things.report.ceiling),
                ("sbp", &self.things.report.subject),
            ] {
                if arm.name == word && role.as_ref().is_some_and(|name| *name != arm.name) {
                    let message = format!("the report calls another arm `{word}`, by its role");
                    return Err(section.thing_refused(message, "give this arm another name, or change [report]"));
                }
            }
            let is_same = |other: &&Arm| {
                (&other.training, &other.sweep, other.evaluate, other.selection_documents, other.members)
                    == (&arm.training, &arm.sweep, arm.evaluate, arm.selection_documents, arm.members)
            };
            if let Some(same) = arms[..at].iter().find(is_same) {
                let message = format!("arm `{}` is the same as arm `{}`", arm.name, same.name);
                return Err(section.thing_refused(message, "remove one of the two, or make them differ"));
            }
            if let Some((_, number)) = arm.name.rsplit_once("-seed-")
                && number.bytes().all(|byte| byte.is_ascii_digit())
            {
                let message =
                    format!("an arm cannot be called `{}`: that is the folder of an arm's further seed", arm.name);
                return Err(section.thing_refused(message, "give the arm another name"));
            }
            for training in arm.trainings() {
                if training.train.denoisers.is_some() && training.contexts != Contexts::Single {
                    let message = format!("arm `{}` would take spans out of rows of related documents", arm.name);
                    let advice = "contexts = \"related\" goes with objective = \"plain\" only";
                    return Err(section.thing_refused(message, advice));
                }
                for teacher in &training.teachers {
                    let taught_by = arms.iter().filter(|other| other.name == *teacher).flat_map(Arm::trainings);
                    for other in taught_by {
                        let message = if other.train.denoisers.is_some() {
                            format!(
                                "arm `{}` would be taught by `{teacher}`, which takes spans out and is asked of plain text",
                                arm.name
                            )
                        } else if other.model.context < training.model.context {
                            let (own, theirs) = (training.model.context, other.model.context);
                            format!(
                                "arm `{}` has model.context = {own}, and its teacher `{teacher}` was trained with {theirs}",
                                arm.name
                            )
                        } else {
                            continue;
                        };
                        return Err(section.thing_refused(message, "name another teacher, or change one of the two"));
                    }
                }
                let Some(Init::Model(model)) = &training.init else { continue };
                let started = self.made_of(model).into_iter().flat_map(Arm::trainings);
                let found = started.flat_map(|one| differences(&training.model, &one.model)).next();
                if let Some((name, own, theirs)) = found {
                    let other = model.name();
                    let message = format!(
                        "arm `{}` starts from `{other}`, but `{other}` has {name} = {theirs}, and it has {own}",
                        arm.name
                    );
                    return Err(section.thing_refused(message, "a model goes on in its own shape: remove the override"));
                }
            }
            let differs =
                |training: &Training| baseline.is_some_and(|baseline| training.train.tokens() != budget(baseline));
            if arm.evaluate && !arm.other_budget && arm.trainings().any(differs) {
                let message = format!(
                    "arm `{}` has another budget than `{}`, and would be compared with it",
                    arm.name,
                    baseline.map_or("", |arm| &arm.name)
                );
                return Err(
                    section.thing_refused(message, "write other_budget = true if that is meant, or evaluate = false")
                );
            }
            let controlled = arms.iter().find(|other| Some(&other.name) == arm.control_of.as_ref());
            if let Some(other) = controlled.filter(|other| other.evaluate && arm.evaluate && !arm.other_budget)
                && arm.trainings().any(|training| training.train.tokens() != budget(other))
            {
                let message = format!(
                    "arm `{}` is a control of `{}`, and has another budget than that arm",
                    arm.name, other.name
                );
                return Err(
                    section.thing_refused(message, "write other_budget = true if that is meant, or remove control_of")
                );
            }
        }
        Ok(())
    }
}

/// A model as a circle names it.
fn model_thing(model: &Writer) -> String {
    match model {
        Writer::Arm(name) => format!("arm {name}"),
        Writer::Synthesizer(name) => format!("synthesizer {name}"),
    }
}

/// Where the shapes of two models differ: the key, and both values.
fn differences(own: &Model, theirs: &Model) -> Vec<(&'static str, String, String)> {
    let of = |model: &Model| {
        // It may be trained on in another context.
        let Model { layers, width, heads, kv_heads, head_width, ffn, rope_base, norm_eps, qk_norm, tied, context: _ } =
            *model;
        [
            ("layers", layers.to_string()),
            ("width", width.to_string()),
            ("heads", heads.to_string()),
            ("kv_heads", kv_heads.to_string()),
            ("head_width", head_width.to_string()),
            ("ffn", ffn.to_string()),
            ("rope_base", rope_base.to_string()),
            ("norm_eps", norm_eps.to_string()),
            ("qk_norm", qk_norm.to_string()),
            ("tied", tied.to_string()),
        ]
    };
    let both = of(own).into_iter().zip(of(theirs));
    both.filter(|((_, own), (_, theirs))| own != theirs).map(|((name, own), (_, theirs))| (name, own, theirs)).collect()
}
