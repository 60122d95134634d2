//! Bar charts as SVG, legible on light and dark pages.

use std::fmt::Write;

/// Adjacent bars.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
}

#[derive(Clone, Debug)]
pub(super) struct Bar {
    pub(super) name: &'static str,
    pub(super) value: f64,
    /// Text beside the bar.
    pub(super) label: String,
}

const WIDTH: f64 = 760.0;
const BAR: f64 = 18.0;
const GAP: f64 = 14.0;
const TOP: f64 = 44.0;
/// Left end of bars, and the maximum length.
const LEFT: f64 = 150.0;
const LONGEST: f64 = 400.0;

/// Colours of our program and of the others.
const COLOURS: [&str; 2] = ["#2f81f7", "#8b949e"];

/// Draws groups of bars, all to the same scale.
pub(super) fn draw(title: &str, groups: &[Group]) -> String {
    let greatest = groups
        .iter()
        .flat_map(|group| &group.bars)
        .map(|bar| bar.value)
        .fold(f64::MIN_POSITIVE, f64::max);
    let mut body = String::new();
    let mut y = TOP;
    for group in groups {
        text(&mut body, (12.0, y + BAR - 4.0), "bold", "start", &group.name);
        for (index, bar) in group.bars.iter().enumerate() {
            let length = (bar.value / greatest * LONGEST).max(1.0);
            let colour = COLOURS[index.min(1)];
            writeln!(
                body,
                "<rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{length:.1}\" height=\"{:.0}\" rx=\"2\" \
                 fill=\"{colour}\"/>",
                y + 2.0,
                BAR - 4.0
            )
            .expect("a string takes all");
            text(&mut body, (LEFT - 8.0, y + BAR - 4.0), "normal", "end", bar.name);
            let beside = (LEFT + length + 8.0, y + BAR - 4.0);
            text(&mut body, beside, "normal", "start", &bar.label);
            y += BAR;
        }
        y += GAP;
    }
    let mut head = String::new();
    text(&mut head, (12.0, 24.0), "bold", "start", title);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y:.0}\" \
         viewBox=\"0 0 {WIDTH} {y:.0}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>text{{font:13px sans-serif;fill:#24292f}}\
         @media(prefers-color-scheme:dark){{text{{fill:#e6edf3}}}}</style>\n\
         {head}{body}</svg>\n"
    )
}

fn text(out: &mut String, (x, y): (f64, f64), weight: &str, anchor: &str, words: &str) {
    writeln!(
        out,
        "<text x=\"{x:.0}\" y=\"{y:.0}\" font-weight=\"{weight}\" text-anchor=\"{anchor}\">\
         {words}</text>"
    )
    .expect("a string takes all");
}
