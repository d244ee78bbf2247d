//! The report as Markdown.

use std::borrow::Borrow;
use std::collections::BTreeSet;
use std::fmt::Write;

use cicatrix_model::ChangeVerdict;
use cicatrix_outcome::{Calibration, agreement, proportion_interval, sd_upper_factor};

use super::bias::{Bias, CrossTalk};
use super::refusals::{Fate, Refusals, SHADOWS};
use super::sets::{Set, Told, Variant, agreement_of_others};
use super::shapes::{DEPTHS, Shapes};
use super::stages::Stages;
use crate::args::AccuracyArgs;

pub(super) struct Report<'a> {
    pub(super) sets: &'a [Set],
    pub(super) calibration: &'a Calibration,
    pub(super) biases: &'a [Bias],
    pub(super) cross_talk: &'a [CrossTalk],
    pub(super) stages: &'a Stages,
    pub(super) shapes: &'a Shapes,
    pub(super) refusals: &'a Refusals,
    pub(super) shadows: &'a [Fate],
    /// Names of the sets whose worst change is shown in a picture.
    pub(super) pictured: &'a [String],
    pub(super) args: &'a AccuracyArgs,
}

/// Bounds of melanin between light, medium and dark skin.
const TONES: [f64; 2] = [1.0, 2.0];
/// A share with fewer cases than this is not told.
const LEAST: usize = 3;

