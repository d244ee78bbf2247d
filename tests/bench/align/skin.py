"""Skin to photograph: a procedural renderer, and real photos in its place.

A source is a canvas a quarter finer than the photo taken of it. It is rendered into linear RGB under a chosen light,
untouched or treated: scars flatter, redness, new papules.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Protocol, Self

import cv2
import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""BGR, as OpenCV has it."""
Plane = npt.NDArray[np.float32]
Values = npt.NDArray[np.float64]

SUPERSAMPLING = 1.25
"""Canvas pixels per photo pixel."""
FULL_WIDTH, FULL_HEIGHT = 4000, 3000
"""The 12 MP photo that all counts and sizes below refer to."""
DISPLAY_GAMMA = 2.2


@dataclass(frozen=True)
class Light:
    """Where the lamp stands, radians."""

    azimuth: float
    elevation: float

    def direction(self) -> Plane:
        return np.array(
            [
                np.cos(self.elevation) * np.cos(self.azimuth),
                np.cos(self.elevation) * np.sin(self.azimuth),
                np.sin(self.elevation),
            ],
            np.float32,
        )


class Source(Protocol):
    """What a photo can be taken of."""

    width: int
    height: int

    def render(self, light: Light, treated: Plane | None = None, redness: Plane | None = None) -> Plane:
        """Linear RGB, 0 to 1. `treated` and `redness` are weights from 0 to 1 per canvas pixel."""


def blur(image: Plane, sigma: float) -> Plane:
    return cv2.GaussianBlur(image, (0, 0), sigma)


