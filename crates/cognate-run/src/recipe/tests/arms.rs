//! Arms: which cannot be, what their presets mean, and their seeds.

use super::super::{Candidate, Decay, keys};
use super::servers::SERVER;
use super::{LEAST, parse, refusal};

#[test]
fn arms_that_cannot_be() {
    let refused = |arms: &str| refusal(&format!("{LEAST}{arms}"));
    let base = "[[arm]]\nkind = \"repetition\"\n";
    assert_eq!(
        refused(&format!("{base}[[arm]]\nkind = \"spb\"\n")),
        "recipes/r.toml:16: [[arm]] kind = \"spb\": expected one of \"repetition\", \"sbp\", \"oracle\", \
         \"random-pairs\", \"unconditional\", \"equal-flops\", \"regularised\", \"related-context\"\n\
         hint: the nearest of them is \"sbp\""
    );
    assert_eq!(
        refused("[[arm]]\norder = \"mixed\"\n"),
        "recipes/r.toml:13: an arm has neither `kind` nor `name`\nhint: give it a name, or a kind, which is its name then"
    );
    assert_eq!(
        refused("[arm]\nkind = \"sbp\"\n"),
        "recipes/r.toml:13: `arm` is not a list of tables\nhint: begin each one with a line `[[arm]]`, with two \
         brackets"
    );
    assert_eq!(
        refused(&format!("{base}[[arm]]\nkind = \"sbp\"\n[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.5\n")),
        "recipes/r.toml:17: a second arm is called `sbp`\nhint: give each a `name` of its own"
    );
    assert_eq!(
        refused(&format!("{base}[[arm]]\nname = \"again\"\nkind = \"repetition\"\n")),
        "recipes/r.toml:15: arm `again` is the same as arm `repetition`\nhint: remove one of the two, or make them \
         differ"
    );
    assert_eq!(
        refused("[[arm]]\nname = \"sbp\"\nkind = \"oracle\"\n"),
        "recipes/r.toml:13: an arm of kind `oracle` cannot be called `sbp`: that is another kind\n\
         hint: give the arm another name"
    );
    assert_eq!(
        refused("[[arm]]\nkind = \"sbp\"\n"),
        "recipes/r.toml:13: arm `sbp` has no arm of kind `repetition` beside it\n\
         hint: the synthesizer starts from the repetition arm's best checkpoint: add `[[arm]]` with kind = \
         \"repetition\""
    );
    assert_eq!(
        refused(&format!("{base}synthetic_share = 0.5\n")),
        "recipes/r.toml:15: [[arm]] synthetic_share = 0.5: expected no `synthetic_share` in an arm of kind \
         \"repetition\"\n\
         hint: remove the key, or write kind = \"sbp\""
    );
    assert_eq!(
        refused(&format!("{base}[[arm]]\nkind = \"sbp\"\nsynthetic_share = 1.2\n")),
        "recipes/r.toml:17: [[arm]] synthetic_share = 1.2: expected a number from 0 to 1, or a list of at least \
         two different ones"
    );
}

/// Arms that presets name look the same in every report.
#[test]
fn every_kind_of_arm_has_a_look() {
    assert_eq!(keys::ARM_KINDS, cognate_results::ARM_KINDS);
}

#[test]
fn seeds_are_a_number_or_a_list_with_the_recipes_own() {
    let seeds = |line: &str| parse(&LEAST.replace("name = \"least\"", &format!("name = \"least\"\n{line}")));
    assert_eq!(parse(LEAST).unwrap().seeds, [0]);
    assert_eq!(seeds("seed = 5\nseeds = 3").unwrap().seeds, [5, 6, 7]);
    assert_eq!(seeds("seed = 5\nseeds = [9, 5]").unwrap().seeds, [9, 5]);
    let resolved = seeds("seed = 5\nseeds = 3").unwrap();
    assert_eq!(parse(&resolved.to_toml().unwrap()).unwrap(), resolved);
    let refused = |line: &str| {
        let error = seeds(line).expect_err("refused");
        error.hint().map_or(error.to_string(), |hint| format!("{error}\nhint: {hint}"))
    };
    let expected = "expected a whole number from 1 to 1000, or a list of as many different whole numbers";
    for wrong in ["0", "1001", "[]", "[0, 0]", "[0, -1]", "[0, 1.5]", "\"all\""] {
        assert_eq!(refused(&format!("seeds = {wrong}")), format!("recipes/r.toml:2: seeds = {wrong}: {expected}"));
    }
    assert_eq!(
        refused("seed = 4\nseeds = [0, 1]"),
        "recipes/r.toml:3: seeds = [0, 1]: expected a list with seed = 4 in it\n\
         hint: the synthesizer starts from the repetition arm of `seed`: add it to the list, or change `seed`"
    );
    let named = format!("{LEAST}[[arm]]\nkind = \"repetition\"\nname = \"plain-seed-3\"\n");
    assert!(refusal(&named).contains("an arm cannot be called `plain-seed-3`"), "{}", refusal(&named));
}