impl Report<'_> {
    pub(super) fn markdown(&self) -> String {
        let mut text = self.head();
        text.push_str(&self.by_set());
        text.push_str(&self.by_tone());
        text.push_str(&self.ablations());
        if self.args.patients > 0 {
            text.push_str(&self.mask_table());
            text.push_str(&self.shape_table());
            text.push_str(&self.bias_table());
            text.push_str(&self.refusal_table());
        }
        text.push_str(&self.misses());
        text
    }

    fn head(&self) -> String {
        let sets: Vec<String> = self.sets.iter().map(|s| format!("--set <DB>=<{}>/truth.json", s.name)).collect();
        format!(
            "# Change of scars: how right it is\n\n\
             On rendered skin with known truth, **not clinically validated**. Written by\n\n\
             ```sh\ncicatrix accuracy{} {} --patients {} --seed {} --out {}\n```\n\n\
             Error table: `{}`, {} patients and {} changes of {}. {} What is measured, and how, is in \
             [measures.md](measures.md).\n\n",
            if self.args.seen { " --seen" } else { "" },
            sets.join(" "),
            self.args.patients,
            self.args.seed,
            self.args.out.display(),
            self.calibration.stamp(),
            self.calibration.n_subjects,
            self.calibration.n_changes,
            self.calibration.sets.join(", "),
            match self.sets.iter().any(|s| s.seen) {
                true => "Sets marked † are in it: their figures flatter, and stand here for the tiers that they show.",
                false => "None of the sets reported here is in it.",
            },
        )
    }

    fn by_set(&self) -> String {
        let mut table = Markdown::new("", self.sets.iter().map(column));
        let pooled: Vec<Vec<Told>> = self.sets.iter().map(|s| s.pooled(self.calibration)).collect();
        let single: Vec<Vec<Told>> = self.sets.iter().map(|s| s.single(self.calibration)).collect();
        table.row("Patients", self.sets.iter().map(|s| s.patients.to_string()));
        table.row(
            "Sessions against their baseline; not measurable",
            self.sets.iter().map(|s| format!("{}; {}", s.cases.len(), s.not_measurable)),
        );
        table.row("False changes at true zero, all shots of a session", pooled.iter().map(|t| false_changes(t)));
        table.row("The same, one shot against one", single.iter().map(|t| false_changes(t)));
        table.row("95 % intervals that hold the truth", pooled.iter().map(|t| coverage(t)));
        table.row("The same, one shot against one", single.iter().map(|t| coverage(t)));
        table.row("MDC95 by unchanged skin, one shot", single.iter().map(|t| mdc_at_zero(t)));
        table.row("MDC95 by unchanged skin, all shots", pooled.iter().map(|t| mdc_at_zero(t)));
        table.row("MDC95 as reported, median, one shot", single.iter().map(|t| median_mdc(t)));
        table.row("MDC95 as reported, median, all shots", pooled.iter().map(|t| median_mdc(t)));
        table.row("Lin's CCC with the true change of volume, all shots", pooled.iter().map(|t| ccc(t)));
        table.row("Bias; error, 1.96 SD, all shots", pooled.iter().map(|t| error(t)));
        table.row("Called improved at true −15 to −25 %", pooled.iter().map(|t| sensitivity(t, -0.25, -0.15)));
        table.row("Called improved at true −25 % and beyond", pooled.iter().map(|t| sensitivity(t, -1.0, -0.25)));
        table.row("Wrong direction at a true change of 20 % and more", pooled.iter().map(|t| wrong_direction(t)));
        let unseen = |told: &[Vec<Told>], of: &dyn Fn(&[&Told]) -> String| {
            let all: Vec<&Told> =
                self.sets.iter().zip(told).filter(|(set, _)| !set.seen).flat_map(|(_, told)| told).collect();
            of(&all)
        };
        let proof = format!(
            "Over all sets that the table was not made on: false changes at true zero {}, one shot against one {}; intervals that hold the truth {}.",
            unseen(&pooled, &|t| false_changes(t)),
            unseen(&single, &|t| false_changes(t)),
            unseen(&pooled, &|t| coverage(t)),
        );
        let plotted = self.sets.iter().filter(|set| set.has_changes());
        let figures: Vec<String> = plotted.map(|s| format!("![{0}](accuracy-{0}.svg)", s.name)).collect();
        format!(
            "## By set\n\n{}\nShares with their exact 95 % interval (Clopper and Pearson). MDC95 is told as an improvement; by \
             unchanged skin it is 1.96 times the root mean square, on the ln scale, of the change told where the truth is \
             zero, and under what it lies with 95 % by χ² of the patients behind it.\n\n{proof}\n\n{}\n\n",
            table.text(),
            figures.join("\n")
        )
    }

    fn by_tone(&self) -> String {
        let names = ["light", "medium", "dark"];
        let mut table = Markdown::new("Skin", self.sets.iter().map(column));
        let pooled: Vec<Vec<Told>> = self.sets.iter().map(|s| s.pooled(self.calibration)).collect();
        for (i, name) in names.iter().enumerate() {
            let of = |told: &Vec<Told>| {
                let own: Vec<&Told> = told.iter().filter(|t| t.melanin.is_some_and(|m| tone(m) == i)).collect();
                let held = own.iter().filter(|t| holds(t)).count();
                match own.len() {
                    n if n < LEAST => "–".to_owned(),
                    n => format!("{:.1} %; {held} of {n}", 196.0 * rms(own.iter().map(|t| t.error()))),
                }
            };
            table.row(name, pooled.iter().map(of));
        }
        format!(
            "## By skin tone\n\nError on the ln scale, 1.96 times its root mean square; intervals that hold the truth.\n\n{}\n",
            table.text()
        )
    }

    fn ablations(&self) -> String {
        let mut table = Markdown::new("", self.sets.iter().map(column));
        for (variant, name) in Variant::ALL {
            let told = |set: &Set| match set.variant(variant) {
                Some(a) => format!("{:.1} %; {:.3}", 1.96 * a.sd, a.ccc),
                None => "–".to_owned(),
            };
            table.row(name, self.sets.iter().map(told));
        }
        format!(
            "## Stages left out\n\nError, 1.96 SD; Lin's CCC. Each line is fitted on the other patients of the same set, so that all variants are treated alike; nothing of the error table is in it.\n\n{}\n",
            table.text()
        )
    }

    fn mask_table(&self) -> String {
        let mut text = String::from(
            "## Other masks, another registration\n\nPhantom patients in a clinic that keeps its protocol, one shot against \
             one. Error, 1.96 SD, and Lin's CCC, each line fitted on the other patients.\n\n| | Error; CCC |\n|---|---|\n",
        );
        for (name, observed) in self.stages {
            let told = agreement_of_others(observed)
                .map_or("–".to_owned(), |a| format!("{:.1} %; {:.3}", 1.96 * a.sd, a.ccc));
            let _ = writeln!(text, "| {name} | {told} |");
        }
        text.push('\n');
        text
    }

    fn shape_table(&self) -> String {
        let [shallow, deep] = DEPTHS;
        let columns = [format!("under {shallow} mm"), format!("{shallow} to {deep} mm"), format!("above {deep} mm")];
        let mut table = Markdown::new("Shape", columns.into_iter());
        for (kind, row) in self.shapes {
            let told = row.iter().map(|s| match s.scars {
                0 => "–".to_owned(),
                n => format!("{} of {n}; {:.0} %", s.found, 100.0 * s.held / n as f64),
            });
            table.row(kind.name(), told);
        }
        format!(
            "## Which scars are found\n\nPhantom patients in a clinic that keeps its protocol, by shape and depth at the baseline: scars of which half or more lies under the mask; mean share of a scar's disc under the mask.\n\n{}\n",
            table.text()
        )
    }

    fn bias_table(&self) -> String {
        let mut text = String::from(
            "## One thing at a time\n\nUnchanged skin in a perfect rig, photographed again with one condition changed; mean and standard error over patients. *Told* is the change as reported, *index* that of `psi` itself, before the table takes the conditions off. *Allowed* is what was asked for.\n\n| Condition | Told, % | Index, % | Allowed, % | Refused |\n|---|---|---|---|---|\n",
        );
        for b in self.biases {
            let _ = writeln!(
                text,
                "| {} | {:+.1} ± {:.1} | {:+.1} | {} | {} of {} |",
                b.name,
                b.mean,
                b.standard_error,
                b.raw,
                b.allowed,
                b.refused,
                b.refused + b.patients
            );
        }
        text.push_str("\n| Cross-talk | Mean ± SE | Allowed |\n|---|---|---|\n");
        for c in self.cross_talk {
            let _ =
                writeln!(text, "| {} | {:+.2} ± {:.2} {} | {} |", c.name, c.mean, c.standard_error, c.unit, c.allowed);
        }
        text.push('\n');
        text
    }

    fn refusal_table(&self) -> String {
        let r = self.refusals;
        let shadows: String = SHADOWS
            .iter()
            .zip(self.shadows)
            .map(|(taken, fate)| {
                let n = fate.refused + fate.no_change + fate.false_change;
                format!(
                    "| {taken} % | {} of {n} | {} of {n} | {} of {n} |\n",
                    fate.refused, fate.no_change, fate.false_change
                )
            })
            .collect();
        let row = |name: &str, fate: &Fate| {
            let n = fate.refused + fate.no_change + fate.false_change;
            format!(
                "| {name} | {} | {} | {} |\n",
                share(fate.refused, n),
                share(fate.no_change, n),
                share(fate.false_change, n)
            )
        };
        format!(
            "## What the gate refuses\n\nUnchanged phantom skin in careless hands (level 1.5), one shot against one, measured \
             also as if the gate refused nothing. Bad is what is further off than the median detectable change of all, \
             {:.0} %.\n\n| | Refused | Told as no detectable change | Told as a change |\n|---|---|---|---|\n{}{}\nNot laid \
             over the baseline: {}.\n\nA cast shadow over a third of unchanged skin in a perfect rig, by the light that it \
             takes:\n\n| Shadow | Refused | Told as no detectable change | Told as a change |\n|---|---|---|---|\n{}\n",
            r.bound,
            row("bad", &r.bad),
            row("good", &r.good),
            r.not_laid,
            shadows,
        )
    }

    /// The changes that are furthest off, so that nobody has to look for them.
    fn misses(&self) -> String {
        let mut text = String::from(
            "## The worst\n\nWhere the interval does not hold the truth, or, where all do, the change that is furthest off.\n\n| Set | Patient | True | Told | Interval |\n|---|---|---|---|---|\n",
        );
        for set in self.sets {
            let told = set.pooled(self.calibration);
            let mut worst: Vec<&Told> = told.iter().filter(|t| !holds(t)).collect();
            if worst.is_empty() {
                worst.extend(told.iter().max_by(|a, b| a.error().abs().total_cmp(&b.error().abs())));
            }
            for t in worst {
                let e = &t.estimate;
                let _ = writeln!(
                    text,
                    "| {} | {} | {:+.0} % | {:+.1} % | [{:+.1}, {:+.1}] |",
                    set.name,
                    t.subject,
                    100.0 * t.true_change,
                    e.change,
                    e.ci95_lo,
                    e.ci95_hi
                );
            }
        }
        if !self.pictured.is_empty() {
            text.push_str(
                "\nThe change of each set that is furthest off: baseline, and the follow-up laid over it.\n\n",
            );
        }
        for name in self.pictured {
            let _ = writeln!(text, "{name}: ![{name}](accuracy-{name}-worst.webp)\n");
        }
        text
    }
}

