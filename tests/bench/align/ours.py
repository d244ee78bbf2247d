"""`cicatrix align`, called as anybody would: a program with files."""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from skin import Values

REPOSITORY = Path(__file__).resolve().parents[3]
REFUSED = 65
TIMEOUT_S = 900
PRECISIONS = ("fine", "scoring")
LAID = ("aligned", "uncertain")
"""Verdicts that come with a map; `uncertain` is one that the program itself flags."""


@dataclass(frozen=True)
class Answer:
    """What the program said."""

    verdict: str
    """`aligned`, `uncertain`, `refused` or `failed`."""
    detail: str = ""
    points: Values | None = None
    """x, y, confidence; one row a place."""
    quality: dict[str, Any] = field(default_factory=dict)
    cpu_s: dict[str, float] = field(default_factory=dict)
    """By step, without the process around them; empty if the program does not say."""
    process_cpu_s: float = 0.0
    """Of the whole process, decoding and all."""


def add_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--cicatrix", type=Path, help="the program (default: on the path, else the repository's release build)"
    )


def program(chosen: Path | None) -> Path:
    """The binary to test."""
    found = chosen or shutil.which("cicatrix") or REPOSITORY / "target" / "release" / "cicatrix"
    path = Path(found).resolve()
    if not path.is_file():
        raise SystemExit(f"no program at {path}: build it with `cargo build --release` or name it with --cicatrix")
    return path


def version(binary: Path) -> str:
    said = subprocess.run([binary, "--version"], capture_output=True, text=True, check=True)
    return said.stdout.strip()


def align(
    binary: Path,
    fixed: Path,
    moving: Path,
    precision: str,
    places: Values | None = None,
    lay_over: Path | None = None,
) -> Answer:
    """Registers two photos; maps places of the fixed one, writes the moving one laid over it, or both."""
    command: list[str | Path] = [binary, "align", fixed.resolve(), moving.resolve()]
    command += ["--precision", precision, "--json"]
    with tempfile.TemporaryDirectory() as folder:
        if places is not None:
            points = Path(folder) / "points.csv"
            np.savetxt(points, places, "%.4f", ",", header="x,y", comments="")
            command += ["--points", points]
        if lay_over is not None:
            command += ["--out", lay_over.resolve()]
        before = _children_cpu_s()
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, timeout=TIMEOUT_S)
        spent = _children_cpu_s() - before
    try:
        said = json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        said = {}
    if done.returncode == REFUSED and said.get("verdict") == "refused":
        return Answer("refused", said.get("detail", ""), cpu_s=said.get("cpu_s") or {}, process_cpu_s=spent)
    if done.returncode != 0 or said.get("verdict") not in LAID:
        return Answer("failed", f"exit {done.returncode}: {_complaint(done.stderr)}", process_cpu_s=spent)
    mapped = None if places is None else np.array(said["points"], np.float64).reshape(-1, 3)
    return Answer(said["verdict"], "", mapped, said["quality"], said.get("cpu_s") or {}, spent)


def _complaint(text: str) -> str:
    """The line that says what went wrong: the first that speaks of an error, else the last."""
    lines = text.strip().splitlines() or [""]
    return next((line for line in lines if "error" in line.lower()), lines[-1])[:300]


def _children_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
