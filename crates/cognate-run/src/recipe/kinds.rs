//! Arms: what each is trained on and how, from its kind and its keys.

use std::path::PathBuf;

use cognate_corpus::default_selection_share;

use super::keys::ARM_KINDS;
use super::pair_methods::{LSA, RELATED};
use super::presets::{Result, SHUFFLED, UNCONDITIONAL};
use super::resolve::{model, train};
use super::things::{Candidate, Contexts, Init, Order, Real, Writer};
use super::written::{Section, Written};
use super::{Arm, Decay, Train, Training};

/// Share of an `sbp` arm's budget that is synthetic, where it is not written.
const SYNTHETIC_SHARE: f64 = 0.25;
/// What an arm of the kind `regularised` tries, where it is not written.
const WEIGHT_DECAYS: [f64; 3] = [0.1, 0.8, 3.2];

/// The keys of `[train]` that say how strong weight decay is.
const DECAYS: [&str; 2] = ["weight_decay", "weight_decay_epochs"];

/// The preset that an arm is an instance of, if any.
#[derive(Clone, Debug)]
pub(super) struct Kind(Option<String>);

impl Kind {
    /// The kind of every arm; refuses arms without a name, and names that say another kind.
    pub(super) fn of(sections: &[Section]) -> Result<Vec<Self>> {
        let kinds: Vec<Self> = sections.iter().map(|section| Self(section.text_if("kind"))).collect();
        for (section, kind) in sections.iter().zip(&kinds) {
            match (section.text_if("name"), kind.word()) {
                (None, None) => {
                    let message = "an arm has neither `kind` nor `name`".to_owned();
                    return Err(section.thing_refused(message, "give it a name, or a kind, which is its name then"));
                }
                (Some(name), Some(word)) if name != word && ARM_KINDS.contains(&name.as_str()) => {
                    let message = format!("an arm of kind `{word}` cannot be called `{name}`: that is another kind");
                    return Err(section.thing_refused(message, "give the arm another name"));
                }
                _ => {}
            }
            if !kind.is("regularised") {
                continue;
            }
            if section.has_candidates() {
                let message =
                    "an arm of kind `regularised` has a list of weight decays, and cannot have `sweep` too".to_owned();
                return Err(
                    section.thing_refused(message, "write the decays into the candidates, and `name` for `kind`")
                );
            }
            if section.has("weight_decays") && section.sweeps("train", &DECAYS) {
                let message = "`weight_decays` stands beside a list of weight decays in `train`".to_owned();
                return Err(section.thing_refused(message, "remove one of the two"));
            }
        }
        Ok(kinds)
    }

    /// The kind's name in recipes.
    pub(super) fn word(&self) -> Option<&str> {
        self.0.as_deref()
    }

    /// What the arm is called.
    pub(super) fn name(&self, section: &Section) -> String {
        section.text_if("name").or_else(|| self.0.clone()).unwrap_or_default()
    }

    /// What `section` says with the lists that its kind stands for.
    pub(super) fn section(&self, section: &Section) -> Section {
        if !self.is("regularised") || section.sweeps("train", &DECAYS) {
            return section.clone();
        }
        let decays = section.numbers_written("weight_decays").unwrap_or_else(|| WEIGHT_DECAYS.to_vec());
        section.with_list("train", "weight_decay", &decays)
    }

    fn is(&self, word: &str) -> bool {
        self.word() == Some(word)
    }

    /// The synthetic corpus of the kind.
    fn corpus(&self) -> Option<&'static str> {
        match self.word()? {
            "sbp" => Some(RELATED),
            "random-pairs" => Some(SHUFFLED),
            "unconditional" => Some(UNCONDITIONAL),
            _ => None,
        }
    }

    /// Whether it stands beside an `sbp` arm.
    fn is_control(&self) -> bool {
        !matches!(self.word(), None | Some("repetition" | "sbp" | "oracle"))
    }
}

