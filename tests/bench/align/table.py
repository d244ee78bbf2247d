"""`table`: what was measured, beside the targets, as Markdown.

A refused pair counts as infinitely far off in every median over pairs; a flagged one (verdict `uncertain`) counts with
the map it came with. Errors are pixels of the moving photo, at landmarks that it shows.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinds import KINDS
from ours import LAID
from run import BINS, OURS, read_lines

Line = dict[str, Any]
Verdict = tuple[str, bool | None]
"""What was measured, and whether the target is met; None if there is nothing to judge."""

JUDGED, COARSER = "cicatrix-fine", "cicatrix-scoring"
"""The method that the targets are meant for, and the one that stops a level earlier."""
NOTHING: Verdict = ("–", None)
FLAGGED = "uncertain"
STRICT_MEDIAN_PX, STRICT_P95_PX = 0.5, 2
SILENT_MEDIAN_PX, SILENT_P95_PX = 3, 8
FEWEST_IN_DECILE = 200


@dataclass(frozen=True)
class Results:
    """The last line of each method and pair."""

    lines: list[Line]
    effect: list[Line]
    size: str
    """Set that the targets are read from: `12MP` or `2MP`."""

    def of(self, method: str, kinds: Iterable[str] = KINDS, sets: Iterable[str] | None = None) -> list[Line]:
        sets = [self.size] if sets is None else list(sets)
        wanted = set(kinds)
        return [x for x in self.lines if x["method"] == method and x["kind"] in wanted and x["set"] in sets]

    def methods(self) -> list[str]:
        return list(dict.fromkeys(line["method"] for line in self.lines))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, nargs="+", help="folders with results.jsonl or effect.jsonl")
    parser.add_argument("--size", default="12MP", help="set that the targets are read from (default 12MP)")


def main(args: argparse.Namespace) -> None:
    lines = {
        (folder, x["method"], x["pair"]): x for folder in args.folder for x in read_lines(folder / "results.jsonl")
    }
    effect = {
        (x["method"], x["set"], x["look"], x["seed"], x["change"]): x
        for folder in args.folder
        for x in read_lines(folder / "effect.jsonl")
    }
    results = Results(list(lines.values()), list(effect.values()), args.size)
    for section in (_origin, _targets, _kinds, _costs, _reliability, _wrong, _effect):
        text = section(results)
        if text:
            print(text + "\n")


def _markdown(header: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(row) + " |" for row in [header, ["---"] * len(header), *rows])


def _origin(results: Results) -> str:
    programs = sorted({line["program"] for line in results.lines if "program" in line})
    told = ["Measured with " + (", ".join(programs) or "no cicatrix") + "."]
    for name in sorted({line["set"] for line in results.lines}):
        pairs = {(x["pair"], x["seed"]) for x in results.lines if x["set"] == name}
        seeds = sorted({seed for _, seed in pairs if seed is not None})
        told.append(f"Set {name}: {len(pairs)} pairs" + (f", seeds {_ranges(seeds)}" if seeds else "") + ".")
    if results.effect:
        seeds = sorted({line["seed"] for line in results.effect})
        told.append(f"Effect: {len(results.effect)} lines, seeds {_ranges(seeds)}.")
    return "\n".join(told)


def _ranges(numbers: list[int]) -> str:
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in runs)


def _targets(results: Results) -> str:
    methods = [method for method in (*OURS, "dis3n", "ecc", "sift") if method in results.methods()]
    rows = []
    for name, target, measure in TARGETS:
        cells = []
        for method in methods:
            text, met = measure(results, method)
            cells.append(text + ("" if met is None or method != JUDGED else " ✓" if met else " ✗"))
        rows.append([name.format(size=results.size), target, *cells])
    return f"## Targets ({results.size})\n\n" + _markdown(["Measure", "Target", *methods], rows)


def _px(line: Line, name: str) -> float:
    return line.get(name, np.inf) if line["verdict"] in LAID else np.inf


def _level(kind: str, median_px: float, p95_px: float) -> Callable[[Results, str], Verdict]:
    def measure(results: Results, method: str) -> Verdict:
        lines = results.of(method, [kind])
        if not lines:
            return NOTHING
        median = np.median([_px(line, "median_px") for line in lines])
        p95 = np.median([_px(line, "p95_px") for line in lines])
        told = "refused" if np.isinf(median) else f"{median:.2f} / {p95:.2f}"
        return f"{told} (n {len(lines)})", bool(median <= median_px and p95 <= p95_px)

    return measure


def _worst(results: Results, method: str) -> Verdict:
    lines = [line for line in results.of(method, LEVEL_NAMES) if line["verdict"] in LAID]
    if not lines:
        return NOTHING
    worst = max(lines, key=lambda line: line["p95_px"])
    return f"{worst['p95_px']:.2f} ({worst['pair']})", worst["p95_px"] <= 2.5


def _strict(kinds: tuple[str, ...], least: float) -> Callable[[Results, str], Verdict]:
    def measure(results: Results, method: str) -> Verdict:
        lines = results.of(method, kinds)
        if not lines:
            return NOTHING
        good = sum(_is_strict(line) for line in lines)
        return f"{100 * good / len(lines):.0f} % ({good} of {len(lines)})", good >= least * len(lines)

    return measure


def _is_strict(line: Line) -> bool:
    return _px(line, "median_px") <= STRICT_MEDIAN_PX and _px(line, "p95_px") <= STRICT_P95_PX


def _untold(results: Results, method: str) -> Verdict:
    """Pairs short of strict success that were neither flagged nor refused."""
    short = [line for line in results.of(method, LEVEL_NAMES) if not _is_strict(line)]
    if not results.of(method, LEVEL_NAMES):
        return NOTHING
    untold = [line["pair"] for line in short if line["verdict"] == "aligned"]
    return f"{len(untold)} of {len(short)}{_named(untold, method)}", not untold


def _flagged(results: Results, method: str) -> Verdict:
    lines = results.of(method, sets=SETS)
    flagged = [line for line in lines if line["verdict"] == FLAGGED]
    if not lines or method not in OURS:
        return NOTHING
    off = [line["pair"] for line in flagged if not _is_strict(line)]
    return f"{len(flagged)} of {len(lines)}, of which really off: {len(off)}", None


def _named(pairs: list[str], method: str) -> str:
    return f": {', '.join(pairs)}" if pairs and method in OURS else ""


def _is_silent(line: Line) -> bool:
    return line["verdict"] == "aligned" and (line["median_px"] > SILENT_MEDIAN_PX or line["p95_px"] > SILENT_P95_PX)


def _silent(results: Results, method: str) -> Verdict:
    lines = results.of(method, sets=SETS)
    silent = [line["pair"] for line in lines if _is_silent(line)]
    if not lines:
        return NOTHING
    return f"{len(silent)} of {len(lines)}{_named(silent, method)}", not silent


def _accepted(results: Results, method: str) -> Verdict:
    lines = [line for line in results.lines if line["method"] == method and line["set"] == "wrong"]
    if not lines:
        return NOTHING
    verdicts = Counter(line["verdict"] for line in lines)
    text = f"{sum(verdicts[name] for name in LAID)} of {len(lines)}"
    text += f", {verdicts[FLAGGED]} of them flagged" if verdicts[FLAGGED] else ""
    text += f", {verdicts['failed']} failed" if verdicts["failed"] else ""
    return text, verdicts["refused"] == len(lines) >= 200


def _changed(results: Results, method: str) -> Verdict:
    lines = [line for line in results.of(method, LEVEL_NAMES) if line.get("changed_ratio") is not None]
    if not lines:
        return NOTHING
    worst = max(lines, key=lambda line: line["changed_ratio"])
    return f"{worst['changed_ratio']:.2f} ({worst['pair']})", worst["changed_ratio"] <= 1.6


def _eaten(results: Results, method: str) -> Verdict:
    lines = [x for x in results.effect if x["method"] == method and x["verdict"] in LAID and x["change"] != "none"]
    if not lines:
        return NOTHING
    worst = max(lines, key=lambda line: abs(line["area_eaten_points"]))
    text = f"{worst['area_eaten_points']:+.2f} ({worst['change']}, {worst['look']} {worst['set']}, {worst['seed']})"
    return text, abs(worst["area_eaten_points"]) <= 2


def _ratio(peer: str, most: float) -> Callable[[Results, str], Verdict]:
    def measure(results: Results, method: str) -> Verdict:
        whole = cost_ratios(results, method, peer, "total", "total")
        follow_up = cost_ratios(results, method, peer, "follow_up", "total")
        if not whole:
            return NOTHING
        text = f"{np.median(whole):.2f}" + (f"; baseline ready {np.median(follow_up):.2f}" if follow_up else "")
        return text, bool(np.median(whole) <= most)

    return measure


def _against_fine(results: Results, method: str) -> Verdict:
    if method != COARSER:
        return NOTHING
    steps = {"": "total", "prepare ": "prepare_moving", "register ": "register", "baseline ready ": "follow_up"}
    ratios = {name: cost_ratios(results, COARSER, JUDGED, step, step) for name, step in steps.items()}
    told = [f"{name}{np.median(ratio):.2f}" for name, ratio in ratios.items() if ratio]
    return ("; ".join(told), None) if told else NOTHING


def cost_ratios(results: Results, method: str, peer: str, step: str, peer_step: str) -> list[float]:
    """Per pair of the two levels that the peer finished, CPU time of a method by that of the peer."""
    finished = [line for line in results.of(peer, LEVEL_NAMES) if line["verdict"] in LAID and line["cpu_s"]]
    peers = {line["pair"]: line["cpu_s"][peer_step] for line in finished}
    ratios = []
    for line in results.of(method, LEVEL_NAMES):
        spent = (line["cpu_s"] or {}).get(step)
        if spent is not None and line["pair"] in peers:
            ratios.append(spent / peers[line["pair"]])
    return ratios


def _calibrated(results: Results, method: str) -> Verdict:
    bins = reliability(results.of(method, LEVEL_NAMES))
    gaps = [abs(right - claimed) / count for count, right, claimed in bins if count >= FEWEST_IN_DECILE]
    if not gaps:
        return NOTHING
    return f"{100 * max(gaps):.1f} points", max(gaps) <= 0.05


def _against_dis3n(results: Results, method: str) -> Verdict:
    peers = {line["pair"]: line for line in results.of("dis3n", sets=["photo"])}
    ratios = {}
    for line in results.of(method, sets=["photo"]):
        if line["pair"] in peers and method != "dis3n":
            peer = peers[line["pair"]]
            ratios[line["pair"]] = max(_px(line, name) / _px(peer, name) for name in ("median_px", "p95_px"))
    if not ratios:
        return NOTHING
    worst = max(ratios, key=lambda pair: ratios[pair])
    return f"{ratios[worst]:.2f} ({worst})", ratios[worst] <= 0.9


LEVEL_NAMES = ("typical", "hard")
SETS = ("12MP", "2MP", "photo")
TARGETS: list[tuple[str, str, Callable[[Results, str], Verdict]]] = [
    ("{size} typical, median / p95, px", "≤ 0.15 / 0.45", _level("typical", 0.15, 0.45)),
    ("{size} hard, median / p95, px", "≤ 0.30 / 1.0", _level("hard", 0.30, 1.0)),
    ("Worst single pair, p95, px", "≤ 2.5, or refused", _worst),
    ("Strict success (median ≤ 0.5, p95 ≤ 2 px), typical", "≥ 98 %", _strict(("typical",), 0.98)),
    ("Strict success, typical and hard", "≥ 90 %", _strict(LEVEL_NAMES, 0.90)),
    ("… the rest flagged or refused: not told", "0", _untold),
    ("Silent failures (aligned, not flagged, median > 3 or p95 > 8 px), all kinds and sets", "0", _silent),
    ("Flagged, all kinds and sets; really off if not strict success", "–", _flagged),
    ("Wrong pairs accepted", "0 of ≥ 200", _accepted),
    ("Error in changed skin / overall, worst pair", "≤ 1.6", _changed),
    ("Area change of scars that the warp ate, worst case, points", "≤ 2", _eaten),
    ("CPU, ratio to `ecc`", "≤ 0.15", _ratio("ecc", 0.15)),
    ("CPU, ratio to `dis3n`", "≤ 0.4", _ratio("dis3n", 0.4)),
    ("CPU, scoring against fine", "–", _against_fine),
    ("Confidence, claimed against observed, worst tenth, {size} typical and hard", "≤ 5 points", _calibrated),
    ("Real photos, median and p95 against `dis3n`, worst pair", "≤ 0.9", _against_dis3n),
]


def _kinds(results: Results) -> str:
    methods = [method for method in (*OURS, "dis3n", "ecc", "sift") if method in results.methods()]
    rows = []
    for name in SETS:
        for kind in KINDS:
            cells = [_accuracy(results.of(method, [kind], [name])) for method in methods]
            if any(cell != "–" for cell in cells):
                rows.append([f"{kind} ({name})", *cells])
    if not rows:
        return ""
    head = "## Every kind of pair: median / p95 px (share > 2 px; refused; flagged)\n\n"
    return head + _markdown(["Kind", *methods], rows)


def _accuracy(lines: list[Line]) -> str:
    if not lines:
        return "–"
    refused = sum(line["verdict"] not in LAID for line in lines)
    flagged = sum(line["verdict"] == FLAGGED for line in lines)
    median = np.median([_px(line, "median_px") for line in lines])
    p95 = np.median([_px(line, "p95_px") for line in lines])
    over = np.mean([line.get("share_over_2px", 1.0) for line in lines])
    silent = sum(_is_silent(line) for line in lines)
    notes = [f"{100 * over:.0f} %"] if over >= 0.005 else []
    notes += [f"{refused} of {len(lines)} refused"] if refused else []
    notes += [f"{flagged} of {len(lines)} flagged"] if flagged else []
    notes += [f"{silent} silent"] if silent else []
    told = "refused" if np.isinf(median) else f"{median:.2f} / {p95:.2f}"
    return told + (f" ({'; '.join(notes)})" if notes else "")


def _costs(results: Results) -> str:
    rows = []
    for method in results.methods():
        spent = [line["cpu_s"] for line in results.of(method, LEVEL_NAMES) if line["cpu_s"]]
        if spent:
            steps = ("decode", "prepare_fixed", "prepare_moving", "register", "total")
            values = [np.median([cost.get(step, np.nan) for cost in spent]) for step in steps]
            rows.append([method, *("–" if np.isnan(value) else f"{value:.2f}" for value in values)])
    if not rows:
        return ""
    header = ["Method", "decode", "prepare fixed", "prepare moving", "register", "all but decode"]
    return f"## CPU-seconds, median ({results.size}, typical and hard)\n\n" + _markdown(header, rows)


def reliability(lines: list[Line]) -> list[tuple[float, float, float]]:
    """Landmarks, right ones and the sum of claims per tenth of the claimed confidence."""
    sums = np.zeros((BINS, 3))
    for line in lines:
        if line.get("confidence"):
            sums += np.column_stack([line["confidence"][name] for name in ("count", "right", "claimed")])
    return [(count, right, claimed) for count, right, claimed in sums.tolist()]


def _reliability(results: Results) -> str:
    parts = []
    for method in OURS:
        levels = reliability(results.of(method, LEVEL_NAMES))
        everything = reliability(results.of(method, sets=SETS))
        rows = [
            [f"{index / BINS:.1f}–{(index + 1) / BINS:.1f}", *_shares(*levels[index]), *_shares(*everything[index])]
            for index in range(BINS)
            if everything[index][0]
        ]
        if rows:
            columns = ["landmarks", "claimed, %", "observed, %", "gap, points"]
            header = ["Confidence", *columns, *(f"all: {column}" for column in columns)]
            title = f"## Confidence of {method}: {results.size} typical and hard; all kinds and sets"
            parts.append(title + "\n\n" + _markdown(header, rows))
    return "\n\n".join(parts)


def _shares(count: float, right: float, claimed: float) -> list[str]:
    if not count:
        return ["0", "–", "–", "–"]
    shares = [100 * claimed / count, 100 * right / count]
    return [f"{count:.0f}", *(f"{share:.1f}" for share in shares), f"{shares[1] - shares[0]:+.1f}"]


def _wrong(results: Results) -> str:
    rows = []
    for method in OURS:
        lines = [line for line in results.lines if line["method"] == method and line["set"] == "wrong"]
        for kind, count in Counter(line["kind"] for line in lines).items():
            mine = [line for line in lines if line["kind"] == kind]
            verdicts = Counter(line["verdict"] for line in mine)
            accepted = sum(verdicts[name] for name in LAID)
            rows.append([method, kind, *(str(n) for n in (count, accepted, verdicts[FLAGGED], verdicts["failed"]))])
    if not rows:
        return ""
    return "## Wrong pairs\n\n" + _markdown(["Method", "Kind", "pairs", "accepted", "of these flagged", "failed"], rows)


def _effect(results: Results) -> str:
    rows = []
    groups = Counter((line["method"], line["set"], line["change"]) for line in results.effect)
    for (method, size, change), count in groups.items():
        lines = [x for x in results.effect if (x["method"], x["set"], x["change"]) == (method, size, change)]
        lines = [line for line in lines if line["verdict"] in LAID]
        if not lines:
            rows.append([method, size, change, f"0 of {count}", *["–"] * 5])
            continue
        names = ("area_true_pct", "area_eaten_points", "energy_true_pct", "energy_eaten_points", "map_growth_pct")
        values = [[line[name] for line in lines] for name in names]
        cells = [
            f"{np.mean(v):+.2f}" if "true" in n else _mean_and_worst(v) for n, v in zip(names, values, strict=True)
        ]
        rows.append([method, size, change, f"{len(lines)} of {count}", *cells])
    if not rows:
        return ""
    header = ["Method", "Set", "Scars", "aligned", "area, true %", "eaten, points (worst)", "energy, true %"]
    header += ["eaten, points (worst)", "map grows, % (worst)"]
    return "## What the warp ate, motionless pairs\n\n" + _markdown(header, rows)


def _mean_and_worst(values: list[float]) -> str:
    return f"{np.mean(values):+.2f} ({max(values, key=abs):+.2f})"