def band_noise(rng: np.random.Generator, height: int, width: int, fine: float, coarse: float) -> Plane:
    """Noise between two scales (sigmas in px), unit deviation; coarse bands are made small and enlarged."""
    factor = max(1, int(fine / 2))
    noise = rng.standard_normal((height // factor + 2, width // factor + 2), dtype=np.float32)
    noise = blur(noise, fine / factor) - blur(noise, coarse / factor)
    noise /= noise.std() + 1e-9
    if factor == 1:
        return noise[:height, :width]
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def stamp(plane: Plane, xs: Values, ys: Values, sigmas: Values, heights: Values, flat: bool = False) -> Plane:
    """Adds bumps to a plane: Gaussian, or flat with a steep wall at 1.5 sigma."""
    rows, columns = plane.shape
    for x, y, sigma, height in zip(xs, ys, sigmas, heights, strict=True):
        reach = int(3.2 * sigma) + 1
        left, right = max(0, int(x) - reach), min(columns, int(x) + reach + 1)
        top, bottom = max(0, int(y) - reach), min(rows, int(y) + reach + 1)
        if left >= right or top >= bottom:
            continue
        dx = np.arange(left, right, dtype=np.float32) - x
        dy = (np.arange(top, bottom, dtype=np.float32) - y)[:, None]
        squared = (dx * dx + dy * dy) / (sigma * sigma)
        plane[top:bottom, left:right] += height * (_flat(squared) if flat else np.exp(-0.5 * squared))
    return plane


def _flat(squared: Values) -> Values:
    return 1 / (1 + np.exp(np.clip(4 * (np.sqrt(squared) - 1.5) * 3, -30, 30)))


@dataclass(frozen=True)
class ScarType:
    sigma: tuple[float, float]
    """Smallest and largest, px of the photo."""
    depth: tuple[float, float]
    flat: bool


ICE_PICK = ScarType((6, 12), (6, 14), flat=False)
BOXCAR = ScarType((14, 30), (4, 9), flat=True)
ROLLING = ScarType((35, 80), (6, 14), flat=False)
SCAR_TYPES = (ICE_PICK, BOXCAR, ROLLING)


@dataclass(frozen=True)
class Scars:
    """Scars of one type, in canvas pixels."""

    type: ScarType
    x: Values
    y: Values
    sigma: Values
    depth: Values

    def shrunk(self, factor: float) -> Self:
        return replace(self, sigma=self.sigma * factor)

    def faded(self, factor: float) -> Self:
        return replace(self, depth=self.depth * factor)

    def stamp_on(self, plane: Plane) -> None:
        stamp(plane, self.x, self.y, self.sigma, -self.depth, self.type.flat)


def draw_scars(rng: np.random.Generator, width: int, height: int, count: int) -> list[Scars]:
    """Scars anywhere, of all types alike."""
    which = rng.integers(0, len(SCAR_TYPES), count)
    xs, ys = rng.uniform(0, width, count), rng.uniform(0, height, count)
    scars = []
    for index, scar_type in enumerate(SCAR_TYPES):
        chosen = which == index
        sigma = rng.uniform(*scar_type.sigma, chosen.sum()) * SUPERSAMPLING
        depth = rng.uniform(*scar_type.depth, chosen.sum())
        scars.append(Scars(scar_type, xs[chosen], ys[chosen], sigma, depth))
    return scars


@dataclass(frozen=True)
class Look:
    """A kind of skin."""

    seed_offset: int
    tone: tuple[float, float, float] = (0.78, 0.56, 0.45)
    """Linear RGB."""
    pore: float = 1.0
    """Depth of pores and furrows."""
    relief: float = 1.0


LOOKS = {
    "skinA": Look(11),
    "skinB": Look(12, tone=(0.36, 0.22, 0.15), pore=0.45),
    "skinC": Look(14, tone=(0.62, 0.40, 0.29), relief=3.5),
    "faceHD": Look(13, pore=0.7),
}
"""Light; dark with weak pores; deep relief; a real face as albedo (needs its photo)."""


class Skin:
    """Procedural skin: a height map with furrows, pores and scars; melanin, haemoglobin, freckles."""

    def __init__(self, seed: int, look: Look, width: int, height: int, face: Image | None = None) -> None:
        rng = np.random.default_rng(seed)
        self.relief = look.relief
        self.has_face = face is not None
        self.width, self.height = int(width * SUPERSAMPLING), int(height * SUPERSAMPLING)
        share = width * height / (FULL_WIDTH * FULL_HEIGHT)
        self.surface = self._surface(rng, look.pore)
        self.scar_relief = np.zeros((self.height, self.width), np.float32)
        for scars in draw_scars(rng, self.width, self.height, round(160 * share)):
            scars.stamp_on(self.scar_relief)
        self.albedo = self._albedo(rng, look.tone, face, round(260 * share))
        columns, rows = np.arange(self.width, dtype=np.float32), np.arange(self.height, dtype=np.float32)
        self.slope_x = (0.9 * (columns / self.width - 0.5))[None]
        self.slope_y = (0.7 * (rows / self.height - 0.5))[:, None]

    def _surface(self, rng: np.random.Generator, pore: float) -> Plane:
        height, width, k = self.height, self.width, SUPERSAMPLING
        surface = 0.10 * band_noise(rng, height, width, 2.0 * k, 4 * k)
        surface += 0.35 * band_noise(rng, height, width, 4 * k, 9 * k)
        furrows = band_noise(rng, height, width, 5 * k, 14 * k)
        surface -= 0.5 * pore * np.exp(-((furrows / 0.35) ** 2))
        count = int(width * height / (24 * k) ** 2 * 0.7)
        xs, ys = rng.uniform(0, width, count), rng.uniform(0, height, count)
        sigmas = rng.uniform(1.6, 3.6, count) * k
        stamp(surface, xs, ys, sigmas, -rng.uniform(0.5, 2.2, count) * pore)
        surface += 2.0 * band_noise(rng, height, width, 30 * k, 70 * k)
        return surface

    def _albedo(
        self, rng: np.random.Generator, tone: tuple[float, float, float], face: Image | None, freckles: int
    ) -> Plane:
        height, width, k = self.height, self.width, SUPERSAMPLING
        albedo = np.empty((height, width, 3), np.float32)
        albedo[:] = tone
        melanin = 0.05 * band_noise(rng, height, width, 60 * k, 300 * k)
        melanin += 0.025 * band_noise(rng, height, width, 8 * k, 20 * k)
        xs, ys = rng.uniform(0, width, freckles), rng.uniform(0, height, freckles)
        sigmas = rng.uniform(4, 14, freckles) * k
        stamp(melanin, xs, ys, sigmas, -rng.uniform(0.05, 0.3, freckles))
        haemoglobin = 0.04 * np.abs(band_noise(rng, height, width, 25 * k, 90 * k)) - 0.01 * self.scar_relief / 6
        if face is not None:
            large = cv2.resize(face, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
            albedo = np.clip(large[..., ::-1] / 255, 0.03, 1) ** DISPLAY_GAMMA
            melanin *= 0.5
            haemoglobin *= 0.5
        albedo *= (1 + melanin)[..., None]
        albedo[..., 1] *= 1 - haemoglobin
        albedo[..., 2] *= 1 - 0.8 * haemoglobin
        return np.clip(albedo, 0.01, 1)

    def flatter(self, factor: float) -> Self:
        """The same skin with its relief scaled."""
        other = copy.copy(self)
        other.relief = self.relief * factor
        return other

    def scarred(self, scars: list[Scars], darkening: float) -> Self:
        """The same skin with these scars in place of its own; each darkens by its share of the greatest depth."""
        other = copy.copy(self)
        other.scar_relief = np.zeros_like(self.scar_relief)
        shade = np.zeros_like(self.scar_relief)
        for group in scars:
            group.stamp_on(other.scar_relief)
            replace(group, depth=group.depth / group.type.depth[1]).stamp_on(shade)
        other.albedo = np.clip(self.albedo * (1 + darkening * shade)[..., None], 0.01, 1)
        return other

    def render(self, light: Light, treated: Plane | None = None, redness: Plane | None = None) -> Plane:
        heights = self.surface + self.scar_relief * (1 if treated is None else 1 - 0.6 * treated)
        steepness = 0.16 * self.relief
        x = -cv2.Sobel(heights, cv2.CV_32F, 1, 0, ksize=3, scale=1 / 8) * steepness
        y = -cv2.Sobel(heights, cv2.CV_32F, 0, 1, ksize=3, scale=1 / 8) * steepness
        if not self.has_face:
            x, y = x + self.slope_x, y + self.slope_y
        towards = light.direction()
        length = 1 / np.sqrt(x * x + y * y + 1)
        diffuse = np.clip((x * towards[0] + y * towards[1] + towards[2]) * length, 0, None)
        half = (x * towards[0] * 0.5 + y * towards[1] * 0.5 + (1 + towards[2]) * 0.5) * length
        gloss = 0.06 * np.clip(half, 0, 1) ** 40
        image = self.albedo * (0.40 + 0.62 * diffuse)[..., None] + gloss[..., None]
        if treated is not None:
            image[..., 1] *= 1 - 0.05 * treated
            image[..., 2] *= 1 - 0.04 * treated
        return np.clip(_redden(image, redness), 0, 1)


class Photo:
    """A real photo at its own size. It has no relief, so another light is a smooth gain over the frame."""

    def __init__(self, bgr: Image) -> None:
        self.height, self.width = (side - side % 5 for side in bgr.shape[:2])  # whole pixels after supersampling
        cropped = bgr[: self.height, : self.width, ::-1]
        self.linear = (cropped.astype(np.float32) / 255) ** DISPLAY_GAMMA

    def render(self, light: Light, treated: Plane | None = None, redness: Plane | None = None) -> Plane:
        across = (np.arange(self.width, dtype=np.float32) / self.width - 0.5)[None]
        down = (np.arange(self.height, dtype=np.float32) / self.height - 0.5)[:, None]
        gain = np.exp(0.25 * (np.cos(light.azimuth) * across + np.sin(light.azimuth) * down))
        image = self.linear * gain.astype(np.float32)[..., None]
        if treated is not None:
            weight = 0.6 * treated[..., None]
            image = image * (1 - weight) + blur(image, 4) * weight
        return np.clip(_redden(image, redness), 0, 1)


def _redden(image: Plane, redness: Plane | None) -> Plane:
    if redness is not None:
        image[..., 1] *= 1 - redness
        image[..., 2] *= 1 - 0.8 * redness
    return image
