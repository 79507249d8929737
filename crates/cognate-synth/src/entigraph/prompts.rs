//! What a server is asked. The wording is ours, and docs/methods.md has it word for word; what is asked for is what Yang et al. 2024
//! (arXiv 2409.07431, `utils/prompt_utils.py` of ZitongYang/Synthetic_Continued_Pretraining) ask for.

use serde_json::{Map, Value, json};

/// Asks for the entities of a document.
pub(super) const ENTITIES: &str = "\
You read a text and list what it is about. First sum the text up in a few sentences: its main points and themes. Then list its \
entities, as many as you find: people by the names that the text gives them, places, things, and ideas that matter to it. Take each from the text, and \
name each once.

Answer with one JSON object of this form and with nothing else:
{\"summary\": \"<what the text says>\", \"entities\": [\"<entity>\", \"<entity>\"]}";

/// Asks for a text about two entities.
pub(super) const TWO: &str = "\
You read a text, and are given two of its entities. Tell what the text says again in words of your own, once with a view to the first \
entity and once with a view to the second. Then discuss how the two have to do with each other in this text. Keep the three parts apart, and \
name in each what the text is about, so that it can be read alone. Say nothing that the text contradicts.

Answer in this form:
### <what the text is about>, with a view to <the first entity>
<the text in other words>

### <what the text is about>, with a view to <the second entity>
<the text in other words>

### How <the first entity> and <the second entity> have to do with each other
<the discussion>";

/// Asks for a text about three entities.
pub(super) const THREE: &str = "\
You read a text, and are given three of its entities. Tell what the text says again in words of your own, three times: with a view to the first \
entity, to the second, and to the third. Then discuss how the three have to do with each other in this text. Keep the four parts apart, and \
name in each what the text is about, so that it can be read alone. Say nothing that the text contradicts.

Answer in this form:
### <what the text is about>, with a view to <the first entity>
<the text in other words>

### <what the text is about>, with a view to <the second entity>
<the text in other words>

### <what the text is about>, with a view to <the third entity>
<the text in other words>

### How <the first entity>, <the second entity> and <the third entity> have to do with each other
<the discussion>";

/// How a text and its entities are given.
fn given(text: &str, entities: &[&str]) -> String {
    let mut given = format!("Text:\n{}", text.trim());
    if !entities.is_empty() {
        given.push_str("\n\nEntities:");
        for entity in entities {
            given.push_str("\n- ");
            given.push_str(entity);
        }
    }
    given
}

/// The messages that ask for the entities of `text`, or for a text about these of its entities.
pub(super) fn messages(text: &str, entities: &[&str]) -> Value {
    let asked = match entities.len() {
        0 => ENTITIES,
        2 => TWO,
        _ => THREE,
    };
    json!([{"role": "system", "content": asked}, {"role": "user", "content": given(text, entities)}])
}

/// Characters of an entity, at most: a longer one is a sentence.
const ENTITY_CHARACTERS: usize = 200;

/// The entities that an answer lists, each once, at most so many; none where it cannot be read. Some models put a fence or a sentence around the
/// object that they are asked for.
pub(super) fn entities(answer: &str, most: usize) -> Option<Vec<String>> {
    let (from, to) = (answer.find('{')?, answer.rfind('}')? + 1);
    let object: Map<String, Value> = serde_json::from_str(answer.get(from..to)?).ok()?;
    let mut found: Vec<String> = Vec::new();
    for entity in object.get("entities")?.as_array()?.iter().filter_map(Value::as_str) {
        let entity = entity.split_whitespace().collect::<Vec<_>>().join(" ");
        if !entity.is_empty() && entity.chars().count() <= ENTITY_CHARACTERS && !found.contains(&entity) {
            found.push(entity);
        }
        if found.len() == most {
            break;
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entities_are_read_out_of_what_models_answer() {
        let read = |answer: &str| entities(answer, 4);
        let two = Some(vec!["Ada".to_owned(), "Difference Engine".to_owned()]);
        assert_eq!(read(r#"{"summary": "s", "entities": ["Ada", " Difference \n Engine", "Ada", "", 7]}"#), two);
        assert_eq!(read("Here it is:\n```json\n{\"entities\": [\"Ada\", \"Difference Engine\"]}\n```\n"), two);
        assert_eq!(read(r#"{"entities": []}"#), Some(Vec::new()));
        assert_eq!(read(r#"{"entities": ["a", "b", "c", "d", "e"]}"#).map(|found| found.len()), Some(4));
        let long = format!(r#"{{"entities": ["{}", "b"]}}"#, "x".repeat(201));
        assert_eq!(read(&long), Some(vec!["b".to_owned()]));
        for unreadable in ["", "Ada", "}{", r#"{"entities": "Ada"}"#, r#"{"names": ["Ada"]}"#, r#"{"entities": ["Ada""#]
        {
            assert_eq!(read(unreadable), None, "{unreadable}");
        }
    }

    #[test]
    fn the_entities_stand_behind_the_text_and_the_prompts_are_those_in_docs() {
        let asked = messages(" A text.\n", &["Ada", "Engine"]);
        assert_eq!(asked[1]["content"], "Text:\nA text.\n\nEntities:\n- Ada\n- Engine");
        assert_eq!(
            (&asked[0]["content"], &messages("t", &["a", "b", "c"])[0]["content"]),
            (&json!(TWO), &json!(THREE))
        );
        let alone = messages("A text.", &[]);
        assert_eq!((&alone[0]["content"], &alone[1]["content"]), (&json!(ENTITIES), &json!("Text:\nA text.")));
        let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/methods.md");
        let page = fs_err::read_to_string(page).unwrap();
        for prompt in [ENTITIES, TWO, THREE] {
            assert!(
                page.contains(&format!("```text\n{prompt}\n```\n")),
                "docs/methods.md has another prompt than {prompt}"
            );
        }
    }
}