/// The arm that `section` says, among those of `sections`.
pub(super) fn arm(
    written: &Written,
    section: &Section,
    kind: &Kind,
    sections: &[Section],
    kinds: &[Kind],
) -> Result<Arm> {
    check_keys(section, kind)?;
    let first_of = |word: &str| kinds.iter().position(|other| other.is(word));
    let name_of = |at: usize| kinds[at].name(&sections[at]);
    let name = kind.name(section);
    let needs = |word: &str, why: &str| {
        let message = format!("arm `{name}` has no arm of kind `{word}` beside it");
        section.thing_refused(message, &format!("{why}: add `[[arm]]` with kind = \"{word}\""))
    };
    if (kind.corpus().is_some() || kind.is("regularised") || kind.is("equal-flops")) && first_of("repetition").is_none()
    {
        let why = match kind.corpus() {
            Some(_) => "the synthesizer starts from the repetition arm's best checkpoint",
            None => "it is repetition otherwise trained, and is compared with it",
        };
        return Err(needs("repetition", why));
    }
    let subject = first_of("sbp").map(name_of);
    let operations_of = match (kind.is("equal-flops"), section.text_if("operations_of"), &subject) {
        (true, _, None) => return Err(needs("sbp", "its operations are as many as that arm cost")),
        (true, _, Some(subject)) => Some(subject.clone()),
        (false, written, _) => written,
    };
    let swept_subject = first_of("sbp").is_some_and(|at| sections[at].sweeps("", &["synthetic_share"]));
    if kind.corpus().is_some() && kind.is_control() && swept_subject && !section.says("synthetic_share") {
        let message = format!("arm `{name}` has no `synthetic_share`, and that of the first `sbp` arm is a sweep");
        return Err(section.thing_refused(message, "write the share that this one is to have, or the same list"));
    }
    let shares =
        Shares { kind, of_subject: first_of("sbp").and_then(|at| sections[at].number_written("synthetic_share")) };
    let training = |variant: &Section| {
        let model = model(&written.table("model").under(variant))?;
        let train = train(&written.table("train").under(variant), &model)?;
        let documents = if kind.is("oracle") || variant.text("documents") == "all" { Real::All } else { Real::Unique };
        let max_epochs = variant.number_written("max_epochs").or((documents == Real::All).then_some(1.0));
        let related = kind.is("related-context") || variant.text("contexts") == "related";
        let contexts = match (related, variant.text_if("embedding")) {
            (true, embedding) => Contexts::Related(embedding.unwrap_or_else(|| LSA.to_owned())),
            (false, None) => Contexts::Single,
            (false, Some(_)) => {
                let expected = "no `embedding` without contexts = \"related\"";
                return Err(variant.impossible("embedding", "", expected, "remove the key"));
            }
        };
        let order = variant.text("order");
        let order = Order::ALL.iter().find(|(_, word)| *word == order).map_or(Order::Mixed, |(order, _)| *order);
        let init = variant.text_if("init").map(|init| start(written, variant, kinds, sections, init)).transpose()?;
        let teachers = teachers(variant, &train, &contexts)?;
        let taught = train.taught.filter(|_| !teachers.is_empty());
        let train = Train { taught, ..train };
        let synthetic = shares.of(variant)?;
        if synthetic.iter().map(|(_, share)| share).sum::<f64>() > 1.0 - 1e-9
            && matches!(train.decay, Decay::Epochs { .. })
        {
            let message = format!("arm `{name}` sees no real text, whose epochs `weight_decay_epochs` counts");
            return Err(variant.thing_refused(message, "write `weight_decay`, or leave real text a share"));
        }
        if documents == Real::All && !synthetic.is_empty() && order != Order::Mixed {
            let expected = "\"mixed\" where all documents are seen";
            return Err(variant.impossible("order", "", expected, "there are two kinds of real documents then"));
        }
        Ok(Training {
            model,
            train,
            documents,
            max_epochs,
            contexts,
            synthetic,
            order,
            init,
            operations_of: operations_of.clone(),
            teachers,
        })
    };
    let variants = section.variants()?;
    let sweep =
        variants.iter().map(|(name, variant)| Ok(Candidate { name: name.clone(), training: training(variant)? }));
    let sweep = sweep.collect::<Result<Vec<_>>>()?;
    if !sweep.is_empty() {
        check_selection(written, section, &name)?;
    } else if section.has("selection_documents") {
        let expected = "no `selection_documents` in an arm that chooses from nothing";
        return Err(section.impossible(
            "selection_documents",
            "",
            expected,
            "remove the key, or write a list of values",
        ));
    }
    for (at, candidate) in sweep.iter().enumerate() {
        if let Some(same) = sweep[..at].iter().find(|other| other.training == candidate.training) {
            let message =
                format!("the candidates `{}` and `{}` of arm `{name}` are the same", same.name, candidate.name);
            return Err(section.thing_refused(message, "remove one of the two, or make them differ"));
        }
    }
    let training = match sweep.first() {
        Some(first) => first.training.clone(),
        None => training(section)?,
    };
    if section.text_if("operations_of").is_some()
        && (!training.synthetic.is_empty() || training.documents == Real::All || training.max_epochs.is_some())
    {
        let message = format!(
            "arm `{name}` has `operations_of` beside documents that are seen so often at most: how many steps it takes is not known early"
        );
        return Err(section.thing_refused(message, "such an arm sees the unique documents alone: remove the other key"));
    }
    if section.integer("members") > 1 && training.operations_of.is_some() {
        let message =
            format!("arm `{name}` has `members` and `operations_of`: how many operations each may take is not said");
        return Err(section.thing_refused(message, "remove one of the two"));
    }
    if !sweep.is_empty() && training.operations_of.is_some() {
        let message =
            format!("arm `{name}` has a sweep and `operations_of`: how many operations each may take is not said");
        return Err(section.thing_refused(message, "remove one of the two"));
    }
    Ok(Arm {
        control_of: section.text_if("control_of").or_else(|| subject.filter(|_| kind.is_control())),
        selection_documents: section.integer("selection_documents") as usize,
        other_budget: section.flag("other_budget"),
        evaluate: section.flag("evaluate"),
        members: section.integer("members") as usize,
        training,
        sweep,
        name,
    })
}

