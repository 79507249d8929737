//! What the world writes is what it reads, and as likely as it says.

use std::collections::{BTreeMap, BTreeSet};

use cognate_base::Silent;

use super::*;

fn small() -> Config {
    Config {
        people: 40,
        oracle_tellings: 3,
        first_names: 10,
        last_names: 12,
        cities: 8,
        employers: 6,
        ..Config::default()
    }
}

#[test]
fn every_wording_is_read_as_what_was_said() {
    let world = World::new(small(), 1, &Silent).unwrap();
    for (number, person) in world.people().people.iter().take(4).enumerate() {
        for attribute in Attribute::ALL {
            for template in 0..TEMPLATES {
                for named in [true, false] {
                    let text = sentence(person, attribute, template, person.value(attribute), named);
                    let whom = if named { Whom::Named(person.name.clone()) } else { Whom::Pronoun };
                    let value = person.value(attribute).to_owned();
                    let told = Statement { whom, attribute, template, value };
                    assert_eq!(read(text.trim_end_matches('.')), Some(told), "{text}");
                    assert!(text.starts_with(char::is_uppercase) && text.ends_with('.'), "{text}");
                    if named {
                        assert_eq!(world.read(&text).person, Some(number), "{text}");
                    }
                }
            }
        }
    }
}

#[test]
fn wordings_differ_and_enough_of_them_end_with_the_value() {
    for attribute in Attribute::ALL {
        let wordings: BTreeSet<_> = templates::wordings(attribute).iter().collect();
        assert_eq!(wordings.len(), TEMPLATES);
        for wording in wordings {
            assert_eq!(wording.matches('{').count(), 2, "{wording}");
            assert_eq!(wording.matches("{V}").count(), 1, "{wording}");
        }
        assert!((0..8).filter(|&template| ends_with_value(attribute, template)).count() >= 2, "{attribute:?}");
        assert!((0..TEMPLATES).filter(|&template| ends_with_value(attribute, template)).count() >= 8, "{attribute:?}");
    }
}

#[test]
fn people_have_names_of_their_own_and_colleagues_one_place_of_work() {
    let world = World::new(small(), 2, &Silent).unwrap();
    let names: BTreeSet<_> = world.people().people.iter().map(|person| &person.name).collect();
    assert_eq!(names.len(), 40);
    let mut places = BTreeMap::new();
    for person in &world.people().people {
        let place = person.value(Attribute::WorkPlace);
        assert_eq!(places.entry(person.value(Attribute::Employer)).or_insert(place), &place);
        for attribute in Attribute::ALL {
            assert!(world.people().values[attribute as usize].contains(&person.values[attribute as usize]));
        }
    }
    let said = |world: &World| world.documents(Split::Unique).map(|telling| telling.text).collect::<Vec<_>>();
    assert_eq!(said(&world), said(&World::new(small(), 2, &Silent).unwrap()));
    assert_ne!(said(&world), said(&World::new(small(), 3, &Silent).unwrap()));
}

#[test]
fn everybody_is_told_of_as_often_as_the_dials_say() {
    let config = Config { told_once: 0.25, unique_tellings: 3, ..small() };
    let world = World::new(config.clone(), 2, &Silent).unwrap();
    for split in Split::ALL {
        let mut counts = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for telling in world.documents(split) {
            *counts.entry(telling.person).or_insert(0) += 1;
            assert!(ids.insert(telling.id));
        }
        for person in 0..config.people {
            assert_eq!(counts.get(&person).copied().unwrap_or(0), config.tellings(person, split), "{split:?} {person}");
        }
    }
    assert_eq!(config.people_told_once(), 10);
    assert_eq!(config.pairs(), 30 * 6);
}

#[test]
fn statements_are_true_as_often_as_asked_and_read_so() {
    let config = Config { people: 400, first_names: 40, full_names: 0.5, ..small() };
    let world = World::new(config, 5, &Silent).unwrap();
    for truth in [0.0, 0.7, 1.0] {
        let (mut right, mut total) = (0, 0);
        for person in 0..400 {
            let telling = world.tell(person, Split::Oracle, 0, truth);
            let reading = world.read(&telling.text);
            assert_eq!((reading.person, reading.unread), (Some(person), 0), "{}", telling.text);
            let statements: Vec<_> = reading.statements.iter().map(|(told, _, _)| told.clone()).collect();
            assert_eq!(statements, telling.statements);
            right += reading.count(Verdict::True);
            total += reading.statements.len();
            assert_eq!(reading.count(Verdict::Nobody), 0);
            assert_eq!(reading.true_attributes(person).len(), reading.count(Verdict::True));
        }
        let share = right as f64 / total as f64;
        // Four standard errors of 2,400 statements.
        assert!((share - truth).abs() <= 4.0 * (truth * (1.0 - truth) / total as f64).sqrt(), "{truth}: {share}");
    }
}

#[test]
fn what_is_no_statement_is_counted_and_strangers_are_nobody() {
    let world = World::new(small(), 6, &Silent).unwrap();
    let person = &world.people().people[3];
    let subject = person.value(Attribute::Subject);
    let text = format!(
        "He majored in law. {0} majored in {subject}. This says nothing. Abc Def Ghi majored in law. {0} majored",
        person.name
    );
    let reading = world.read(&text);
    assert_eq!(reading.person, Some(3));
    let verdicts: Vec<_> = reading.statements.iter().map(|(_, _, verdict)| *verdict).collect();
    assert_eq!(verdicts, [Verdict::Nobody, Verdict::True, Verdict::Nobody]);
    assert_eq!(reading.unread, 2);
}