fn column(set: &Set) -> String {
    format!("{}{}", set.name, if set.seen { " †" } else { "" })
}

fn tone(melanin: f64) -> usize {
    TONES.iter().filter(|bound| melanin >= **bound).count()
}

fn holds(told: &Told) -> bool {
    let truth = 100.0 * told.true_change;
    told.estimate.ci95_lo <= truth && truth <= told.estimate.ci95_hi
}

fn rms(values: impl Iterator<Item = f64>) -> f64 {
    let (sum, n) = values.fold((0.0, 0usize), |(s, n), v| (s + v * v, n + 1));
    (sum / n.max(1) as f64).sqrt()
}

fn share(k: usize, n: usize) -> String {
    if n == 0 {
        return "–".to_owned();
    }
    let (low, high) = proportion_interval(k, n);
    format!("{k} of {n} [{:.1}, {:.1}] %", 100.0 * low, 100.0 * high)
}

fn false_changes(told: &[impl Borrow<Told>]) -> String {
    let still: Vec<&Told> = told.iter().map(Borrow::borrow).filter(|t| t.true_change == 0.0).collect();
    let called = still.iter().filter(|t| t.estimate.verdict() != ChangeVerdict::NoDetectableChange).count();
    share(called, still.len())
}

fn coverage(told: &[impl Borrow<Told>]) -> String {
    share(told.iter().filter(|t| holds((*t).borrow())).count(), told.len())
}