/// The teachers of an arm; none where they would count nothing.
fn teachers(section: &Section, train: &Train, contexts: &Contexts) -> Result<Vec<String>> {
    let Some(teachers) = section.list_if("teachers") else {
        let key = section.says_of("train").into_iter().find(|key| key.starts_with("teacher_"));
        return match key {
            None => Ok(Vec::new()),
            Some(key) => {
                let message = format!("an arm has `train.{key}`, and no `teachers`");
                Err(section.thing_refused(message, "name the arms that teach it, or remove the key"))
            }
        };
    };
    if let Some(again) = (1..teachers.len()).find(|at| teachers[..*at].contains(&teachers[*at])) {
        let expected = "each teacher once: their probabilities count alike";
        return Err(section.impossible("teachers", &teachers[again], expected, "remove one of the two"));
    }
    if *contexts != Contexts::Single || train.denoisers.is_some() {
        let expected = "no `teachers` where documents follow each other in a context, or spans are taken out";
        let advice = "teachers read documents alone and whole: remove `contexts` or `train.objective`, or the teachers";
        return Err(section.impossible("teachers", "", expected, advice));
    }
    let counts = train.taught.is_some_and(|taught| taught.teacher_share > 0.0);
    Ok(if counts { teachers } else { Vec::new() })
}

/// Where a training starts that says `init`.
fn start(written: &Written, section: &Section, kinds: &[Kind], sections: &[Section], init: String) -> Result<Init> {
    if init.contains('/') {
        return Ok(Init::Folder(PathBuf::from(init)));
    }
    model_called(written, section, "init", kinds, sections, init).map(Init::Model)
}

