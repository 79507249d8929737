//! Figures of a few numbers on one scale: the gap and what closed of it, and what knowing the seed saves.

use cognate_results::Relation;
use cognate_results::numbers::{estimated, nats, percent, signed_nats};
use cognate_statistics::Estimate;

use super::super::markup::Markup;
use super::{Axis, Canvas, Size, Unit, clip, text_width};

/// Shares of the gap outside of this are drawn at its end, with an arrow.
const GAP_SHOWN: (f64, f64) = (-1.0, 2.0);

/// Draws the way from repetition to the oracle and how far sbp came, with the share's interval where it has one. The losses
/// are in nats per token.
pub(in super::super) fn gap_ruler(
    markup: &mut Markup,
    class: &str,
    width: f64,
    losses: [f64; 3],
    share: f64,
    interval: Option<(f64, f64)>,
) {
    let size = Size { width, height: 122.0 };
    let inside = |share: f64| if share.is_finite() { share.clamp(GAP_SHOWN.0, GAP_SHOWN.1) } else { 0.0 };
    let shown = inside(share);
    let ends = interval.map(|(low, high)| (inside(low), inside(high)));
    let edge = if width > 500.0 { 80.0 } else { 52.0 };
    let most = ends.map_or([shown; 2], |(low, high)| [low, high]);
    let x = Axis::over([0.0, 1.0, shown].into_iter().chain(most), (edge, width - edge), 4.0, Unit::Share);
    let (top, bottom) = (50.0, 72.0);
    let [repetition, sbp, oracle] = losses.map(nats);
    let description = format!(
        "On a scale from repetition ({repetition} nats per token) to the oracle ({oracle}), sbp ({sbp}) stands at {}{}.",
        percent(share),
        interval.map_or_else(String::new, |(low, high)| format!(
            ", 95 % interval {} to {}",
            percent(low),
            percent(high)
        ))
    );
    Canvas::draw(markup, class, size, ("Share of the gap closed", &description), |canvas| {
        canvas.rect("gap", (x.at(0.0), top), (x.at(1.0), bottom));
        canvas.rect(
            if shown < 0.0 { "lost s1" } else { "closed s1" },
            (x.at(0.0), top + 4.0),
            (x.at(shown), bottom - 4.0),
        );
        for (at, name, loss, style) in [(0.0, "repetition", repetition, 0), (1.0, "oracle", oracle, 2)] {
            canvas.line("axis", (x.at(at), top - 8.0), (x.at(at), bottom + 2.0));
            canvas.text(&format!("label s{style}"), "middle", (x.at(at), 14.0), name);
            canvas.text("tick", "middle", (x.at(at), 31.0), &loss);
        }
        if let Some((low, high)) = ends {
            let middle = (top + bottom) / 2.0;
            canvas.line("whisker", (x.at(low), middle), (x.at(high), middle));
            for end in [low, high] {
                canvas.line("whisker", (x.at(end), middle - 6.0), (x.at(end), middle + 6.0));
            }
        }
        let at = x.at(shown);
        canvas.path("pointer s1", &[(at, bottom + 2.0), (at - 5.0, bottom + 10.0), (at + 5.0, bottom + 10.0)], true);
        let arrow = if share < GAP_SHOWN.0 { "← " } else { "" };
        let beyond = if share > GAP_SHOWN.1 { " →" } else { "" };
        let first = format!("{arrow}sbp {}{beyond}", percent(share));
        let half = text_width(&first) / 2.0;
        let centre = at.clamp(half.min(width / 2.0), (width - half).max(width / 2.0));
        canvas.text("label s1", "middle", (centre, bottom + 21.0), &first);
        let below = match interval {
            Some((low, high)) => format!("{} to {}; {sbp} nats", percent(low), percent(high)),
            None => sbp.clone(),
        };
        let half = text_width(&below) / 2.0;
        let centre = at.clamp(half.min(width / 2.0), (width - half).max(width / 2.0));
        canvas.text("tick", "middle", (centre, bottom + 38.0), &below);
    });
}

