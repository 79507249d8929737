//! ROC curves: how well a score tells true pairs from random ones.

use cognate_results::Calibration;
use cognate_results::numbers::decimals;

use super::super::markup::Markup;
use super::{Axis, Canvas, LINE_HEIGHT, Size, Unit};

/// Outer size: about square, for both axes are shares.
const SIZE: Size = Size { width: 360.0, height: 340.0 };

/// Dash patterns and colours of the curves, in their order.
const STYLES: [usize; 3] = [1, 0, 2];

/// Draws the curves over the diagonal of chance, and the threshold as a mark on the first.
pub(in super::super) fn roc_curves(markup: &mut Markup, class: &str, calibration: &Calibration) {
    let x = Axis::over([0.0, 1.0].into_iter(), (SIZE.margin(), SIZE.width - 14.0), 4.0, Unit::Share);
    let y = Axis::over([0.0, 1.0].into_iter(), (SIZE.height - 42.0, 26.0), 4.0, Unit::Share);
    let named: Vec<String> =
        calibration.curves.iter().map(|curve| format!("{}, area {}", curve.score, decimals(curve.area, 3))).collect();
    let description = format!(
        "Share of true pairs against share of random pairs at or above a falling score. {}. Chance is the diagonal.",
        named.join("; ")
    );
    Canvas::draw(markup, class, SIZE, ("ROC curves of relevance", &description), |canvas| {
        canvas.frame(&x, &y, "random pairs scored at least so", "true pairs scored at least so");
        let place = |&(random, related): &(f64, f64)| (x.at(random), y.at(related));
        canvas.line("border", place(&(0.0, 0.0)), place(&(1.0, 1.0)));
        let rows = named.len() as f64 + 1.0;
        for (at, (curve, name)) in calibration.curves.iter().zip(&named).enumerate() {
            let class = format!("line s{}", STYLES[at % STYLES.len()]);
            let points = curve.points.iter().filter(|(random, related)| random.is_finite() && related.is_finite());
            canvas.path(&class, &points.map(place).collect::<Vec<_>>(), false);
            // Below the diagonal, where a curve comes only if its score is worse than chance.
            let row = y.from - LINE_HEIGHT * (rows - at as f64);
            canvas.path(&class, &[(x.to - 190.0, row), (x.to - 156.0, row)], false);
            canvas.text("label", "start", (x.to - 150.0, row), name);
        }
        let threshold = calibration.random_above.zip(calibration.true_above);
        if let Some(threshold) = threshold.filter(|(random, related)| random.is_finite() && related.is_finite()) {
            let row = y.from - LINE_HEIGHT;
            canvas.marker(1, place(&threshold));
            canvas.marker(1, (x.to - 173.0, row));
            canvas.text("label", "start", (x.to - 150.0, row), "threshold");
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use cognate_results::RocCurve;

    fn calibration(points: &[(f64, f64)], true_above: f64) -> Calibration {
        let curve = |score: &str, points: &[(f64, f64)]| RocCurve {
            score: score.to_owned(),
            area: 0.875,
            low: 0.8,
            high: 0.95,
            true_pairs: 20,
            random_pairs: 20,
            points: points.to_vec(),
        };
        let chance = [(0.0, 0.0), (1.0, 1.0)];
        Calibration {
            curves: vec![curve("forward", points), curve("backward", &chance)],
            threshold: Some(0.1),
            true_above: Some(true_above),
            random_above: Some(0.25),
        }
    }

    fn draw(calibration: &Calibration) -> String {
        let mut markup = Markup::default();
        roc_curves(&mut markup, "panel", calibration);
        markup.finish()
    }

    #[test]
    fn a_curve_runs_from_corner_to_corner_and_has_its_own_dashes() {
        let svg = draw(&calibration(&[(0.0, 0.0), (0.0, 0.5), (1.0, 1.0)], 0.95));
        // Left below, half up the left side, right above.
        assert!(svg.contains("class=\"line s1\" d=\"M42 298L42 162L346 26\""), "{svg}");
        assert!(svg.contains("class=\"line s0\" d=\"M42 298L346 26\""), "{svg}");
        assert!(svg.contains(">forward, area 0.875<") && svg.contains(">backward, area 0.875<"), "{svg}");
        // At a quarter of the random and 95 % of the true pairs, and in the legend.
        assert!(svg.contains("cx=\"118\" cy=\"39.6\"") && svg.matches("<circle").count() == 2, "{svg}");
    }

    #[test]
    fn odd_curves_draw_without_odd_numbers() {
        for points in [&[][..], &[(f64::NAN, 0.0), (0.5, f64::INFINITY)], &[(-3.0, 7.0)]] {
            let svg = draw(&calibration(points, f64::NAN));
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            assert!(!svg.contains("threshold<"), "{svg}");
        }
    }
}
