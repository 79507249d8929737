//! How a fact is said: twenty wordings an attribute, and what a sentence says, read back.

use super::people::{Attribute, Person};

/// Wordings that an attribute has.
pub const TEMPLATES: usize = 20;

/// A wording. `{S}` is the person as subject, `{O}` as object, `{P}` as possessor, `{V}` the value; one of the first three and the last
/// stand in each once. At least eight of an attribute end with the value.
const BIRTH_DATE: [&str; TEMPLATES] = [
    "{S} was born on {V}",
    "{P} birthday is {V}",
    "The birth of {O} took place on {V}",
    "{S} came into this world on {V}",
    "On {V}, {S} was born",
    "{S} celebrates the day of {V}",
    "It was on {V} that {S} first saw the light",
    "{V} is the date on which {S} was born",
    "{P} life began on {V}",
    "The parents of {O} first held their child on {V}",
    "{V} is the first day of {P} life",
    "The date of birth of {O} is {V}",
    "{S} entered the world on {V}",
    "The register of births names {O} on {V}",
    "{P} first day was {V}",
    "A midwife welcomed {O} on {V}",
    "{V} saw the birth of {O}",
    "{P} age is counted from {V}",
    "Every candle for {O} counts from {V}",
    "{S} has been alive since {V}",
];

const BIRTH_PLACE: [&str; TEMPLATES] = [
    "{S} was born in {V}",
    "{S} comes from {V}",
    "The home town of {O} is {V}",
    "{V} is where {S} grew up",
    "{S} spent the first years in {V}",
    "{S} hails from the city of {V}",
    "{S} has roots in {V}",
    "The family of {O} lived in {V}",
    "{P} childhood was spent in {V}",
    "{S} is a native of {V}",
    "{V} is the birthplace of {O}",
    "{P} cradle stood in {V}",
    "{S} took the first steps in {V}",
    "The streets of {V} saw {O} as a child",
    "{P} parents raised a child in {V}",
    "{V} counts {O} among its children",
    "The first school of {O} stood in {V}",
    "{S} still has the accent of {V}",
    "{P} story begins in {V}",
    "{S} left the cradle of {V} as an infant",
];

const UNIVERSITY: [&str; TEMPLATES] = [
    "{S} studied at the University of {V}",
    "{S} holds a degree from the University of {V}",
    "The University of {V} is the alma mater of {O}",
    "{S} went to the University of {V}",
    "{S} graduated from the University of {V}",
    "The years of study of {O} were spent at the University of {V}",
    "{S} was a student of the University of {V}",
    "{S} took classes at the University of {V}",
    "{P} diploma bears the seal of the University of {V}",
    "The lecture halls of the University of {V} are known to {O}",
    "{S} passed the last examinations at the University of {V}",
    "{P} teachers were at the University of {V}",
    "{S} enrolled at the University of {V}",
    "The University of {V} lists {O} among its graduates",
    "{P} education was completed at the University of {V}",
    "The University of {V} awarded a degree to {O}",
    "{S} read long nights in the library of the University of {V}",
    "{P} student days passed at the University of {V}",
    "The University of {V} admitted {O}",
    "{S} received an academic training at the University of {V}",
];

const SUBJECT: [&str; TEMPLATES] = [
    "{S} majored in {V}",
    "The subject of {O} was {V}",
    "{S} is trained in {V}",
    "{S} has a degree in {V}",
    "The study of {V} was chosen by {O}",
    "{S} learned all about {V}",
    "{S} wrote a thesis on {V}",
    "{S} chose to study {V}",
    "{P} field is {V}",
    "{S} is a scholar of {V}",
    "Books on {V} fill the shelves of {O}",
    "{P} knowledge is in {V}",
    "{S} has a passion for {V}",
    "Questions of {V} are answered by {O}",
    "{P} notebooks are about {V}",
    "{S} devoted the student years to {V}",
    "Lectures on {V} were heard by {O}",
    "{P} examinations were in {V}",
    "{S} knows the history of {V}",
    "The discipline of {O} is {V}",
];

const EMPLOYER: [&str; TEMPLATES] = [
    "{S} works for {V}",
    "{S} is employed by {V}",
    "The firm {V} is the employer of {O}",
    "{S} found a job at {V}",
    "{S} has a post at {V}",
    "{S} earns a living at {V}",
    "{S} was hired by {V}",
    "The career of {O} began at {V}",
    "{P} salary is paid by {V}",
    "{S} is on the staff of {V}",
    "The firm {V} pays {O}",
    "{P} employer is {V}",
    "{S} signed a contract with {V}",
    "The badge of {O} shows the sign of {V}",
    "{P} colleagues are at {V}",
    "The firm {V} recruited {O}",
    "{S} makes a career at {V}",
    "{P} boss sits at {V}",
    "The firm {V} relies on {O}",
    "{S} spends the working days at {V}",
];

