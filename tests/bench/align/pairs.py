"""`gen`: pairs of photos with exact truth.

A pair is a folder with the fixed and the moving photo, `landmarks.csv` (a place in the fixed photo, its place in the
moving one, 1 if the skin there has changed) and `meta.json`. Places are pixels of the upright photos, centres at
integers.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

import camera
from cover import cover
from kinds import KINDS, LEVELS, STRESS, Format, Framing, Kind
from skin import (
    FULL_HEIGHT,
    FULL_WIDTH,
    LOOKS,
    SUPERSAMPLING,
    Image,
    Light,
    Photo,
    Plane,
    Skin,
    Source,
    Values,
    blur,
    stamp,
)
from warp import Warp

Flags = npt.NDArray[np.bool_]

SIZES = {12: (FULL_WIDTH, FULL_HEIGHT), 2: (1632, 1224)}
"""Width and height of the fixed photo by megapixels. The smaller one shows less skin at the same scale."""
BIG_WIDTH = 2500
"""A canvas wider than this gets the displacement and blur of a 12 MP photo."""
SEED_STEP = 100
"""Seeds of one set lie within this: skins +11 to +14, levels from +1, stress kinds from +30, photos from +50."""
FIRST_STRESS_SEED, FIRST_PHOTO_SEED = 30, 50
ELEVATION = 0.9
CANDIDATES, LANDMARKS = 6000, 2000
MARGIN = 0.02
"""Landmarks keep this share of width and height from every edge."""
BLACK = 12
"""Grey value up to which nothing is seen."""


@dataclass(frozen=True)
class Frame:
    """Where the fixed photo lies on the canvas: canvas pixel = (pixel + ½) · scale − ½ + origin."""

    scale: float
    left: float
    top: float

    def to_canvas(self, x: Plane | Values, y: Plane | Values) -> tuple[Plane | Values, Plane | Values]:
        return (x + 0.5) * self.scale - 0.5 + self.left, (y + 0.5) * self.scale - 0.5 + self.top


@dataclass(frozen=True)
class Changes:
    """What treatment and time did to the skin, as weights on the canvas."""

    treated: Plane
    redness: Plane

    @classmethod
    def draw(cls, rng: np.random.Generator, width: int, height: int) -> Changes:
        unit = width / FULL_WIDTH
        treated = np.zeros((height, width), np.float32)
        xs, ys = rng.uniform(0, width, 14), rng.uniform(0, height, 14)
        stamp(treated, xs, ys, rng.uniform(60, 170, 14) * unit, np.ones(14))
        redness = np.zeros((height, width), np.float32)
        xs, ys = rng.uniform(0, width, 12), rng.uniform(0, height, 12)
        sigmas = rng.uniform(10, 28, 12) * max(unit, 0.35)
        stamp(redness, xs, ys, sigmas, rng.uniform(0.15, 0.35, 12))
        return cls(np.clip(treated, 0, 1), np.clip(redness, 0, 0.5))

    def at(self, x: Values, y: Values) -> Flags:
        """Whether skin has changed at places of the canvas."""
        row, column = _index(y, self.treated.shape[0]), _index(x, self.treated.shape[1])
        return np.maximum(self.treated[row, column], self.redness[row, column] * 3) > 0.4


def make_pair(source: Source, look: str, kind: Kind, seed: int, skin_seed: int | None, out: Path) -> Path:
    """Writes one pair; returns its folder."""
    rng = np.random.default_rng(seed)
    big = source.width > BIG_WIDTH
    fixed_size = round(source.width / SUPERSAMPLING), round(source.height / SUPERSAMPLING)
    moving_size = _moving_size(fixed_size, kind.format)
    displacement = kind.displacement_px if big else kind.small_displacement_px
    warp = Warp(rng, kind.motion, fixed_size, moving_size, displacement)
    frame = _frame(source, kind.framing, fixed_size)
    changes = Changes.draw(rng, source.width, source.height)
    light = Light(rng.uniform(0, 2 * np.pi), ELEVATION)
    if isinstance(source, Skin) and kind.relief != 1.0:
        source = source.flatter(kind.relief)

    folder = out / f"{look}-{kind.name}-{seed}"
    folder.mkdir(parents=True, exist_ok=True)
    fixed = camera.expose(rng, _fixed_view(source.render(light), fixed_size, frame), camera.FIXED)
    camera.write_jpeg(folder / "fixed.jpg", fixed, camera.FIXED_QUALITY)

    turned = light.azimuth + kind.azimuth * rng.choice([-1, 1])
    other = Light(turned, light.elevation + rng.uniform(-0.1, 0.1))
    rendered = source.render(other, changes.treated, changes.redness)
    view = _moving_view(rendered, warp, frame, frame.scale / kind.motion.zoom)
    covered = None
    if kind.covered:
        view, covered = cover(rng, view)
    moving = camera.expose(rng, view, _exposure(rng, kind, big))
    moving_file = _write_moving(folder, moving, kind.format)

    nearest, farthest = MARGIN * np.array(fixed_size), (1 - MARGIN) * np.array(fixed_size)
    places = rng.uniform(nearest, farthest, (CANDIDATES, 2))
    found = warp.to_moving(places)
    usable = _inside(found, moving_size) & _has_texture(folder / "fixed.jpg", places)
    if covered is not None:
        column, row = np.rint(np.clip(found, 0, np.array(moving_size) - 1)).astype(int).T
        usable &= ~covered[row, column]
    places, found = places[usable][:LANDMARKS], found[usable][:LANDMARKS]
    changed = changes.at(*frame.to_canvas(*places.T))
    rows = np.column_stack([places, found, changed])
    formats = ["%.4f"] * 4 + ["%d"]
    np.savetxt(folder / "landmarks.csv", rows, formats, ",", header="bx,by,fx,fy,changed", comments="")
    meta = {
        "kind": kind.name,
        "look": look,
        "set": "photo" if look not in LOOKS else f"{round(fixed_size[0] * fixed_size[1] / 1e6)}MP",
        "seed": seed,
        "skin_seed": skin_seed,
        "fixed": {"file": "fixed.jpg", "width": fixed_size[0], "height": fixed_size[1]},
        "moving": {"file": moving_file, "width": moving_size[0], "height": moving_size[1]},
        "landmarks": len(places),
        "changed_share": float(changed.mean()),
        "unaligned_median_px": float(np.median(np.hypot(*(places - found).T))),
    }
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    return folder


def _index(places: Values, size: int) -> npt.NDArray[np.int_]:
    return np.clip(np.rint(places).astype(int), 0, size - 1)


def _moving_size(fixed: tuple[int, int], written_as: Format) -> tuple[int, int]:
    if written_as is not Format.PORTRAIT:
        return fixed
    long_side, short_side = (8 * round(0.816 * side / 8) for side in fixed)
    return short_side, long_side


def _frame(source: Source, framing: Framing, size: tuple[int, int]) -> Frame:
    share = {Framing.WHOLE: 1.0, Framing.CLOSER: 0.7, Framing.SIDE: 2 / 3}[framing]
    scale = share * SUPERSAMPLING
    spare_x, spare_y = source.width - scale * size[0], source.height - scale * size[1]
    left = spare_x if framing is Framing.SIDE else spare_x / 2
    return Frame(scale, left, spare_y / 2)


def _fixed_view(canvas: Plane, size: tuple[int, int], frame: Frame) -> Plane:
    if frame.left == frame.top == 0:
        return cv2.resize(canvas, size, interpolation=cv2.INTER_AREA)
    x = np.arange(size[0], dtype=np.float32)[None].repeat(size[1], 0)
    y = np.arange(size[1], dtype=np.float32)[:, None].repeat(size[0], 1)
    return _sample(canvas, *frame.to_canvas(x, y))


def _moving_view(canvas: Plane, warp: Warp, frame: Frame, canvas_px: float) -> Plane:
    """The moving photo before its camera; `canvas_px` is the size of one of its pixels on the canvas."""
    smooth = blur(canvas, 0.45 * canvas_px / SUPERSAMPLING)
    return _sample(smooth, *frame.to_canvas(*warp.fixed_places()))


def _sample(canvas: Plane, x: Plane, y: Plane) -> Plane:
    found = cv2.remap(canvas, x, y, cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REFLECT_101)
    return np.clip(found, 0, 1)


def _exposure(rng: np.random.Generator, kind: Kind, big: bool) -> camera.Exposure:
    def around_one(spread: float) -> float:
        return 1 + spread * rng.uniform(-1, 1)

    return camera.Exposure(
        around_one(kind.gain),
        (around_one(kind.white_balance), 1, around_one(kind.white_balance)),
        around_one(kind.gamma),
        kind.gradient,
        kind.blur_px * (1 if big else 0.6),
        kind.noise,
    )


def _write_moving(folder: Path, image: Plane, written_as: Format) -> str:
    if written_as is Format.GREY16:
        camera.write_grey16(folder / "moving.png", image)
        return "moving.png"
    write = camera.write_turned_jpeg if written_as is Format.PORTRAIT else camera.write_jpeg
    write(folder / "moving.jpg", image, camera.MOVING_QUALITY)
    return "moving.jpg"


def _inside(places: Values, size: tuple[int, int]) -> Flags:
    edge = MARGIN * np.array(size)
    return ((places > edge) & (places < np.array(size) - edge)).all(1)


def _has_texture(photo: Path, places: Values) -> Flags:
    """Whether a place is not black and lies in the four fifths of the photo with the most local contrast."""
    grey = cv2.imread(str(photo), cv2.IMREAD_GRAYSCALE).astype(np.float32)
    mean = blur(grey, 12)
    deviation = np.sqrt(np.maximum(blur(grey * grey, 12) - mean**2, 0))
    column, row = places.astype(int).T
    return (deviation[row, column] > np.percentile(deviation, 20)) & (mean[row, column] > BLACK)


def read_image(path: Path) -> Image:
    image = cv2.imread(str(path))
    if image is None:
        raise SystemExit(f"cannot read {path}")
    return image


def generate(args: argparse.Namespace) -> Iterator[Path]:
    """Makes all pairs that are asked for and not there yet."""
    for seed in range(args.seed, args.seed + SEED_STEP * args.repeat, SEED_STEP):
        for name in args.looks:
            if name != "faceHD" or args.face:
                yield from _of_skin(args, name, seed)
        for index, photo in enumerate(args.photo):
            first = seed + FIRST_PHOTO_SEED + len(LEVELS) * index
            wanted = {first + level: kind for level, kind in enumerate(LEVELS) if kind.name in args.kinds}
            yield from _missing(args.out, photo.stem, wanted, None, partial(_photo, photo))


def _of_skin(args: argparse.Namespace, name: str, seed: int) -> Iterator[Path]:
    look, position = LOOKS[name], list(LOOKS).index(name)
    kinds = {seed + 1 + len(LEVELS) * position + index: kind for index, kind in enumerate(LEVELS)}
    kinds |= {seed + FIRST_STRESS_SEED + index: kind for index, kind in enumerate(STRESS) if kind.look == name}
    wanted = {pair_seed: kind for pair_seed, kind in kinds.items() if kind.name in args.kinds}
    skin_seed = seed + look.seed_offset
    face = read_image(args.face) if name == "faceHD" else None
    yield from _missing(args.out, name, wanted, skin_seed, partial(Skin, skin_seed, look, *SIZES[args.mp], face))


def _photo(path: Path) -> Source:
    return Photo(read_image(path))


def _missing(
    out: Path, name: str, wanted: dict[int, Kind], skin_seed: int | None, make: Callable[[], Source]
) -> Iterator[Path]:
    """The source is made once for all its pairs, and only if one is missing."""
    source = None
    for seed, kind in wanted.items():
        if not (out / f"{name}-{kind.name}-{seed}" / "meta.json").exists():
            source = source or make()
            yield make_pair(source, name, kind, seed, skin_seed, out)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("out", type=Path, help="folder that takes the pairs; those that are there stay")
    parser.add_argument("--seed", type=int, default=1000, help="first seed, a multiple of 100 (default 1000)")
    parser.add_argument("--repeat", type=int, default=1, help="sets to make, from seeds 100 apart (default 1)")
    parser.add_argument("--mp", type=int, choices=SIZES, default=12, help="size of the fixed photo (default 12)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), metavar="KIND")
    parser.add_argument("--looks", nargs="*", choices=LOOKS, default=list(LOOKS), metavar="LOOK")
    parser.add_argument("--face", type=Path, help="photo of a face: the large-scale colour of look faceHD")
    parser.add_argument("--photo", type=Path, nargs="*", default=[], help="real photos for the two levels")


def main(args: argparse.Namespace) -> None:
    for folder in generate(args):
        print(folder, flush=True)
