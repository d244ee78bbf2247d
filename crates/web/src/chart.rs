//! Charts as SVG, written here: no script draws them, they print, and each value is text for a reader who does not see. Colours
//! come by class from the style sheet, so that they follow light and dark.

use std::fmt::Write;

use crate::summary::{Funnel, GroupMean};
use crate::words::percent;

const WIDTH: f64 = 720.0;

/// A session of a course, as a trend shows it.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    /// Days since the baseline.
    pub(crate) day: f64,
    pub(crate) label: String,
    /// Change and its interval; none when the session is not measurable.
    pub(crate) change: Option<[f64; 3]>,
    pub(crate) mdc: Option<f64>,
    /// Counts as an endpoint: not too soon after a treatment.
    pub(crate) is_eligible: bool,
    pub(crate) address: String,
}

/// A night: measured, to retake, set aside or failed.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) parts: [u64; 3],
}

/// A linear axis with round steps.
struct Axis {
    low: f64,
    high: f64,
    step: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn over(values: impl Iterator<Item = f64>, from: f64, to: f64, wanted: f64) -> Self {
        let (low, high) = values.fold((0.0_f64, 0.0_f64), |(low, high), v| (low.min(v), high.max(v)));
        let span = (high - low).max(1.0);
        let rough = span / wanted;
        let scale = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].into_iter().map(|m| m * scale).find(|step| *step >= rough).unwrap_or(rough);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, step, from, to }
    }

    fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low).max(1e-9) * (self.to - self.from)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> + '_ {
        let n = ((self.high - self.low) / self.step).round() as i32;
        (0..=n).map(|i| self.low + f64::from(i) * self.step)
    }
}

/// Text inside of SVG.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

struct Svg(String);