/// The model that `key` of a table names: an arm, a synthesizer, or that of a set of pairs. None of the name is taken for an arm.
pub(super) fn model_called(
    written: &Written,
    section: &Section,
    key: &str,
    kinds: &[Kind],
    sections: &[Section],
    name: String,
) -> Result<Writer> {
    let is_arm = sections.iter().zip(kinds).any(|(section, kind)| kind.name(section) == name);
    let mut written = written.things("synthesizer").iter().chain(written.things("pairs"));
    let is_written = written.any(|thing| thing.text("name") == name);
    // A preset stands behind an arm of its name.
    match (is_arm, is_written || !is_arm && [RELATED, SHUFFLED].contains(&name.as_str())) {
        (true, true) => {
            let message = format!(
                "`{name}` is an arm and a synthesizer (or a set of pairs, which stands for one), and one of the two is the `{key}` here"
            );
            Err(section.thing_refused(message, "give one of the two another name"))
        }
        (false, true) => Ok(Writer::Synthesizer(name)),
        _ => Ok(Writer::Arm(name)),
    }
}

/// Refuses keys that the arm's kind says already, or that belong to another kind.
fn check_keys(section: &Section, kind: &Kind) -> Result {
    let of_kinds: [(&str, &[&str]); 2] =
        [("synthetic_share", &["sbp", "random-pairs", "unconditional"]), ("weight_decays", &["regularised"])];
    for (key, kinds) in of_kinds {
        if section.says(key) && !kind.word().is_some_and(|word| kinds.contains(&word)) {
            let of = kind.word().map_or_else(|| "without a kind".to_owned(), |word| format!("of kind \"{word}\""));
            let advice = format!("remove the key, or write kind = \"{}\"", kinds[0]);
            return Err(section.impossible(key, "", format_args!("no `{key}` in an arm {of}"), &advice));
        }
    }
    let Some(word) = kind.word() else { return Ok(()) };
    for key in ["documents", "contexts", "operations_of", "synthetic"] {
        if section.has(key) || (key == "synthetic" && section.has_shares()) {
            let expected = format!("no `{key}` in an arm of kind \"{word}\", which says it already");
            return Err(section.impossible(key, "{ … }", expected, "remove the key, or the kind"));
        }
    }
    if section.has("max_epochs") && word != "oracle" {
        let expected = format!("no `max_epochs` in an arm of kind \"{word}\"");
        return Err(section.impossible("max_epochs", "", expected, "remove the key, or write kind = \"oracle\""));
    }
    Ok(())
}

/// Refuses a sweep where no documents are left to choose by.
fn check_selection(written: &Written, section: &Section, name: &str) -> Result {
    let corpus = written.table("corpus");
    let (validation, unique) = (corpus.number("validation_share"), corpus.number("unique_share"));
    let selection = corpus.number_or("selection_share", default_selection_share(validation, unique));
    if selection > 0.0 {
        return Ok(());
    }
    let (why, how) = match corpus.has("selection_share") {
        true => ("selection_share is 0".to_owned(), "raise selection_share in [corpus], or remove it"),
        false => (
            format!("validation_share = {validation} and unique_share = {unique} leave none"),
            "lower unique_share in [corpus] a little",
        ),
    };
    let message = format!("arm `{name}` has no documents to choose by: {why}");
    let advice = format!(
        "the choice is made on documents of neither split, so that no arm is scored on what it was chosen by: {how}"
    );
    Err(section.thing_refused(message, &advice))
}

/// The synthetic shares of an arm.
struct Shares<'a> {
    kind: &'a Kind,
    /// That of the first `sbp` arm, where it is written: what a control's is where it is not.
    of_subject: Option<f64>,
}

impl Shares<'_> {
    fn of(&self, section: &Section) -> Result<Vec<(String, f64)>> {
        let mut shares: Vec<(String, f64)> = section.shares().map(|(name, share)| (name.to_owned(), share)).collect();
        if let Some(corpus) = self.kind.corpus() {
            let default = self.of_subject.filter(|_| self.kind.is_control()).unwrap_or(SYNTHETIC_SHARE);
            shares.push((corpus.to_owned(), section.number_written("synthetic_share").unwrap_or(default)));
        }
        let sum: f64 = shares.iter().map(|(_, share)| share).sum();
        if sum > 1.0 + 1e-9 {
            let message = format!("the synthetic shares add up to {sum}, which is more than the whole budget");
            return Err(section.thing_refused(message, "lower one of them"));
        }
        shares.retain(|(_, share)| *share > 0.0);
        Ok(shares)
    }
}
