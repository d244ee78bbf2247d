//! Scatter plots as SVG: points, level lines, a diagonal. Sized for a page, readable in black and white.

const WIDTH: f64 = 560.0;
const HEIGHT: f64 = 420.0;
/// Left, right, top, bottom.
const MARGIN: [f64; 4] = [64.0, 16.0, 36.0, 52.0];
const INK: &str = "#222";
const POINT: &str = "#0072b2";
const LINE: &str = "#d55e00";
/// Wanted number of ticks on an axis.
const TICKS: f64 = 6.0;

pub(crate) struct Plot {
    pub(crate) title: String,
    pub(crate) x_label: String,
    pub(crate) y_label: String,
    pub(crate) points: Vec<(f64, f64)>,
    /// Level lines with their names.
    pub(crate) levels: Vec<(String, f64)>,
    /// The line on which y is x.
    pub(crate) diagonal: bool,
}

impl Plot {
    pub(crate) fn svg(&self) -> String {
        let xs = self.points.iter().map(|p| p.0);
        let ys = self.points.iter().map(|p| p.1).chain(self.levels.iter().map(|l| l.1));
        let (mut x, mut y) = (Axis::over(xs), Axis::over(ys));
        if self.diagonal {
            (x, y) = (x.joined(&y), y.joined(&x));
        }
        let px = |v: f64| MARGIN[0] + (v - x.low) / (x.high - x.low) * (WIDTH - MARGIN[0] - MARGIN[1]);
        let py = |v: f64| HEIGHT - MARGIN[3] - (v - y.low) / (y.high - y.low) * (HEIGHT - MARGIN[2] - MARGIN[3]);
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
             font-family=\"sans-serif\" font-size=\"12\" fill=\"{INK}\">\n<title>{0}</title>\n\
             <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"#fff\"/>\n\
             <text x=\"{1}\" y=\"20\" text-anchor=\"middle\" font-size=\"14\">{0}</text>\n",
            escaped(&self.title),
            WIDTH / 2.0
        );
        let mut draw = |text: String| svg.push_str(&text);
        let (left, bottom, right, top) = (px(x.low), py(y.low), px(x.high), py(y.high));
        for v in x.ticks() {
            let at = px(v);
            draw(line(at, bottom, at, top, "#ddd", ""));
            draw(text(at, bottom + 16.0, "middle", &label(v, x.step)));
        }
        for v in y.ticks() {
            let at = py(v);
            draw(line(left, at, right, at, "#ddd", ""));
            draw(text(left - 6.0, at + 4.0, "end", &label(v, y.step)));
        }
        draw(line(left, bottom, right, bottom, INK, ""));
        draw(line(left, bottom, left, top, INK, ""));
        draw(text(0.5 * (left + right), HEIGHT - 14.0, "middle", &self.x_label));
        let middle = 0.5 * (top + bottom);
        draw(format!(
            "<text transform=\"translate(16 {middle:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
            escaped(&self.y_label)
        ));
        if self.diagonal {
            let (low, high) = (x.low.max(y.low), x.high.min(y.high));
            draw(line(px(low), py(low), px(high), py(high), INK, "4 3"));
        }
        for (name, level) in &self.levels {
            let at = py(*level);
            draw(line(left, at, right, at, LINE, "6 3"));
            draw(text(right - 4.0, at - 4.0, "end", name));
        }
        for (a, b) in &self.points {
            draw(format!(
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{POINT}\" fill-opacity=\"0.6\"/>\n",
                px(*a),
                py(*b)
            ));
        }
        svg.push_str("</svg>\n");
        svg
    }
}

#[derive(Clone, Copy)]
struct Axis {
    low: f64,
    high: f64,
    step: f64,
}

impl Axis {
    /// Round ends and a round step around the values.
    fn over(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(v), b.max(v)));
        let (low, high) = if low > high { (0.0, 1.0) } else { (low, high) };
        let span = (high - low).max(1e-3 * high.abs().max(1.0));
        let raw = span / TICKS;
        let power = 10f64.powf(raw.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|k| k * power).into_iter().find(|s| *s >= raw).unwrap_or(raw);
        Self { low: (low / step).floor() * step, high: ((high / step).ceil() * step).max(low + step), step }
    }

    fn joined(&self, other: &Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high), step: self.step.max(other.step) }
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        let (low, step) = ((self.low / self.step).ceil() * self.step, self.step);
        let n = ((self.high - low) / step + 1e-6) as usize;
        (0..=n).map(move |i| low + i as f64 * step)
    }
}

fn label(value: f64, step: f64) -> String {
    let digits = (-step.log10().floor()).max(0.0) as usize;
    let text = format!("{value:.digits$}").replace('-', "−");
    if text.trim_start_matches('−').chars().all(|c| matches!(c, '0' | '.')) { "0".to_owned() } else { text }
}

fn line(x0: f64, y0: f64, x1: f64, y1: f64, colour: &str, dash: &str) -> String {
    format!(
        "<line x1=\"{x0:.1}\" y1=\"{y0:.1}\" x2=\"{x1:.1}\" y2=\"{y1:.1}\" stroke=\"{colour}\" \
         stroke-dasharray=\"{dash}\"/>\n"
    )
}

fn text(x: f64, y: f64, anchor: &str, words: &str) -> String {
    format!("<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{}</text>\n", escaped(words))
}

fn escaped(words: &str) -> String {
    let mut out = String::new();
    for c in words.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_round_and_words_are_escaped() {
        let plot = Plot {
            title: "a < b".into(),
            x_label: "x".into(),
            y_label: "y".into(),
            points: vec![(0.3, -12.0), (7.9, 31.0)],
            levels: vec![("limit".into(), 40.0)],
            diagonal: false,
        };
        let svg = plot.svg();
        assert!(svg.contains("a &lt; b") && svg.contains(">−20<") && svg.contains(">8<"), "{svg}");
    }

    #[test]
    fn nothing_to_plot_is_an_empty_frame() {
        let plot = Plot {
            title: String::new(),
            x_label: String::new(),
            y_label: String::new(),
            points: vec![],
            levels: vec![],
            diagonal: true,
        };
        assert!(plot.svg().ends_with("</svg>\n"));
    }
}