impl Svg {
    /// `role` is `img`, or `group` where there are links inside.
    fn new(role: &str, height: f64, title: &str) -> Self {
        let title = escaped(title);
        Self(format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {height}\" role=\"{role}\" aria-label=\"{title}\"><title>{title}</title>"
        ))
    }

    fn line(&mut self, class: &str, x1: f64, y1: f64, x2: f64, y2: f64) {
        let _ = write!(self.0, "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>");
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let _ = write!(self.0, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>", escaped(text));
    }

    fn push(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn end(mut self) -> String {
        self.0.push_str("</svg>");
        self.0
    }
}

/// The smallest worsening that can be told from none, beside the smallest improvement: errors are even on the ln scale. Percent.
pub(crate) fn worsening(mdc: f64) -> f64 {
    100.0 * (1.0 / (1.0 - mdc.clamp(0.0, 90.0) / 100.0) - 1.0)
}

/// The course of one region: change by session with its interval, the band in which no change can be told, hollow points for
/// sessions that are no endpoints, crosses for those that cannot be measured.
pub(crate) fn trend(title: &str, points: &[Point], treatments: &[(f64, String)]) -> String {
    const HEIGHT: f64 = 300.0;
    let (left, right, top, bottom) = (64.0, WIDTH - 16.0, 16.0, HEIGHT - 44.0);
    let reach = points.iter().flat_map(|p| {
        let own = p.change.into_iter().flatten();
        own.chain(p.mdc.into_iter().flat_map(|mdc| [-mdc, worsening(mdc)]))
    });
    let y = Axis::over(reach, bottom, top, 5.0);
    let days = points.iter().map(|p| p.day).chain(treatments.iter().map(|(day, _)| *day));
    let x = Axis::over(days, left, right - 12.0, 6.0);
    let mut svg = Svg::new("group", HEIGHT, title);
    for v in y.ticks() {
        svg.line(if v == 0.0 { "zero" } else { "grid" }, left, y.at(v), right, y.at(v));
        svg.text("y", left - 8.0, y.at(v) + 4.0, &percent(v).replace(".0 %", " %"));
    }
    for v in x.ticks() {
        svg.line("tick", x.at(v), bottom, x.at(v), bottom + 5.0);
        svg.text("x", x.at(v), bottom + 20.0, &format!("{v:.0}"));
    }
    svg.text("x", 0.5 * (left + right), HEIGHT - 4.0, "days since the baseline");
    let limits: Vec<(f64, f64)> = points.iter().filter_map(|p| Some((x.at(p.day), p.mdc?))).collect();
    if let [(_, first), ..] = limits[..] {
        let edge = |limit: &dyn Fn(f64) -> f64| {
            let start = format!("{left:.1},{:.1}", y.at(limit(first)));
            let each = limits.iter().map(|(at, mdc)| format!("{at:.1},{:.1}", y.at(limit(*mdc))));
            std::iter::once(start).chain(each).collect::<Vec<_>>()
        };
        let band = [edge(&worsening), edge(&|mdc| -mdc).into_iter().rev().collect()].concat().join(" ");
        svg.push(&format!(
            "<polygon class=\"mdc\" points=\"{band}\"><title>Within this band a change cannot be told from none (minimal \
             detectable change)</title></polygon>"
        ));
    }
    // The baseline stands in its place, which is the first unless it was chosen late.
    let mut measured: Vec<(f64, [f64; 3])> = points.iter().filter_map(|p| Some((p.day, p.change?))).collect();
    measured.push((0.0, [0.0; 3]));
    measured.sort_by(|a, b| a.0.total_cmp(&b.0));
    let path = |at: &dyn Fn(&[f64; 3]) -> f64| -> Vec<String> {
        measured.iter().map(|(day, change)| format!("{:.1},{:.1}", x.at(*day), y.at(at(change)))).collect()
    };
    let (low, high) = (path(&|c| c[1]), path(&|c| c[2]));
    let band = [low, high.into_iter().rev().collect()].concat().join(" ");
    svg.push(&format!("<polygon class=\"band\" points=\"{band}\"/>"));
    let line = path(&|c| c[0]).join(" ");
    svg.push(&format!("<polyline class=\"course\" points=\"{line}\"/>"));
    for (day, what) in treatments {
        let at = x.at(*day);
        let what = escaped(what);
        svg.push(&format!(
            "<polygon class=\"treatment\" points=\"{:.1},{bottom:.1} {:.1},{bottom:.1} {at:.1},{:.1}\"><title>treatment: {what}\
             </title></polygon>",
            at - 6.0,
            at + 6.0,
            bottom - 10.0
        ));
    }
    for point in points {
        mark(&mut svg, point, x.at(point.day), |v| y.at(v), bottom);
    }
    svg.end()
}

fn mark(svg: &mut Svg, point: &Point, x: f64, y: impl Fn(f64) -> f64, bottom: f64) {
    let label = escaped(&point.label);
    svg.push(&format!("<a href=\"{}\" aria-label=\"{label}\"><title>{label}</title>", escaped(&point.address)));
    match point.change {
        Some([change, low, high]) => {
            svg.line("error", x, y(low), x, y(high));
            svg.line("error", x - 5.0, y(low), x + 5.0, y(low));
            svg.line("error", x - 5.0, y(high), x + 5.0, y(high));
            let class = if point.is_eligible { "point" } else { "point hollow" };
            svg.push(&format!("<circle class=\"{class}\" cx=\"{x:.1}\" cy=\"{:.1}\" r=\"6\"/>", y(change)));
        }
        None => {
            let at = bottom - 10.0;
            svg.line("missing", x - 6.0, at - 6.0, x + 6.0, at + 6.0);
            svg.line("missing", x - 6.0, at + 6.0, x + 6.0, at - 6.0);
        }
    }
    svg.push("</a>");
}

/// The last nights, one bar each.
pub(crate) fn nights(bars: &[Bar]) -> String {
    const HEIGHT: f64 = 140.0;
    let (left, bottom) = (8.0, HEIGHT - 24.0);
    let most = bars.iter().map(|bar| bar.parts.iter().sum::<u64>()).max().unwrap_or(0).max(1) as f64;
    let slot = (WIDTH - 2.0 * left) / bars.len().max(1) as f64;
    let mut svg = Svg::new("img", HEIGHT, "Photos of the last nights");
    for (number, bar) in bars.iter().enumerate() {
        let x = left + slot * number as f64;
        let width = (0.7 * slot).min(48.0);
        let mut y = bottom;
        for (class, part) in ["measured", "retake", "aside"].into_iter().zip(bar.parts) {
            let height = (bottom - 8.0) * part as f64 / most;
            y -= height;
            svg.push(&format!(
                "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\"><title>{}: {part} \
                 {class}</title></rect>",
                escaped(&bar.label)
            ));
        }
        svg.text("x", x + 0.5 * width, HEIGHT - 8.0, &bar.label);
    }
    svg.end()
}

/// Groups below each other: mean change by session with its interval, one panel a group, all with the same axes.
pub(crate) fn groups(name: &str, means: &[GroupMean], range: [f64; 2], last: i64) -> String {
    const HEIGHT: f64 = 220.0;
    let (left, right, top, bottom) = (64.0, WIDTH - 16.0, 12.0, HEIGHT - 40.0);
    let y = Axis::over(range.into_iter(), bottom, top, 4.0);
    let x = Axis::over([last as f64].into_iter(), left, right - 12.0, 8.0);
    let mut svg = Svg::new("img", HEIGHT, &format!("Mean change by session, {name}"));
    for v in y.ticks() {
        svg.line(if v == 0.0 { "zero" } else { "grid" }, left, y.at(v), right, y.at(v));
        svg.text("y", left - 8.0, y.at(v) + 4.0, &percent(v).replace(".0 %", " %"));
    }
    let line: Vec<String> =
        means.iter().map(|m| format!("{:.1},{:.1}", x.at(m.session as f64), y.at(m.mean))).collect();
    svg.push(&format!("<polyline class=\"course\" points=\"{}\"/>", line.join(" ")));
    for mean in means {
        let at = x.at(mean.session as f64);
        svg.line("error", at, y.at(mean.low), at, y.at(mean.high));
        svg.push(&format!(
            "<circle class=\"point\" cx=\"{at:.1}\" cy=\"{:.1}\" r=\"5\"><title>session {}: {} ({} to {}), {} patients</title></circle>",
            y.at(mean.mean),
            mean.session,
            percent(mean.mean),
            percent(mean.low),
            percent(mean.high),
            mean.n
        ));
        svg.text("x", at, bottom + 16.0, &format!("{}", mean.session));
        svg.text("x small", at, bottom + 30.0, &format!("n {}", mean.n));
    }
    svg.text("y", left - 8.0, bottom + 16.0, "session");
    svg.end()
}

/// Clinics by how many patients they have, with the limits of chance around the mean of all. One that is apart has its name beside it.
pub(crate) fn funnel(funnel: &Funnel) -> String {
    const HEIGHT: f64 = 320.0;
    let (left, right, top, bottom) = (64.0, WIDTH - 72.0, 12.0, HEIGHT - 40.0);
    let reach = funnel.limits.iter().flat_map(|(_, _, wide)| *wide).chain(funnel.clinics.iter().map(|c| c.mean));
    let y = Axis::over(reach, bottom, top, 5.0);
    let x = Axis::over(funnel.limits.iter().map(|(n, ..)| *n), left, right, 8.0);
    let mut svg = Svg::new("img", HEIGHT, "Mean change of each clinic by its number of patients");
    for v in y.ticks() {
        svg.line(if v == 0.0 { "zero" } else { "grid" }, left, y.at(v), right, y.at(v));
        svg.text("y", left - 8.0, y.at(v) + 4.0, &percent(v).replace(".0 %", " %"));
    }
    for v in x.ticks() {
        svg.text("x", x.at(v), bottom + 16.0, &format!("{v:.0}"));
    }
    svg.text("x", 0.5 * (left + right), HEIGHT - 4.0, "patients");
    svg.line("course", left, y.at(funnel.mean), right, y.at(funnel.mean));
    for (class, side) in [("limit", 0), ("limit", 1), ("limit wide", 0), ("limit wide", 1)] {
        let place = |(n, near, wide): &(f64, [f64; 2], [f64; 2])| {
            let limits = if class == "limit" { near } else { wide };
            format!("{:.1},{:.1}", x.at(*n), y.at(limits[side]))
        };
        let points: Vec<String> = funnel.limits.iter().map(place).collect();
        svg.push(&format!("<polyline class=\"{class}\" points=\"{}\"/>", points.join(" ")));
    }
    for clinic in &funnel.clinics {
        let (cx, cy) = (x.at(clinic.n as f64), y.at(clinic.mean));
        let label = escaped(&format!("{}: {} of {} patients", clinic.name, percent(clinic.mean), clinic.n));
        let class = if clinic.is_apart { "point" } else { "point hollow" };
        svg.push(&format!(
            "<circle class=\"{class}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"5\"><title>{label}</title></circle>"
        ));
        if clinic.is_apart {
            svg.text("name", cx + 9.0, cy + 4.0, &clinic.name);
        }
    }
    svg.end()
}

/// How large a share of patients has improved by at least so much: thresholds and shares, both of a hundred.
pub(crate) fn responders(curve: &[(f64, f64)], n: i64) -> String {
    const HEIGHT: f64 = 240.0;
    let (left, right, top, bottom) = (64.0, WIDTH - 16.0, 12.0, HEIGHT - 40.0);
    let y = Axis::over([0.0, 100.0].into_iter(), bottom, top, 4.0);
    let x = Axis::over([0.0, 100.0].into_iter(), left, right - 20.0, 10.0);
    let mut svg = Svg::new("img", HEIGHT, &format!("Share of {n} patients by improvement"));
    for v in y.ticks() {
        svg.line("grid", left, y.at(v), right, y.at(v));
        svg.text("y", left - 8.0, y.at(v) + 4.0, &format!("{v:.0} %"));
    }
    for v in x.ticks() {
        svg.text("x", x.at(v), bottom + 16.0, &format!("{v:.0} %"));
    }
    svg.text("x", 0.5 * (left + right), HEIGHT - 4.0, "less scar contrast, by at least");
    // Counted at these thresholds; between them the line only leads from one to the next.
    let line: Vec<String> = curve.iter().map(|(at, share)| format!("{:.1},{:.1}", x.at(*at), y.at(*share))).collect();
    svg.push(&format!("<polyline class=\"course\" points=\"{}\"/>", line.join(" ")));
    svg.end()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(day: f64, change: Option<[f64; 3]>) -> Point {
        Point {
            day,
            label: "a <script> & \"b\"".into(),
            change,
            mdc: Some(11.0),
            is_eligible: true,
            address: "/x?a=1&b=2".into(),
        }
    }

    #[test]
    fn a_trend_shows_each_session_and_lets_no_text_out_of_its_place() {
        let treated = [(0.0, "<b>".to_owned())];
        let svg = trend("t", &[point(30.0, Some([-20.0, -30.0, -10.0])), point(60.0, None)], &treated);
        assert_eq!(svg.matches("<circle").count(), 1);
        assert_eq!(svg.matches("class=\"missing\"").count(), 2);
        assert!(svg.contains("class=\"mdc\"") && svg.contains("class=\"band\""));
        assert!(svg.contains("class=\"treatment\"") && !svg.contains("<b>"));
        assert!(!svg.contains("<script>") && svg.contains("a=1&amp;b=2"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }

    #[test]
    fn a_worsening_has_to_be_larger_in_percent() {
        assert!((worsening(20.0) - 25.0).abs() < 1e-9 && worsening(0.0) == 0.0);
    }

    #[test]
    fn a_baseline_that_was_chosen_late_stands_in_its_place() {
        let svg = trend("t", &[point(-30.0, Some([5.0, 0.0, 10.0])), point(30.0, Some([-5.0, -10.0, 0.0]))], &[]);
        let (_, line) = svg.split_once("class=\"course\" points=\"").unwrap();
        let at: Vec<f64> =
            line.split('"').next().unwrap().split(' ').map(|p| p.split(',').next().unwrap().parse().unwrap()).collect();
        assert!(at.len() == 3 && at.is_sorted(), "{at:?}");
    }

    #[test]
    fn nothing_to_show_is_no_trouble() {
        for svg in [trend("t", &[], &[]), nights(&[]), groups("g", &[], [0.0, 0.0], 0), responders(&[], 0)] {
            assert!(svg.ends_with("</svg>") && !svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn an_axis_has_round_steps_and_holds_all() {
        let axis = Axis::over([-37.0, 12.0].into_iter(), 100.0, 0.0, 5.0);
        assert_eq!(axis.ticks().collect::<Vec<_>>(), [-40.0, -30.0, -20.0, -10.0, 0.0, 10.0, 20.0]);
        assert_eq!((axis.at(-40.0), axis.at(20.0)), (100.0, 0.0));
    }
}
