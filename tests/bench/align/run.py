"""`run`: every pair of a folder, every method, one after another on the same pair; a line each in `results.jsonl`.

With `--wrong` the pairs of `wrong.csv` instead, by `cicatrix` alone. A later line replaces an earlier one.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import ours
import peers
from pairs import read_image
from skin import Image, Values

OURS = {f"cicatrix-{precision}": precision for precision in ours.PRECISIONS}
RIGHT_PX = 1.0
"""A place is right if it is off by less, in px of the fixed photo; confidence is the probability of that."""
Line = dict[str, Any]
"""One result, as in `results.jsonl`."""
Pair = dict[str, Any]
"""Its meta and the paths of photos and landmarks; wrong pairs have no landmarks."""

FEWEST_CHANGED = 20
BINS = 10


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder with pairs")
    methods = [*peers.METHODS, *OURS]
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods, metavar="METHOD")
    parser.add_argument("--only", default="", help="only pairs with this in their name")
    parser.add_argument("--new", action="store_true", help="leave out what has a line already")
    parser.add_argument("--wrong", action="store_true", help="the wrong pairs of wrong.csv")
    ours.add_argument(parser)


def main(args: argparse.Namespace) -> None:
    asked = [method for method in args.methods if method in OURS]
    binary = ours.program(args.cicatrix) if asked else Path()
    build = ours.version(binary) if asked else ""
    results = args.folder / "results.jsonl"
    done = {(line["method"], line["pair"]) for line in read_lines(results)} if args.new else set()
    with results.open("a", buffering=1) as sink:
        for name, pair in _wrong_pairs(args.folder) if args.wrong else _pairs(args.folder):
            if args.only not in name:
                continue
            methods = [m for m in (asked if args.wrong else args.methods) if (m, name) not in done]
            for line in _run(binary, pair, methods):
                line = {"pair": name, **line} | ({"program": build} if line["method"] in OURS else {})
                sink.write(json.dumps(line) + "\n")
                _say(line)


def read_lines(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def _pairs(folder: Path) -> list[tuple[str, Pair]]:
    found = []
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text())
        photos = {side: path.parent / meta[side]["file"] for side in ("fixed", "moving")}
        found.append((path.parent.name, {"meta": meta, "landmarks": path.parent / "landmarks.csv", **photos}))
    return found


def _wrong_pairs(folder: Path) -> list[tuple[str, Pair]]:
    with (folder / "wrong.csv").open() as source:
        rows = list(csv.DictReader(source))
    found = []
    for row in rows:
        photos = {side: folder / row[side] for side in ("fixed", "moving")}
        meta = {"kind": row["kind"], "set": "wrong", "seed": int(row["seed"])}
        found.append((row["name"], {"meta": meta, "landmarks": None, **photos}))
    return found


def _run(binary: Path, pair: Pair, methods: list[str]) -> Iterator[Line]:
    meta, truth = pair["meta"], None
    if pair["landmarks"]:
        truth = np.loadtxt(pair["landmarks"], delimiter=",", skiprows=1)
    fixed = moving = None
    if any(method in peers.METHODS for method in methods):
        fixed, moving = read_image(pair["fixed"]), read_image(pair["moving"])
    for method in methods:
        line = {"method": method} | {key: meta.get(key) for key in ("kind", "set", "look", "seed", "skin_seed")}
        if method in OURS:
            yield line | _run_ours(binary, pair, OURS[method], truth)
        else:
            yield line | _run_peer(method, fixed, moving, truth)


def _run_peer(method: str, fixed: Image, moving: Image, truth: Values) -> Line:
    peers.prepare()
    start = time.process_time()
    try:
        mapped = peers.METHODS[method](fixed, moving, truth[:, :2])
    except (peers.NotAlignedError, cv2.error) as reason:
        return {"verdict": "refused", "detail": str(reason), "cpu_s": {"total": time.process_time() - start}}
    spent = time.process_time() - start
    return {"verdict": "aligned", **accuracy(mapped, truth), "cpu_s": {"total": spent}}


def _run_ours(binary: Path, pair: Pair, precision: str, truth: Values | None) -> Line:
    places = None if truth is None else truth[:, :2]
    answer = ours.align(binary, pair["fixed"], pair["moving"], precision, places)
    line: Line = {
        "verdict": answer.verdict,
        "detail": answer.detail,
        "cpu_s": _cost(answer.cpu_s),
        "process_cpu_s": answer.process_cpu_s,
        "inliers": answer.quality.get("inliers"),
        "correlation": answer.quality.get("median_correlation"),
        "quality": answer.quality,
    }
    if answer.points is not None and truth is not None:
        line |= accuracy(answer.points[:, :2], truth)
        line["confidence"] = reliability(answer.points, truth)
    return line


def _cost(steps: dict[str, float]) -> dict[str, float] | None:
    """Steps as told, their sum without decoding, and that of a photo whose baseline is prepared already."""
    if not {"prepare_fixed", "prepare_moving", "register"} <= steps.keys():
        return None
    follow_up = steps["prepare_moving"] + steps["register"]
    return steps | {"total": steps["prepare_fixed"] + follow_up, "follow_up": follow_up}


def accuracy(mapped: Values, truth: Values) -> Line:
    """Target registration error over the landmarks, px of the moving photo."""
    error, changed = np.hypot(*(mapped - truth[:, 2:4]).T), truth[:, 4] > 0
    median = float(np.median(error))
    in_changed = float(np.median(error[changed])) if changed.sum() >= FEWEST_CHANGED else None
    return {
        "landmarks": len(error),
        "median_px": median,
        "p95_px": float(np.percentile(error, 95)),
        "share_over_2px": float((error > 2).mean()),
        "changed_median_px": in_changed,
        "changed_ratio": in_changed / median if in_changed is not None else None,
    }


def reliability(points: Values, truth: Values) -> dict[str, list[float]]:
    """Per tenth of the claimed confidence: landmarks, how many were right, and the sum of the claims."""
    claimed = np.clip(points[:, 2], 0, 1)
    error = np.hypot(*(points[:, :2] - truth[:, 2:4]).T) / _scale(truth)
    right = error < RIGHT_PX
    decile = np.minimum((claimed * BINS).astype(int), BINS - 1)
    columns = {"count": None, "right": right, "claimed": claimed}
    return {name: np.bincount(decile, weights, BINS).tolist() for name, weights in columns.items()}


def _scale(truth: Values) -> float:
    """Length scale moving/fixed, from the best affine map of the landmarks."""
    affine = np.linalg.lstsq(np.column_stack([truth[:, :2], np.ones(len(truth))]), truth[:, 2:4])[0]
    return float(np.sqrt(abs(np.linalg.det(affine[:2]))))


def _say(line: Line) -> None:
    told = line["verdict"]
    if "median_px" in line:
        told += f"  median {line['median_px']:.2f}  p95 {line['p95_px']:.2f} px"
        claimed = (line.get("quality") or {}).get("confidence")
        told += f"  confidence {claimed:.2f}" if claimed is not None else ""
    elif line.get("detail"):
        told += f"  {line['detail']}"
    cost = (line.get("cpu_s") or {}).get("total")
    print(f"{line['pair']:32} {line['method']:17} {told}" + (f"  {cost:.2f} CPU-s" if cost else ""), flush=True)