/// Draws what the true seed saves over a random one and over none, before and after tuning, as four bars from zero.
pub(in super::super) fn gain_bars(markup: &mut Markup, class: &str, relation: &Relation) {
    let groups = [
        ("true seed against a random one", relation.before.gain_over_random, relation.after.gain_over_random),
        ("true seed against none", relation.before.gain_over_none, relation.after.gain_over_none),
    ];
    let size = Size { width: 360.0, height: 196.0 };
    let ends = |gain: Estimate| [-1.0, 0.0, 1.0].map(|side| gain.value + side * gain.stderr.unwrap_or(0.0));
    let gains = groups.iter().flat_map(|group| [group.1, group.2]).flat_map(ends);
    // Room for "before" on the left and for a value on either side of the bars.
    let x = Axis::over(gains.chain([0.0]), (118.0, size.width - 62.0), 4.0, Unit::Number);
    let title = "Nats per token that knowing the true seed saves";
    let description = groups
        .iter()
        .map(|(name, before, after)| {
            let (before, after) = (estimated(*before, signed_nats), estimated(*after, signed_nats));
            format!("{name}: {before} before tuning, {after} after. ")
        })
        .collect::<String>();
    Canvas::draw(markup, class, size, (title, description.trim_end()), |canvas| {
        canvas.text("name", "start", (2.0, 9.0), "saved, nats per token");
        for (group, (name, before, after)) in groups.iter().enumerate() {
            let top = 36.0 + 84.0 * group as f64;
            canvas.text("label", "start", (2.0, top), &clip(name, 44));
            for (row, (when, gain, bar)) in
                [("before", before, "bar hollow"), ("after", after, "bar")].iter().enumerate()
            {
                let y = top + 22.0 + 24.0 * row as f64;
                canvas.text("tick", "start", (2.0, y), when);
                let (low, high) = (ends(**gain)[0], ends(**gain)[2]);
                let drawn = low.is_finite() && high.is_finite();
                if drawn {
                    canvas.rect(bar, (x.at(0.0), y - 8.0), (x.at(gain.value), y + 8.0));
                    canvas.line("axis", (x.at(low), y), (x.at(high), y));
                }
                let (anchor, edge, end) = if gain.value < 0.0 { ("end", -6.0, low) } else { ("start", 6.0, high) };
                let at = if drawn { x.at(end) } else { x.at(0.0) };
                canvas.text("tick strong", anchor, (at + edge, y), &signed_nats(gain.value));
            }
            canvas.line("axis", (x.at(0.0), top + 10.0), (x.at(0.0), top + 58.0));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use cognate_results::RelationLoss;

    fn gap(losses: [f64; 3], share: f64) -> String {
        let mut markup = Markup::default();
        gap_ruler(&mut markup, "wide", 360.0, losses, share, None);
        markup.finish()
    }

    #[test]
    fn an_interval_is_drawn_and_said() {
        let with = |low: f64, high: f64| {
            let mut markup = Markup::default();
            gap_ruler(&mut markup, "wide", 1000.0, [4.4, 4.3, 4.0], 0.25, Some((low, high)));
            markup.finish()
        };
        let svg = with(-0.25, 0.5);
        assert_eq!(svg.matches("class=\"whisker\"").count(), 3);
        assert!(
            svg.contains("95 % interval −25\u{a0}% to 50\u{a0}%")
                && svg.contains("−25\u{a0}% to 50\u{a0}%; 4.300 nats")
        );
        // 840 units from 80 on hold the shares from -0.25 to 1.
        assert!(svg.contains("x1=\"80\" y1=\"61\" x2=\"584\" y2=\"61\""), "{svg}");
        assert!(!with(f64::NAN, f64::INFINITY).contains("NaN"));
        assert_eq!(gap([4.4, 4.3, 4.0], 0.25).matches("whisker").count(), 0);
    }

    #[test]
    fn a_gap_off_the_scale_says_so() {
        assert!(gap([4.4, 4.3, 4.0], 0.25).contains(">sbp 25\u{a0}%<"));
        assert!(gap([4.4, 9.0, 4.3], -46.0).contains(">← sbp −4,600\u{a0}%<"));
        assert!(gap([4.4, 1.0, 4.3], 34.0).contains(">sbp 3,400\u{a0}% →<"));
        assert!(gap([4.4, 4.5, 4.3], -1.0).contains("class=\"lost"));
        for share in [f64::NAN, f64::INFINITY, 1e300, 0.0] {
            let svg = gap([f64::NAN; 3], share);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn gains_of_any_sign_are_drawn() {
        let estimate = |value| Estimate { value, stderr: None };
        let loss = |true_seed: f64, random_seed: f64, no_seed: f64| RelationLoss {
            true_seed: estimate(true_seed),
            random_seed: estimate(random_seed),
            no_seed: estimate(no_seed),
            gain_over_random: estimate(random_seed - true_seed),
            gain_over_none: estimate(no_seed - true_seed),
        };
        let mut markup = Markup::default();
        let relation = Relation {
            name: String::new(),
            made: String::new(),
            control: false,
            unseen: true,
            pairs: 3,
            before: loss(4.0, 3.5, 4.25),
            after: loss(3.0, 4.0, f64::NAN),
            unused: false,
            curve: vec![],
            chosen_at: 0,
        };
        gain_bars(&mut markup, "panel", &relation);
        let svg = markup.finish();
        for shown in [">−0.500<", ">+0.250<", ">+1.000<", ">–<"] {
            assert!(svg.contains(shown), "{shown}: {svg}");
        }
        assert_eq!(svg.matches("<rect").count(), 3);
        assert!(!svg.contains("NaN"), "{svg}");
    }
}
