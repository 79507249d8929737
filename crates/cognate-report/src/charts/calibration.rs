//! A calibration curve: probabilities given what was written over those given the seed.

use cognate_results::CalibrationPoint;

use super::super::markup::Markup;
use super::{Axis, Canvas, LINE_HEIGHT, Size, Unit};

/// Outer size: about square, for both axes are probabilities.
const SIZE: Size = Size { width: 360.0, height: 340.0 };

/// Draws what was written and what would be ideal over the diagonal.
pub(in super::super) fn calibration(markup: &mut Markup, class: &str, name: &str, points: &[CalibrationPoint]) {
    let x = Axis::over([0.0, 1.0].into_iter(), (SIZE.margin(), SIZE.width - 14.0), 4.0, Unit::Share);
    let y = Axis::over([0.0, 1.0].into_iter(), (SIZE.height - 42.0, 26.0), 4.0, Unit::Share);
    let description =
        format!("The corpus {name}: a line for what was written, another for what the world would write.");
    Canvas::draw(markup, class, SIZE, ("Is the seed's concept kept?", &description), |canvas| {
        canvas.frame(&x, &y, "P(concept | seed)", "P(concept | written)");
        let place = |(seed, other): (f64, f64)| (x.at(seed.clamp(0.0, 1.0)), y.at(other.clamp(0.0, 1.0)));
        canvas.line("border", place((0.0, 0.0)), place((1.0, 1.0)));
        let mut curve = |row: f64, style: usize, label: &str, of: &dyn Fn(&CalibrationPoint) -> f64| {
            let drawn: Vec<(f64, f64)> = points.iter().map(|point| place((point.seed, of(point)))).collect();
            canvas.path(&format!("line s{style}"), &drawn, false);
            drawn.iter().for_each(|point| canvas.marker(style, *point));
            let at = y.to + LINE_HEIGHT * row;
            canvas.path(&format!("line s{style}"), &[(x.from + 8.0, at), (x.from + 42.0, at)], false);
            canvas.text("label", "start", (x.from + 48.0, at), label);
        };
        curve(1.0, 1, "written", &|point| point.written);
        curve(2.0, 0, "ideal", &|point| point.ideal);
    });
}
