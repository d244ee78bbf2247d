"""`wrong`: pairs that must be refused, from the pairs of a folder: `wrong.csv` and, where needed, new photos.

- `other_skin`: fixed photo of one skin, moving photo of another of the same look;
- `other_look`: the same of another look;
- `mirrored`: the pair's own moving photo, mirrored;
- `elsewhere`: left 45 % of the fixed photo, right 45 % of the moving one;
- `other_cheek`: the same, the moving part mirrored;
- `scene`: a drawn scene without skin, either way round.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path

import cv2
import numpy as np

from pairs import read_image
from skin import Image

SIDE = 0.45
QUALITY = 90
Base = tuple[str, int, str, str]
"""Look, seed, fixed and moving photo of a true pair."""
Row = tuple[str, int, str, str]
"""Kind, seed of the fixed photo, fixed and moving photo."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="folder with pairs, of several seeds")
    parser.add_argument("--level", default="typical", help="kind of pair to take photos from (default typical)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the scenes")


def main(args: argparse.Namespace) -> None:
    bases = _bases(args.folder, args.level)
    if len(bases) < 2:
        raise SystemExit(f"{args.folder} has {len(bases)} pairs of kind {args.level}, two are needed at least")
    made = args.folder / "wrong"
    made.mkdir(exist_ok=True)
    rows = [*_other_skins(bases), *_own_photos(args.folder, bases, made), *_scenes(args.folder, bases, made, args.seed)]
    with (args.folder / "wrong.csv").open("w", newline="") as sink:
        table = csv.writer(sink)
        table.writerow(["name", "kind", "seed", "fixed", "moving"])
        for index, row in enumerate(rows):
            table.writerow([f"wrong-{index:04}-{row[0]}", *row])
    print(f"{len(rows)} wrong pairs: " + ", ".join(f"{n} {kind}" for kind, n in Counter(r[0] for r in rows).items()))


def _bases(folder: Path, level: str) -> list[Base]:
    found = []
    for path in sorted(folder.glob("*/meta.json")):
        meta = json.loads(path.read_text())
        if meta["kind"] == level:
            photos = (f"{path.parent.name}/{meta[side]['file']}" for side in ("fixed", "moving"))
            found.append((meta["look"], meta["seed"], *photos))
    return found


def _other_skins(bases: list[Base]) -> Iterator[Row]:
    for (look, seed, fixed, _), (other_look, _, _, moving) in permutations(bases, 2):
        yield "other_skin" if look == other_look else "other_look", seed, fixed, moving


def _own_photos(folder: Path, bases: list[Base], made: Path) -> Iterator[Row]:
    for index, (_, seed, fixed, moving) in enumerate(bases):
        shown, other = read_image(folder / fixed), read_image(folder / moving)
        left = shown[:, : int(SIDE * shown.shape[1])]
        right = other[:, -int(SIDE * other.shape[1]) :]
        yield "mirrored", seed, fixed, _write(folder, made / f"{index:02}-mirrored.jpg", other[:, ::-1])
        here = _write(folder, made / f"{index:02}-left.jpg", left)
        yield "elsewhere", seed, here, _write(folder, made / f"{index:02}-right.jpg", right)
        yield "other_cheek", seed, here, _write(folder, made / f"{index:02}-right-mirrored.jpg", right[:, ::-1])


def _scenes(folder: Path, bases: list[Base], made: Path, scenes: int) -> Iterator[Row]:
    rng = np.random.default_rng(scenes)
    for index, (_, seed, fixed, _) in enumerate(bases):
        height, width = read_image(folder / fixed).shape[:2]
        scene = _write(folder, made / f"{index:02}-scene.jpg", draw_scene(rng, width, height))
        yield "scene", seed, fixed, scene
        yield "scene", seed, scene, fixed


def draw_scene(rng: np.random.Generator, width: int, height: int) -> Image:
    """A room of sorts: surfaces, outlines, writing, grain."""
    image = np.full((height, width, 3), rng.integers(60, 200, 3), np.uint8)
    for _ in range(60):
        corner = rng.integers(0, [width, height]).tolist()
        far = [place + int(rng.uniform(-0.3, 0.3) * height) for place in corner]
        colour = rng.integers(0, 256, 3).tolist()
        match rng.integers(0, 4):
            case 0:
                cv2.rectangle(image, corner, far, colour, int(rng.choice([-1, 3, 12])))
            case 1:
                cv2.circle(image, corner, int(rng.integers(5, height // 6)), colour, int(rng.choice([-1, 4])))
            case 2:
                cv2.line(image, corner, far, colour, int(rng.integers(1, 20)), cv2.LINE_AA)
            case _:
                text = "".join(map(chr, rng.integers(65, 91, 8)))
                cv2.putText(image, text, corner, cv2.FONT_HERSHEY_SIMPLEX, float(rng.uniform(1, 4)), colour, 4)
    grain = rng.normal(0, 5, image.shape)
    return np.clip(cv2.GaussianBlur(image, (0, 0), 0.8) + grain, 0, 255).astype(np.uint8)


def _write(folder: Path, path: Path, image: Image) -> str:
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, QUALITY]):
        raise OSError(f"cannot write {path}")
    return str(path.relative_to(folder))
