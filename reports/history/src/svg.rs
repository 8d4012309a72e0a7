//! A trend as a drawing: each value a dot, each image's median a line.

use crate::trend::Trend;

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 320.0;
const LEFT: f64 = 64.0;
const TOP: f64 = 40.0;
const BOTTOM: f64 = 44.0;

/// An SVG document of its own. Values stand in order, not at their times: nights without runs
/// leave no holes. `None` when there are no values: nothing can be drawn to scale.
pub fn svg(trend: &Trend) -> Option<String> {
    if trend.points.is_empty() {
        return None;
    }
    let images = trend.images();
    let values = || trend.points.iter().map(|point| point.value);
    let (least, most) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    // A scale from zero, unless all values are close together.
    let floor = if least > most * 0.8 { least - (most - least).max(most * 0.01) } else { 0.0_f64.min(least) };
    let ceiling = if most > floor { most + (most - floor) * 0.08 } else { floor + 1.0 };
    let step = (WIDTH - LEFT - 16.0) / trend.points.len() as f64;
    let x = |index: usize| LEFT + step * (index as f64 + 0.5);
    let y = |value: f64| HEIGHT - BOTTOM - (value - floor) / (ceiling - floor) * (HEIGHT - TOP - BOTTOM);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         font-family=\"system-ui, sans-serif\" font-size=\"12\">\n\
         <style>svg{{background:#fff}} text{{fill:#1b1e22}} .soft{{fill:#565d66}} .grid{{stroke:#e2e3df}} \
         .dot{{fill:#7fa6d0}} .mid{{stroke:#0b5cad;stroke-width:2.5}} .edge{{stroke:#b9bfc6;stroke-dasharray:2 3}}</style>\n"
    );
    let title = escaped(&format!("{} ({}), {}", trend.measure, trend.context, trend.unit));
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    line(format!(
        "<title>{title}</title><text x=\"{LEFT}\" y=\"22\" font-size=\"15\" font-weight=\"650\">{title}</text>"
    ));
    for part in 0..=4 {
        let value = floor + (ceiling - floor) * f64::from(part) / 4.0;
        let at = y(value);
        line(format!(
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
             <text class=\"soft\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            WIDTH - 16.0,
            LEFT - 8.0,
            at + 4.0,
            number(value)
        ));
    }
    let mut start = 0;
    for image in &images {
        let here = trend.points.iter().enumerate().filter(|(_, point)| point.image == image.image);
        let (first, last) = here.fold((usize::MAX, 0), |(low, high), (at, _)| (low.min(at), high.max(at)));
        let middle = y(image.median);
        line(format!(
            "<line class=\"mid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\"/>",
            x(first) - step * 0.45,
            x(last) + step * 0.45
        ));
        if first > start {
            let edge = x(first) - step / 2.0;
            line(format!(
                "<line class=\"edge\" x1=\"{edge:.1}\" x2=\"{edge:.1}\" y1=\"{TOP}\" y2=\"{}\"/>",
                HEIGHT - BOTTOM
            ));
        }
        start = start.max(first);
        let short: String = image.image.chars().take(8).collect();
        let name =
            image.version.as_ref().map_or_else(|| short.clone(), |version| format!("{version} {short}"));
        // Names that would run into each other are left to the tooltips.
        if step * (last - first + 1) as f64 > 7.5 * name.len() as f64 {
            line(format!(
                "<text class=\"soft\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                f64::midpoint(x(first), x(last)),
                HEIGHT - 24.0,
                escaped(&name)
            ));
        }
    }
    for (index, point) in trend.points.iter().enumerate() {
        let tip = format!(
            "{} {} on {} at {}, run {}",
            number(point.value),
            trend.unit,
            point.version.as_deref().unwrap_or("?"),
            point.at,
            point.run
        );
        line(format!(
            "<circle class=\"dot\" cx=\"{:.1}\" cy=\"{:.1}\" r=\"3.5\"><title>{}</title></circle>",
            x(index),
            y(point.value),
            escaped(&tip)
        ));
    }
    let better = if trend.higher { "higher is better" } else { "lower is better" };
    line(format!(
        "<text class=\"soft\" x=\"{LEFT}\" y=\"{}\">{} values, {} images; lines are medians; {better}</text>\n</svg>",
        HEIGHT - 6.0,
        trend.points.len(),
        images.len()
    ));
    Some(out)
}

/// At most three digits after the point.
pub(crate) fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What came from a DUT or a file is text here, whatever is in it.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}
