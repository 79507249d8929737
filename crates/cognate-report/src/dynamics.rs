//! Which tasks move together: how alike the curves of tasks and their groups are between arms, and how far a group follows the others of its task
//! (after Du et al. 2024, arXiv 2404.01204).

use std::collections::BTreeMap;

use cognate_results::numbers::{NONE, decimals};
use cognate_results::{Report, TaskPoint};
use cognate_statistics::quantile::interpolated;
use cognate_statistics::rank::spearman;

use super::download::{Csv, downloads, number};
use super::html::{Cell, table};
use super::markup::Markup;

/// Checkpoints that two curves must have in common.
const FEWEST: usize = 4;
/// Groups that a task must have for one to be told from the others.
const GROUPS: usize = 3;

/// A curve: values by step.
type Curve = BTreeMap<u64, f64>;
/// The curves of an arm: of a task, or of one of its groups.
type Curves<'a> = BTreeMap<(&'a str, Option<&'a str>), Curve>;

/// Two arms beside each other.
struct Alike<'a> {
    arms: (&'a str, &'a str),
    /// ρ of each curve that both have.
    of: Vec<((&'a str, Option<&'a str>), f64)>,
}

/// A task whose groups were measured, in one arm.
struct Follow<'a> {
    task: &'a str,
    arm: &'a str,
    /// ρ of each group with the mean of the others.
    with_others: Vec<(&'a str, f64)>,
    /// How much of the other arms' variance is said by a line that was fitted to this one, for each group and other arm.
    elsewhere: Vec<f64>,
}

/// The part of the section; nothing where too few checkpoints were measured.
pub(super) fn dynamics(page: &mut Markup, report: &Report) {
    let arms = arms(&report.task_curves);
    let (alike, follow) = (alike(&arms), follow(&arms));
    if alike.is_empty() && follow.is_empty() {
        return;
    }
    page.leaf("h3", &[], "Which tasks move together");
    page.leaf(
        "p",
        &[],
        format!(
            "Spearman's rank correlation ρ over the checkpoints that two curves have in common, {FEWEST} at least; of an arm, its first seed. Curves of n \
             checkpoints that have nothing in common have a ρ of 0 ± 1/√(n − 1), and all that only rise a ρ of 1."
        ),
    );
    let spread = |values: Vec<f64>| {
        let mut sorted = values;
        sorted.sort_by(f64::total_cmp);
        if sorted.is_empty() {
            return [NONE.to_owned(), NONE.to_owned()];
        }
        let at = |share: f64| decimals(interpolated(&sorted, share), 2);
        [at(0.5), format!("{} to {}", at(0.25), at(0.75))]
    };
    if !alike.is_empty() {
        let row = |pair: &Alike<'_>| {
            let [median, half] = spread(pair.of.iter().map(|(_, rho)| *rho).collect());
            let names = format!("{} and {}", pair.arms.0, pair.arms.1);
            vec![Cell::new(names), Cell::new(pair.of.len()), Cell::new(median), Cell::new(half)]
        };
        let rows: Vec<Vec<Cell>> = alike.iter().map(row).collect();
        let caption = "The same tasks and groups in two arms: rank correlation of their curves";
        table(page, caption, &["arms", "curves", "median ρ", "half of them"], &rows);
    }
    if !follow.is_empty() {
        let row = |one: &Follow<'_>| {
            let [median, half] = spread(one.with_others.iter().map(|(_, rho)| *rho).collect());
            let [said, _] = spread(one.elsewhere.clone());
            let name = format!("{}, {}", one.task, one.arm);
            vec![Cell::new(name), Cell::new(one.with_others.len()), Cell::new(median), Cell::new(half), Cell::new(said)]
        };
        let rows: Vec<Vec<Cell>> = follow.iter().map(row).collect();
        let caption = "Each group of a task and the mean of the others: rank correlation, and which share of a group's variance in another arm a line \
                       says that was fitted to this one (median; below 0 is worse than that arm's own mean)";
        table(page, caption, &["task and arm", "groups", "median ρ", "half of them", "said in other arms"], &rows);
    }
    downloads(page, &[("task-dynamics.csv", csv(&alike, &follow))]);
}