fn mdc_at_zero(told: &[Told]) -> String {
    let still: Vec<&Told> = told.iter().filter(|t| t.true_change == 0.0).collect();
    let patients: BTreeSet<&str> = still.iter().map(|t| t.subject.as_str()).collect();
    let percent = |ln: f64| -100.0 * (-ln).exp_m1();
    match (still.len(), patients.len()) {
        (n, m) if n < LEAST || m < LEAST => "–".to_owned(),
        (n, m) => {
            let mdc = 1.96 * rms(still.iter().map(|t| t.error()));
            let upper = mdc * sd_upper_factor(m as f64 - 1.0);
            format!("{:.1} %, under {:.1} % (n = {n})", percent(mdc), percent(upper))
        }
    }
}

fn median_mdc(told: &[Told]) -> String {
    let mut all: Vec<f64> = told.iter().map(|t| t.estimate.mdc95).collect();
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).map_or("–".to_owned(), |m| format!("{m:.1} %"))
}

fn pairs(told: &[Told]) -> Vec<(f64, f64)> {
    told.iter().map(|t| (t.estimate.change, 100.0 * t.true_change)).collect()
}

fn ccc(told: &[Told]) -> String {
    // Without a spread of truths there is nothing to agree with.
    let varies = told.iter().any(|t| t.true_change != 0.0);
    agreement(&pairs(told)).filter(|_| varies).map_or("–".to_owned(), |a| format!("{:.3}", a.ccc))
}

fn error(told: &[Told]) -> String {
    agreement(&pairs(told)).map_or("–".to_owned(), |a| format!("{:+.1}; {:.1} %", a.bias, 1.96 * a.sd))
}

fn sensitivity(told: &[Told], from: f64, to: f64) -> String {
    let own: Vec<&Told> = told.iter().filter(|t| t.true_change >= from && t.true_change < to).collect();
    share(own.iter().filter(|t| t.estimate.verdict() == ChangeVerdict::Improved).count(), own.len())
}

fn wrong_direction(told: &[Told]) -> String {
    let large: Vec<&Told> = told.iter().filter(|t| t.true_change.abs() >= 0.195).collect();
    let wrong = |t: &&&Told| match t.estimate.verdict() {
        ChangeVerdict::Improved => t.true_change > 0.0,
        ChangeVerdict::Worsened => t.true_change < 0.0,
        _ => false,
    };
    share(large.iter().filter(wrong).count(), large.len())
}

/// A table whose first column names the rows.
struct Markdown {
    text: String,
}

impl Markdown {
    fn new(corner: &str, columns: impl Iterator<Item = String>) -> Self {
        let columns: Vec<String> = columns.collect();
        let rule = "|---".repeat(columns.len() + 1);
        Self { text: format!("| {corner} | {} |\n{rule}|\n", columns.join(" | ")) }
    }

    fn row(&mut self, name: &str, cells: impl Iterator<Item = String>) {
        let cells: Vec<String> = cells.collect();
        let _ = writeln!(self.text, "| {name} | {} |", cells.join(" | "));
    }

    fn text(&self) -> &str {
        &self.text
    }
}
