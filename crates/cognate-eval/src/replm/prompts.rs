//! What the model is shown: an instruction, examples with their triples, and the document, as in the paper's code.

use super::docred::Fact;

/// Between the parts of a triple.
pub(super) const SEPARATOR: &str = " <==>";
/// What every triple begins with.
pub(super) const RELATION: &str = "Relation: (";

/// The prompt for a document. It ends in the middle of a triple: behind the relation's name.
pub(super) fn prompt<'a>(name: &str, examples: impl Iterator<Item = (&'a str, &'a [Fact])>, text: &str) -> String {
    let mut prompt = format!(
        "Your task is to identify all the unique knowledge triplets of '{name}' for a given context. Knowledge triplet will be ordered as \
         relation, subject, and object, which are separated by {SEPARATOR}. If there are multiple triplets, list each of them in a new line. \
         Follow the example context-relation pairs for the formatting of your output.\n\n"
    );
    for (text, facts) in examples {
        let triple =
            |fact: &Fact| format!("{RELATION}{name}{SEPARATOR} {}{SEPARATOR} {})", fact.subjects[0], fact.objects[0]);
        let triples: Vec<String> = facts.iter().map(triple).collect();
        prompt += &format!("Context: {text}\n{}\n\n", triples.join("\n"));
    }
    prompt + &format!("Context: {text}\n{RELATION}{name}")
}