/// The curves of each arm, of its first seed.
fn arms(points: &[TaskPoint]) -> Vec<(&str, Curves<'_>)> {
    let mut arms: Vec<(&str, Option<u64>, Curves<'_>)> = Vec::new();
    for point in points {
        let at = arms.iter().position(|(arm, ..)| *arm == point.arm).unwrap_or_else(|| {
            arms.push((&point.arm, point.seed, Curves::new()));
            arms.len() - 1
        });
        if arms[at].1 == point.seed {
            let curve = arms[at].2.entry((&point.task, point.group.as_deref())).or_default();
            curve.insert(point.step, point.value);
        }
    }
    arms.into_iter().map(|(arm, _, curves)| (arm, curves)).collect()
}

/// The values of two curves at their common steps.
fn common(one: &Curve, other: &Curve) -> Vec<(f64, f64)> {
    one.iter().filter_map(|(step, value)| Some((*value, *other.get(step)?))).collect()
}

/// ρ of two curves, where they have enough in common.
fn rho(one: &Curve, other: &Curve) -> Option<f64> {
    let pairs = common(one, other);
    if pairs.len() < FEWEST { None } else { spearman(&pairs) }
}

/// Every two arms with curves in common.
fn alike<'a>(arms: &[(&'a str, Curves<'a>)]) -> Vec<Alike<'a>> {
    let mut found = Vec::new();
    for (at, (one, curves)) in arms.iter().enumerate() {
        for (other, others) in &arms[at + 1..] {
            let of =
                |(name, curve): (&(&'a str, Option<&'a str>), &Curve)| Some((*name, rho(curve, others.get(name)?)?));
            let of: Vec<_> = curves.iter().filter_map(of).collect();
            if !of.is_empty() {
                found.push(Alike { arms: (one, other), of });
            }
        }
    }
    found
}

/// The groups of a task in an arm.
fn groups<'a, 'b>(curves: &'b Curves<'a>, task: &str) -> Vec<(&'a str, &'b Curve)> {
    let of_task = curves.iter().filter(|((other, _), _)| *other == task);
    of_task.filter_map(|((_, group), curve)| Some(((*group)?, curve))).collect()
}

/// The mean of all curves but the one at `without`, at the steps that all have.
fn mean_of_others(curves: &[(&str, &Curve)], without: usize) -> Curve {
    let others: Vec<&Curve> =
        curves.iter().enumerate().filter(|(at, _)| *at != without).map(|(_, (_, curve))| *curve).collect();
    let Some(first) = others.first() else { return Curve::new() };
    let mean = |step: &u64| {
        let values: Option<Vec<f64>> = others.iter().map(|curve| curve.get(step).copied()).collect();
        Some((*step, values?.iter().sum::<f64>() / others.len() as f64))
    };
    first.keys().filter_map(mean).collect()
}

/// Every task with enough groups, in every arm.
fn follow<'a>(arms: &[(&'a str, Curves<'a>)]) -> Vec<Follow<'a>> {
    let mut found = Vec::new();
    for (at, (arm, curves)) in arms.iter().enumerate() {
        let mut tasks: Vec<&str> = curves.keys().map(|(task, _)| *task).collect();
        tasks.dedup();
        for task in tasks {
            let own = groups(curves, task);
            if own.len() < GROUPS {
                continue;
            }
            let (mut with_others, mut elsewhere) = (Vec::new(), Vec::new());
            for (number, (group, curve)) in own.iter().enumerate() {
                let others = mean_of_others(&own, number);
                with_others.extend(rho(&others, curve).map(|rho| (*group, rho)));
                let pairs = common(&others, curve);
                let Some(line) = (pairs.len() >= FEWEST).then(|| fitted(&pairs)).flatten() else { continue };
                for (_, (_, foreign)) in arms.iter().enumerate().filter(|(other, _)| *other != at) {
                    let of_other = groups(foreign, task);
                    let Some(place) = of_other.iter().position(|(name, _)| name == group) else { continue };
                    let pairs = common(&mean_of_others(&of_other, place), of_other[place].1);
                    elsewhere.extend((pairs.len() >= FEWEST).then(|| said(line, &pairs)).flatten());
                }
            }
            if !with_others.is_empty() {
                found.push(Follow { task, arm, with_others, elsewhere });
            }
        }
    }
    found
}

/// The line of least squares through (x, y): where it is at 0, and how it rises. None where x is the same throughout.
fn fitted(pairs: &[(f64, f64)]) -> Option<(f64, f64)> {
    let n = pairs.len() as f64;
    let (x, y) = (pairs.iter().map(|pair| pair.0).sum::<f64>() / n, pairs.iter().map(|pair| pair.1).sum::<f64>() / n);
    let square: f64 = pairs.iter().map(|pair| (pair.0 - x).powi(2)).sum();
    let rise = pairs.iter().map(|pair| (pair.0 - x) * (pair.1 - y)).sum::<f64>() / square;
    (square > 0.0).then_some((y - rise * x, rise))
}

/// Which share of y's variance a line says: 1 − Σ(y − line)² / Σ(y − mean)². None where y is the same throughout.
fn said((zero, rise): (f64, f64), pairs: &[(f64, f64)]) -> Option<f64> {
    let mean = pairs.iter().map(|pair| pair.1).sum::<f64>() / pairs.len() as f64;
    let all: f64 = pairs.iter().map(|pair| (pair.1 - mean).powi(2)).sum();
    let left: f64 = pairs.iter().map(|(x, y)| (y - zero - rise * x).powi(2)).sum();
    (all > 0.0).then(|| 1.0 - left / all)
}

fn csv(alike: &[Alike<'_>], follow: &[Follow<'_>]) -> Csv {
    let mut csv = Csv::new(&["task", "group", "arm", "against", "rank_correlation"]);
    for Alike { arms: (one, other), of } in alike {
        for ((task, group), rho) in of {
            let group = group.unwrap_or_default().to_owned();
            csv.row([(*task).to_owned(), group, (*one).to_owned(), (*other).to_owned(), number(*rho)]);
        }
    }
    for Follow { task, arm, with_others, .. } in follow {
        for (group, rho) in with_others {
            let against = "the mean of the other groups".to_owned();
            csv.row([(*task).to_owned(), (*group).to_owned(), (*arm).to_owned(), against, number(*rho)]);
        }
    }
    csv
}

#[cfg(test)]
mod tests {
    use super::super::download::saved;
    use super::super::sample::sample;
    use super::*;

    fn point(arm: &str, group: Option<&str>, step: u64, value: f64) -> TaskPoint {
        TaskPoint {
            arm: arm.to_owned(),
            seed: None,
            step,
            tokens: step * 1000,
            flops: None,
            task: "blimp".to_owned(),
            group: group.map(str::to_owned),
            metric: "accuracy".to_owned(),
            value,
            stderr: None,
            n: 40,
        }
    }

    /// Three groups in two arms. In both, `b` is twice `a`'s rise, and `c` falls.
    fn points() -> Vec<TaskPoint> {
        let mut points = Vec::new();
        for (arm, slow) in [("small", 1.0), ("large", 2.0)] {
            for step in 1..=5u64 {
                let x = step as f64 * slow;
                points.push(point(arm, None, step, x));
                for (group, value) in [("a", x), ("b", 2.0 * x), ("c", -x)] {
                    points.push(point(arm, Some(group), step, value));
                }
            }
        }
        points
    }

    #[test]
    fn curves_of_two_arms_are_compared_at_their_common_checkpoints() {
        let mut points = points();
        // The large arm turns at the end in one group, which leaves a ρ of 1 − 6·6 / (5·24) there.
        points
            .iter_mut()
            .filter(|p| p.arm == "large" && p.group.as_deref() == Some("a") && p.step == 5)
            .for_each(|p| p.value = 3.0);
        let arms = arms(&points);
        let found = alike(&arms);
        assert_eq!((found.len(), found[0].arms), (1, ("small", "large")));
        let of = |group| found[0].of.iter().find(|((_, name), _)| *name == group).unwrap().1;
        assert_eq!((of(None), of(Some("b")), of(Some("c"))), (1.0, 1.0, 1.0));
        assert!((of(Some("a")) - 0.4).abs() < 0.41 && of(Some("a")) < 0.9, "{}", of(Some("a")));
        // Three checkpoints in common are too few.
        points.retain(|point| point.arm == "small" || point.step <= 3);
        assert!(alike(&self::arms(&points)).is_empty());
    }

    #[test]
    fn a_group_is_told_from_the_others_of_its_task() {
        let points = points();
        let found = follow(&arms(&points));
        assert_eq!(
            found.iter().map(|one| (one.task, one.arm)).collect::<Vec<_>>(),
            [("blimp", "small"), ("blimp", "large")]
        );
        // The others of a rise by x/2, those of b not at all, those of c by 3x/2.
        assert_eq!(found[0].with_others, [("a", 1.0), ("c", -1.0)]);
        // a = 2·others and c = −2/3·others in both arms: the line says all.
        assert_eq!(found[0].elsewhere.len(), 2);
        assert!(found[0].elsewhere.iter().all(|said| (said - 1.0).abs() < 1e-9), "{:?}", found[0].elsewhere);
        assert_eq!(fitted(&[(0.0, 1.0), (1.0, 3.0), (2.0, 5.0)]), Some((1.0, 2.0)));
        assert_eq!(fitted(&[(1.0, 1.0), (1.0, 3.0)]), None);
        // The mean itself says nothing; a line through nothing says less.
        assert_eq!(said((2.0, 0.0), &[(0.0, 1.0), (1.0, 3.0)]), Some(0.0));
        assert_eq!(said((4.0, 0.0), &[(0.0, 1.0), (1.0, 3.0)]), Some(-4.0));
    }

    #[test]
    fn the_page_says_it_where_groups_were_measured() {
        let mut report = sample();
        report.task_curves = points();
        let page = super::super::page(&report).replace('\u{a0}', " ");
        let from = page.find("Which tasks move together").unwrap();
        assert!(page[from..].contains("small and large") && page[from..].contains("blimp, small"));
        let csv = saved(&page, "task-dynamics.csv").unwrap();
        assert!(csv.contains("\nblimp,b,small,large,1\n"), "{csv}");
        assert!(csv.contains("\nblimp,c,large,the mean of the other groups,-1\n"), "{csv}");
        // Groups have no charts of their own.
        let charts = page[page.find("id=\"task-curves\"").unwrap()..from].matches("<svg").count();
        assert_eq!(charts, 1);
        report.task_curves.retain(|point| point.step < 4);
        assert!(!super::super::page(&report).contains("Which tasks move together"));
    }
}