#[test]
fn probabilities_of_all_documents_sum_to_one() {
    // One attribute, so that every document can be written down: names, attributes, wordings, values.
    let config = Config {
        people: 2,
        attributes: 1,
        templates: 2,
        first_names: 1,
        last_names: 4,
        cities: 3,
        universities: 2,
        subjects: 2,
        employers: 2,
        told_once: 0.0,
        ..Config::default()
    };
    let world = World::new(config, 3, &Silent).unwrap();
    let (mut stranger, mut friend) = (0.0, 0.0);
    for last in &world.people().last_names {
        let first = &world.people().first_names[0];
        let name = format!("{first} {first} {last}");
        let person = Person { name, pronoun: Pronoun::She, values: Default::default() };
        for attribute in Attribute::ALL {
            for value in &world.people().values[attribute as usize] {
                for template in 0..2 {
                    let text = sentence(&person, attribute, template, value, true);
                    stranger += world.log_probability(&text, Knowledge::Nobody).exp();
                    friend += world.log_probability(&text, Knowledge::Everybody).exp();
                }
            }
        }
    }
    assert!((stranger - 1.0).abs() < 1e-9, "{stranger}");
    assert!((friend - 1.0).abs() < 1e-9, "{friend}");
}

#[test]
fn documents_come_as_often_as_they_are_likely() {
    let config = Config { people: 2, attributes: 2, templates: 1, full_names: 0.25, told_once: 0.0, ..small() };
    let world = World::new(config, 4, &Silent).unwrap();
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let n = 40_000;
    for number in 0..n / 2 {
        for person in 0..2 {
            *counts.entry(world.tell(person, Split::Oracle, number, 1.0).text).or_default() += 1;
        }
    }
    // Two people, 30 orders of two of six, name or pronoun.
    assert_eq!(counts.len(), 120);
    let mut total = 0.0;
    for (text, count) in counts {
        let p = world.log_probability(&text, Knowledge::Everybody).exp();
        total += p;
        let found = f64::from(count) / n as f64;
        assert!((found - p).abs() < 5.0 * (p * (1.0 - p) / n as f64).sqrt(), "{text}: {found} {p}");
    }
    assert!((total - 1.0).abs() < 1e-9, "{total}");
}

#[test]
fn a_related_document_is_worth_what_it_tells() {
    let world = World::new(Config { people: 30, ..small() }, 4, &Silent).unwrap();
    let first = world.tell(7, Split::Unique, 0, 1.0).text;
    let second = world.tell(7, Split::Oracle, 1, 1.0).text;
    let gain = world.log_conditional(&second, &first) - world.log_probability(&second, Knowledge::Nobody);
    // The name and all six values: 33,600 dates, 8 cities twice, 100 universities, 50 subjects, 6 employers.
    let values = [33_600.0, 8.0, 100.0, 50.0, 6.0, 8.0].map(f64::ln).iter().sum::<f64>();
    let names = (10.0f64 * 10.0 * 12.0).ln();
    assert!((gain - values - names).abs() < 1e-9, "{gain}");
    let other = world.tell(8, Split::Unique, 0, 1.0).text;
    assert_eq!(world.log_conditional(&second, &other), f64::NEG_INFINITY);
    let lie = world.tell(7, Split::Oracle, 1, 0.0).text;
    assert_eq!(world.log_conditional(&lie, &first), f64::NEG_INFINITY);
    assert_eq!(world.log_probability(&lie, Knowledge::Everybody), f64::NEG_INFINITY);
    assert!(world.log_probability(&lie, Knowledge::Nobody).is_finite());
    for text in ["", "Nothing.", &format!("{second} {second}"), &second.replace('.', "!"), &format!(" {second}")] {
        assert_eq!(world.log_probability(text, Knowledge::Nobody), f64::NEG_INFINITY, "{text:?}");
    }
}

#[test]
fn a_wording_is_unheard_of_the_person_and_ends_with_the_value() {
    let world = World::new(small(), 9, &Silent).unwrap();
    let mut asked = 0;
    for person in 0..40 {
        let who = &world.people().people[person];
        for attribute in Attribute::ALL {
            let Some(text) = world.unheard(person, attribute) else { continue };
            asked += 1;
            let told = read(&text).unwrap();
            assert_eq!((told.attribute, told.value.as_str()), (attribute, who.value(attribute)));
            assert!(text.ends_with(who.value(attribute)), "{text}");
            assert!(told.template < world.config().templates, "somebody is told in it");
            for number in 0..world.config().tellings(person, Split::Unique) {
                let heard = world.tell(person, Split::Unique, number, 1.0).statements;
                assert!(heard.iter().all(|heard| (heard.attribute, heard.template) != (attribute, told.template)));
            }
        }
    }
    assert_eq!(asked, 240);
}

#[test]
fn dials_out_of_their_range_are_named() {
    let wrong = [
        (Config { people: 1, ..small() }, "people"),
        (Config { people: 601, ..small() }, "people"),
        (Config { told_once: 1.0, ..small() }, "told_once"),
        (Config { unique_tellings: 1, ..small() }, "told_once"),
        (Config { told_once: f64::NAN, ..small() }, "told_once"),
        (Config { attributes: 7, ..small() }, "attributes"),
        (Config { templates: 21, ..small() }, "templates"),
        (Config { full_names: -0.1, ..small() }, "full_names"),
        (Config { subjects: 51, ..small() }, "subjects"),
        (Config { last_names: 1 << 40, ..small() }, "last_names"),
    ];
    for (config, name) in wrong {
        let Error::Dial { dial, .. } = World::new(config, 0, &Silent).unwrap_err() else {
            panic!("{name}: another error")
        };
        assert_eq!(dial, name);
    }
}
