"""`effect`: what the registration takes from a scar that shrinks or fades.

Two photos of one skin by one camera that does not move; the light turns by 10°, the noise differs. In the second all
scars are smaller by 15 % in radius, or shallower by 30 %, or as they were. Since nothing moves, the second photo as it
is gives the true change; laid over the first by the registration it must give the same. What differs is what the warp
ate, in points: above zero where a loss comes out smaller than it is. A line per photo and method in `effect.jsonl`.

- area: dark pixels around each scar, those darker than half of the scar's darkness in the first photo;
- energy: sum of the darkness around each scar;
- map: growth of a ring drawn around each scar, as the map itself says; nothing but the map is in it.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import camera
import ours
import peers
from pairs import ELEVATION, SIZES, read_image
from skin import (
    BOXCAR,
    DISPLAY_GAMMA,
    FULL_HEIGHT,
    FULL_WIDTH,
    ICE_PICK,
    LOOKS,
    ROLLING,
    SUPERSAMPLING,
    Image,
    Light,
    Plane,
    Scars,
    ScarType,
    Skin,
    Values,
    blur,
)

TURN = np.deg2rad(10)
DARKENING = 0.25
"""How much darker the deepest scars are than the skin around them."""
COUNTS: tuple[tuple[ScarType, int], ...] = ((ROLLING, 10), (BOXCAR, 40), (ICE_PICK, 70))
"""Scars of each type in a 12 MP photo, as far as they find room; the largest are placed first."""
REACH, RING_IN, RING_OUT = 2.2, 2.4, 3.0
"""Sigmas around a scar: what is measured, and the ring that says how bright the skin is."""
EDGE_PX = 24
FAINTEST = 0.01
"""A scar less dark than this is not measured."""
RING_POINTS = 24
LOOKS_USED = ("skinA", "skinB", "skinC")

CHANGES: dict[str, Callable[[Scars], Scars]] = {
    "none": lambda scars: scars,
    "shrunk": lambda scars: scars.shrunk(0.85),
    "faded": lambda scars: scars.faded(0.7),
}


@dataclass(frozen=True)
class Laid:
    """The second photo laid over the first, and growth of each ring as the map has it."""

    photo: Image
    ring_growth: Values | None
    verdict: str = "aligned"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="folder that takes effect.jsonl")
    parser.add_argument("--seed", type=int, default=1000, help="first seed (default 1000)")
    parser.add_argument("--repeat", type=int, default=1, help="sets to make, from seeds 100 apart (default 1)")
    parser.add_argument("--mp", type=int, choices=SIZES, default=12, help="size of the photos (default 12)")
    parser.add_argument("--looks", nargs="+", choices=LOOKS_USED, default=list(LOOKS_USED), metavar="LOOK")
    methods = [f"cicatrix-{precision}" for precision in ours.PRECISIONS] + ["dis3n"]
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods, metavar="METHOD")
    ours.add_argument(parser)


def main(args: argparse.Namespace) -> None:
    binary = ours.program(args.cicatrix)
    args.out.mkdir(parents=True, exist_ok=True)
    with (args.out / "effect.jsonl").open("a", buffering=1) as sink, tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seed, args.seed + 100 * args.repeat, 100):
            for look in args.looks:
                for line in _measure(binary, look, seed, args, Path(folder)):
                    sink.write(json.dumps({"set": f"{args.mp}MP", "look": look, "seed": seed, **line}) + "\n")
                    _say(look, seed, line)


def _measure(binary: Path, look: str, seed: int, args: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    rng = np.random.default_rng([seed, LOOKS[look].seed_offset])
    skin = Skin(seed + LOOKS[look].seed_offset, LOOKS[look], *SIZES[args.mp])
    scars = place_scars(rng, skin.width, skin.height)
    azimuth = rng.uniform(0, 2 * np.pi)
    first, second = folder / "first.jpg", folder / "second.jpg"
    _take(rng, skin.scarred(scars, DARKENING), Light(azimuth, ELEVATION), first)
    before = Measure(scars, read_image(first))
    for change, apply in CHANGES.items():
        light = Light(azimuth + TURN * rng.choice([-1, 1]), ELEVATION)
        _take(rng, skin.scarred([apply(group) for group in scars], DARKENING), light, second)
        true = before.changes(read_image(second))
        for method in args.methods:
            line = {"change": change, "method": method, "scars": len(before)}
            laid = _lay(binary, method, first, second, before.rings(), folder / "laid.png")
            if isinstance(laid, str):
                yield line | {"verdict": laid}
            else:
                yield line | {"verdict": laid.verdict, **_compare(true, before.changes(laid.photo), laid.ring_growth)}


def place_scars(rng: np.random.Generator, width: int, height: int) -> list[Scars]:
    """Scars whose surroundings do not touch, in canvas pixels."""
    share = width * height / (FULL_WIDTH * FULL_HEIGHT * SUPERSAMPLING**2)
    taken: list[tuple[float, float, float]] = []
    groups = []
    for scar_type, count in COUNTS:
        mine = []
        for _ in range(200 * max(1, round(count * share))):
            sigma = rng.uniform(*scar_type.sigma) * SUPERSAMPLING
            around = RING_OUT * sigma
            edge = around + EDGE_PX * SUPERSAMPLING
            if 2 * edge >= min(width, height):
                continue
            x, y = rng.uniform(edge, width - edge), rng.uniform(edge, height - edge)
            if all(np.hypot(x - a, y - b) > around + reach for a, b, reach in taken):
                taken.append((x, y, around))
                mine.append((x, y, sigma))
            if len(mine) >= round(count * share):
                break
        xs, ys, sigmas = np.array(mine, np.float64).reshape(-1, 3).T
        groups.append(Scars(scar_type, xs, ys, sigmas, rng.uniform(*scar_type.depth, len(mine))))
    return groups


def _take(rng: np.random.Generator, skin: Skin, light: Light, path: Path) -> None:
    size = round(skin.width / SUPERSAMPLING), round(skin.height / SUPERSAMPLING)
    view = cv2.resize(skin.render(light), size, interpolation=cv2.INTER_AREA)
    camera.write_jpeg(path, camera.expose(rng, view, camera.FIXED), camera.FIXED_QUALITY)


class Measure:
    """Darkness of known scars in the first photo, and how another photo differs from it."""

    def __init__(self, scars: list[Scars], photo: Image) -> None:
        x, y, sigma = (np.concatenate([getattr(group, name) for group in scars]) for name in ("x", "y", "sigma"))
        to_photo = [(place + 0.5) / SUPERSAMPLING - 0.5 for place in (x, y)]
        self.places = np.column_stack([*to_photo, sigma / SUPERSAMPLING])
        light = _light(photo)
        thresholds = np.array([0.5 * np.percentile(_darkness(light, place), 90) for place in self.places])
        visible = thresholds > FAINTEST
        self.places, self.thresholds = self.places[visible], thresholds[visible]
        self.area, self.energy = self._of(photo)

    def __len__(self) -> int:
        return len(self.places)

    def _of(self, photo: Image) -> tuple[Values, Values]:
        light = _light(photo)
        area, energy = [], []
        for place, threshold in zip(self.places, self.thresholds, strict=True):
            dark = _darkness(light, place)
            area.append(np.clip((dark - threshold) / (0.4 * threshold) + 0.5, 0, 1).sum())
            energy.append(dark.sum())
        return np.array(area), np.array(energy)

    def changes(self, photo: Image) -> dict[str, Values]:
        """Per scar, against all scars of the first photo: their mean is the change of the total."""
        area, energy = self._of(photo)
        return {
            "area": (area - self.area) / self.area.mean(),
            "energy": (energy - self.energy) / self.energy.mean(),
        }

    def rings(self) -> Values:
        """Points around each scar at 1.5 sigma, scar after scar."""
        turn = np.linspace(0, 2 * np.pi, RING_POINTS, endpoint=False)
        circle = 1.5 * np.stack([np.cos(turn), np.sin(turn)], 1)
        return (self.places[:, None, :2] + self.places[:, None, 2:] * circle).reshape(-1, 2)


def _light(photo: Image) -> Plane:
    """Linear green, with the finest noise taken away."""
    return blur((photo[..., 1].astype(np.float32) / 255) ** DISPLAY_GAMMA, 1.0)


def _darkness(light: Plane, place: Values) -> Plane:
    """Share of light missing in the pixels of a scar, against the median of the ring around it."""
    x, y, sigma = place
    reach = int(RING_OUT * sigma) + 1
    left, top = int(x) - reach, int(y) - reach
    view = light[top : top + 2 * reach + 2, left : left + 2 * reach + 2]
    across = np.arange(view.shape[1]) + left - x
    down = (np.arange(view.shape[0]) + top - y)[:, None]
    distance = np.hypot(across, down) / sigma
    ring = view[(distance > RING_IN) & (distance < RING_OUT)]
    return 1 - view[distance < REACH] / np.median(ring)


def _lay(binary: Path, method: str, first: Path, second: Path, rings: Values, out: Path) -> Laid | str:
    """The second photo over the first, or why not."""
    if method in peers.METHODS:
        return _lay_by_peer(method, read_image(first), read_image(second), rings)
    answer = ours.align(binary, first, second, method.removeprefix("cicatrix-"), rings, lay_over=out)
    if answer.points is None:
        return f"{answer.verdict}: {answer.detail}"
    return Laid(read_image(out), _growth(rings, answer.points[:, :2]), answer.verdict)


def _lay_by_peer(method: str, first: Image, second: Image, rings: Values) -> Laid | str:
    """The peer's map on a grid of 8 px, enlarged; one resampling."""
    height, width = first.shape[:2]
    columns, rows = np.arange(3.5, width, 8), np.arange(3.5, height, 8)
    grid = np.stack(np.meshgrid(columns, rows), -1)
    peers.prepare()
    try:
        mapped = peers.METHODS[method](first, second, np.concatenate([grid.reshape(-1, 2), rings]))
    except (peers.NotAlignedError, cv2.error) as reason:
        return f"refused: {reason}"
    shift = (mapped[: grid.size // 2].reshape(grid.shape) - grid).astype(np.float32)
    shift = cv2.resize(shift, (8 * len(columns), 8 * len(rows)), interpolation=cv2.INTER_CUBIC)[:height, :width]
    x = shift[..., 0] + np.arange(shift.shape[1], dtype=np.float32)
    y = shift[..., 1] + np.arange(shift.shape[0], dtype=np.float32)[:, None]
    laid = cv2.remap(second, x, y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    return Laid(laid, _growth(rings, mapped[grid.size // 2 :]))


def _growth(rings: Values, mapped: Values) -> Values:
    return _areas(mapped) / _areas(rings) - 1


def _areas(rings: Values) -> Values:
    """Of polygons, by the shoelace formula."""
    points = rings.reshape(-1, RING_POINTS, 2)
    following = np.roll(points, -1, 1)
    return 0.5 * (points[..., 0] * following[..., 1] - points[..., 1] * following[..., 0]).sum(1)


def _compare(true: dict[str, Values], found: dict[str, Values], growth: Values | None) -> dict[str, Any]:
    """In percent and points."""
    line: dict[str, Any] = {}
    for name in ("area", "energy"):
        line[f"{name}_true_pct"] = 100 * float(true[name].mean())
        line[f"{name}_aligned_pct"] = 100 * float(found[name].mean())
        line[f"{name}_eaten_points"] = line[f"{name}_aligned_pct"] - line[f"{name}_true_pct"]
    if growth is not None:
        line["map_growth_pct"] = 100 * float(np.median(growth))
        line["map_growth_worst_pct"] = 100 * float(growth[np.abs(growth).argmax()])
    return line


def _say(look: str, seed: int, line: dict[str, Any]) -> None:
    told = line["verdict"]
    if "area_true_pct" in line:
        told = (
            f"area {line['area_true_pct']:+.2f} % true, {line['area_aligned_pct']:+.2f} % aligned;"
            f" energy {line['energy_true_pct']:+.2f}, {line['energy_aligned_pct']:+.2f};"
            f" map {line['map_growth_pct']:+.2f} %, {line['scars']} scars"
        )
    print(f"{look} {seed} {line['change']:7} {line['method']:17} {told}", flush=True)