#[test]
fn controls_take_the_share_of_the_arm_that_they_control() {
    let arms = |more: &str| format!("{LEAST}[[arm]]\nkind = \"repetition\"\n{more}");
    let controls = "[[arm]]\nkind = \"random-pairs\"\n[[arm]]\nkind = \"unconditional\"\n";
    let shares = |text: &str| -> Vec<f64> {
        let recipe = parse(text).unwrap();
        assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
        recipe.arms.iter().flat_map(|arm| &arm.training.synthetic).map(|(_, share)| *share).collect()
    };
    assert_eq!(shares(&arms(controls)), [0.25, 0.25]);
    let sbp = "[[arm]]\nkind = \"sbp\"\nsynthetic_share = 0.5\n";
    assert_eq!(shares(&arms(&format!("{controls}{sbp}"))), [0.5, 0.5, 0.5]);
    let own =
        format!("{sbp}[[arm]]\nkind = \"unconditional\"\nsynthetic_share = 0.1\n[[arm]]\nkind = \"equal-flops\"\n");
    assert_eq!(shares(&arms(&own)), [0.5, 0.1]);
    assert_eq!(
        refusal(&arms("[[arm]]\nkind = \"equal-flops\"\n")),
        "recipes/r.toml:15: arm `equal-flops` has no arm of kind `sbp` beside it\n\
         hint: its operations are as many as that arm cost: add `[[arm]]` with kind = \"sbp\""
    );
    assert!(
        refusal(&format!("{LEAST}{controls}")).contains("`random-pairs` has no arm of kind `repetition` beside it")
    );
    assert!(
        refusal(&arms("[[arm]]\nkind = \"equal-flops\"\nsynthetic_share = 0.5\n"))
            .contains("expected no `synthetic_share` in an arm of kind \"equal-flops\"")
    );
    let server = arms(controls).replace("[train]", &format!("{SERVER}\n[train]"));
    assert!(refusal(&server).contains("`shuffled` cannot be written by a completion server"), "{}", refusal(&server));
}

#[test]
fn a_regularised_arm_says_what_it_tries_and_needs_documents_to_choose_by() {
    let arm = |more: &str| format!("{LEAST}[[arm]]\nkind = \"repetition\"\n[[arm]]\nkind = \"regularised\"\n{more}");
    let kind = |more: &str| {
        let recipe = parse(&arm(more)).unwrap();
        assert_eq!(parse(&recipe.to_toml().unwrap()).unwrap(), recipe);
        let arm = &recipe.arms[1];
        let tried = |candidate: &Candidate| (candidate.name.clone(), candidate.training.train.decay);
        (arm.sweep.iter().map(tried).collect::<Vec<_>>(), arm.selection_documents)
    };
    let tries = |decays: &[(&str, f64)], selection_documents: usize| {
        let decay = |weight_decay| Decay::Plain { weight_decay };
        let tried = decays.iter().map(|(name, weight_decay)| (format!("weight-decay-{name}"), decay(*weight_decay)));
        (tried.collect::<Vec<_>>(), selection_documents)
    };
    assert_eq!(kind(""), tries(&[("0.1", 0.1), ("0.8", 0.8), ("3.2", 3.2)], 500));
    let own = "weight_decays = [1, 0.0]\nselection_documents = 7\n";
    assert_eq!(kind(own), tries(&[("1", 1.0), ("0", 0.0)], 7));
    let listed = format!(
        "{LEAST}[[arm]]\nkind = \"repetition\"\n[[arm]]\nname = \"regularised\"\ntrain.weight_decay = [0.1, 0.8, 3.2]\n"
    );
    assert_eq!(
        parse(&listed).unwrap().arms[1].sweep,
        parse(&arm("")).unwrap().arms[1].sweep,
        "the same in other words"
    );
    for wrong in ["[]", "[0.1]", "[0.1, 0.1]", "[0.1, -1]", "[0.1, inf]", "[0.1, \"1\"]", "0.1"] {
        assert_eq!(
            refusal(&arm(&format!("weight_decays = {wrong}\n"))),
            format!(
                "recipes/r.toml:17: [[arm]] weight_decays = {wrong}: expected a list of at least two different numbers, each a \
                 number of at least 0"
            )
        );
    }
    assert_eq!(
        refusal(&arm("selection_documents = 0\n")),
        "recipes/r.toml:17: [[arm]] selection_documents = 0: expected a whole number from 1 to 4294967295"
    );
    assert_eq!(
        refusal(&arm("").replace("[model]", "validation_share = 0.1\nunique_share = 0.9\n[model]")),
        "recipes/r.toml:17: arm `regularised` has no documents to choose by: validation_share = 0.1 and \
         unique_share = 0.9 leave none\n\
         hint: the choice is made on documents of neither split, so that no arm is scored on what it was chosen by: lower \
         unique_share in [corpus] a little"
    );
    assert_eq!(
        refusal(&format!("{LEAST}[[arm]]\nkind = \"regularised\"\n")),
        "recipes/r.toml:13: arm `regularised` has no arm of kind `repetition` beside it\n\
         hint: it is repetition otherwise trained, and is compared with it: add `[[arm]]` with kind = \"repetition\""
    );
    let text = arm("[[arm]]\nkind = \"related-context\"\nweight_decays = [0.1, 1]\n");
    assert!(refusal(&text).ends_with("hint: remove the key, or write kind = \"regularised\""), "{}", refusal(&text));
}
