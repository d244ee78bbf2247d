"""The kinds of pairs: two levels that the targets speak of, and stress kinds that each push one thing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from warp import Motion


class Framing(Enum):
    """What part of the skin the fixed photo shows."""

    WHOLE = "whole"
    CLOSER = "closer"
    """The middle 70 %: the moving photo, taken from farther away, still shows skin all over."""
    SIDE = "side"
    """Two thirds, at one side: the moving photo, half a frame on, still shows skin all over."""


class Format(Enum):
    """How the moving photo is written."""

    JPEG = "jpeg"
    PORTRAIT = "portrait"
    """Two thirds of the pixels, held upright: EXIF orientation 6."""
    GREY16 = "grey16"
    """16-bit grey PNG."""


@dataclass(frozen=True)
class Kind:
    """Ranges (±) of what differs between the two photos of a pair."""

    name: str
    motion: Motion
    displacement_px: float
    """95th percentile of the local displacement in a 12 MP photo."""
    small_displacement_px: float
    """The same in a photo of a master up to 2500 px wide."""
    azimuth: float
    """Turn of the light, radians, either way."""
    gain: float
    white_balance: float
    gamma: float
    gradient: float
    blur_px: float
    noise: float
    look: str | None = None
    """The only skin it is made with; without, all skins and real photos."""
    relief: float = 1.0
    """Relief of the skin in both photos, as a factor."""
    framing: Framing = Framing.WHOLE
    format: Format = Format.JPEG
    covered: bool = False


TYPICAL = Kind(
    "typical",
    Motion(rotation_deg=3, scale=0.03, perspective=0.02, shift=0.02),
    displacement_px=6,
    small_displacement_px=2.5,
    azimuth=0.35,
    gain=0.15,
    white_balance=0.06,
    gamma=0.06,
    gradient=0.2,
    blur_px=0.6,
    noise=0.012,
)
HARD = Kind(
    "hard",
    Motion(rotation_deg=9, scale=0.10, perspective=0.06, shift=0.05),
    displacement_px=20,
    small_displacement_px=6,
    azimuth=1.2,
    gain=0.35,
    white_balance=0.15,
    gamma=0.15,
    gradient=0.5,
    blur_px=1.3,
    noise=0.02,
)
LEVELS = (TYPICAL, HARD)


def _stress(name: str, look: str, **changes: object) -> Kind:
    return replace(TYPICAL, name=name, look=look, **changes)  # type: ignore[arg-type]


def _moved(**changes: float) -> Motion:
    return replace(TYPICAL.motion, **changes)


STRESS = (
    _stress("light60", "skinC", azimuth=np.deg2rad(60)),
    _stress("light90", "skinC", azimuth=np.deg2rad(90)),
    _stress("smooth", "skinB", relief=0.4, blur_px=2.0, noise=0.03),
    _stress("far", "skinA", displacement_px=60, small_displacement_px=25),
    _stress("turned07", "skinA", motion=_moved(roll_deg=25, zoom=0.7), framing=Framing.CLOSER),
    _stress("turned14", "skinA", motion=_moved(roll_deg=25, zoom=1.4)),
    _stress("yaw", "skinA", motion=_moved(yaw_deg=8)),
    _stress("overlap", "skinA", motion=_moved(offset=0.5), framing=Framing.SIDE),
    _stress("covered", "skinA", covered=True),
    _stress("sizes", "skinB", motion=_moved(zoom=1.088), format=Format.PORTRAIT),
    _stress("grey16", "skinA", format=Format.GREY16),
)
KINDS = {kind.name: kind for kind in (*LEVELS, *STRESS)}