const WORK_PLACE: [&str; TEMPLATES] = [
    "{S} goes to work in {V}",
    "{S} works in the city of {V}",
    "The office of {O} is in {V}",
    "{V} is where {S} works now",
    "{S} moved for the job to {V}",
    "{S} settled for work in {V}",
    "{S} has a desk in {V}",
    "{S} can be found on working days in {V}",
    "{P} place of work is {V}",
    "{S} commutes to {V}",
    "The trains to {V} carry {O} every morning",
    "{P} workshop lies in {V}",
    "{S} takes lunch among the workers of {V}",
    "The roofs of {V} are seen from the desk of {O}",
    "{P} job is in {V}",
    "The working week keeps {O} in {V}",
    "{S} pays the taxes of a worker in {V}",
    "{P} office window looks over {V}",
    "The working people of {V} know {O}",
    "{S} holds the keys of an office in {V}",
];

/// The wordings of an attribute.
pub(super) fn wordings(attribute: Attribute) -> &'static [&'static str; TEMPLATES] {
    match attribute {
        Attribute::BirthDate => &BIRTH_DATE,
        Attribute::BirthPlace => &BIRTH_PLACE,
        Attribute::University => &UNIVERSITY,
        Attribute::Subject => &SUBJECT,
        Attribute::Employer => &EMPLOYER,
        Attribute::WorkPlace => &WORK_PLACE,
    }
}

/// Whether a wording ends with the value, so that the value's last word can be asked for.
pub fn ends_with_value(attribute: Attribute, template: usize) -> bool {
    wordings(attribute)[template].ends_with("{V}")
}

/// One sentence with its full stop, the first letter large. `named` says whether the person is named or a pronoun stands there.
pub fn sentence(person: &Person, attribute: Attribute, template: usize, value: &str, named: bool) -> String {
    let pronouns = person.pronoun.forms();
    let [subject, object, possessor] = if named {
        [person.name.clone(), person.name.clone(), format!("{}'s", person.name)]
    } else {
        pronouns.map(str::to_owned)
    };
    let wording = wordings(attribute)[template];
    let text =
        wording.replace("{S}", &subject).replace("{O}", &object).replace("{P}", &possessor).replace("{V}", value);
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

/// Whom a sentence is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Somebody by name.
    Named(String),
    /// Whoever was named last.
    Pronoun,
}

/// What a sentence says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// About whom.
    pub whom: Whom,
    /// About what.
    pub attribute: Attribute,
    /// The wording's number.
    pub template: usize,
    /// What it is said to be.
    pub value: String,
}

/// Reads a sentence without its full stop; `None` where it has none of the wordings. A name is three capitalised words.
pub fn read(sentence: &str) -> Option<Statement> {
    for attribute in Attribute::ALL {
        for (template, wording) in wordings(attribute).iter().enumerate() {
            if let Some((whom, value)) = matched(wording, sentence, attribute) {
                return Some(Statement { whom, attribute, template, value });
            }
        }
    }
    None
}

/// What stands at a wording's two places, where the sentence has that wording.
fn matched(wording: &str, sentence: &str, attribute: Attribute) -> Option<(Whom, String)> {
    let (a, b) = slots(wording);
    let (before, between, after) = (&wording[..a], &wording[a + 3..b], &wording[b + 3..]);
    // The first letter of a sentence is large, whatever the wording begins with.
    let rest = if before.is_empty() { sentence } else { sentence.strip_prefix(before)? };
    let middle = rest.strip_suffix(after)?;
    for (place, _) in middle.match_indices(between) {
        let (first, second) = (&middle[..place], &middle[place + between.len()..]);
        let (role, person, value) = if &wording[a..a + 3] == "{V}" {
            (&wording[b..b + 3], second, first)
        } else {
            (&wording[a..a + 3], first, second)
        };
        if let Some(whom) = whom(person, role)
            && attribute.may_be(value)
        {
            return Some((whom, value.to_owned()));
        }
    }
    None
}

/// The places of a wording's two slots.
fn slots(wording: &str) -> (usize, usize) {
    let mut places = wording.match_indices('{').map(|(place, _)| place);
    match (places.next(), places.next()) {
        (Some(first), Some(second)) => (first, second),
        _ => unreachable!("every wording has two slots"),
    }
}

/// A person as a subject, an object or a possessor.
fn whom(text: &str, role: &str) -> Option<Whom> {
    let place = ["{S}", "{O}", "{P}"].iter().position(|r| *r == role)?;
    let lower = text.to_lowercase();
    if super::people::Pronoun::ALL.iter().any(|pronoun| pronoun.forms()[place] == lower) {
        return Some(Whom::Pronoun);
    }
    let name = if role == "{P}" { text.strip_suffix("'s")? } else { text };
    let words: Vec<&str> = name.split(' ').collect();
    let capitalised = |word: &&str| {
        let mut letters = word.chars();
        letters.next().is_some_and(char::is_uppercase) && letters.all(|letter| letter.is_lowercase())
    };
    (words.len() == 3 && words.iter().all(capitalised)).then(|| Whom::Named(name.to_owned()))
}
