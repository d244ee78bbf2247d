"""What lies over skin in a clinic's photo: a hand, a colour card, hair, highlights."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from skin import DISPLAY_GAMMA, FULL_WIDTH, Plane, blur

Mask = npt.NDArray[np.bool_]

CARD = """
735244 c29682 627a9d 576c43 8580b1 67bdaa  d67e2c 505ba6 c15a63 5e3c6c 9dbc40 e0a32e
383d96 469449 af363c e7c71f bb5695 0885a1  f3f3f2 c8c8c8 a0a0a0 7a7a79 555555 343434
""".split()
"""The 24 patches of the classic card, sRGB."""
MARGIN_PX = 4


def cover(rng: np.random.Generator, linear: Plane) -> tuple[Plane, Mask]:
    """The image with all of it laid over, and where no skin is seen."""
    unit = linear.shape[1] / FULL_WIDTH
    covered = np.zeros(linear.shape[:2], np.uint8)
    for lay in (_hand, _card, _hair, _highlights):
        linear, mask = lay(rng, linear, unit)
        covered |= mask.astype(np.uint8)
    reach = np.ones((2 * MARGIN_PX + 1, 2 * MARGIN_PX + 1), np.uint8)
    return np.clip(linear, 0, 1), cv2.dilate(covered, reach) > 0


def _blend(linear: Plane, alpha: Plane, colour: Plane) -> Plane:
    return linear * (1 - alpha[..., None]) + colour * alpha[..., None]


def _hand(rng: np.random.Generator, linear: Plane, unit: float) -> tuple[Plane, Mask]:
    """Four fingers that reach in from the left or right, about a tenth of the frame."""
    height, width = linear.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    thickness = int(270 * unit)
    knuckle = rng.uniform(0.25, 0.4) * height
    for finger, length in enumerate((0.17, 0.24, 0.26, 0.2)):
        y = int(knuckle + finger * 1.02 * thickness)
        tip = int(width * (length + rng.uniform(-0.02, 0.02))), y + int(rng.uniform(-0.3, 0.3) * thickness)
        cv2.line(alpha, (-thickness, y), tip, 255, thickness, cv2.LINE_AA)
    if rng.random() < 0.5:
        alpha = cv2.flip(alpha, 1)
    soft = blur(alpha.astype(np.float32) / 255, max(1.0, 3 * unit))
    roundness = blur(soft, 60 * unit)
    colour = np.array([0.55, 0.33, 0.24], np.float32) * (0.35 + 0.75 * roundness)[..., None]
    return _blend(linear, soft, colour), soft > 0.05


def _card(rng: np.random.Generator, linear: Plane, unit: float) -> tuple[Plane, Mask]:
    """A card of 24 patches, a fifth of the width, turned by up to 20°."""
    height, width = linear.shape[:2]
    patch = 0.2 * width / 6.5
    centre = rng.uniform(0.3, 0.7) * width, rng.choice([0.17, 0.83]) * height
    turn = cv2.getRotationMatrix2D(centre, rng.uniform(-20, 20), 1.0)

    def rectangle(left: float, top: float, right: float, bottom: float) -> npt.NDArray[np.int32]:
        corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom]]) * patch + centre
        return np.rint(corners @ turn[:, :2].T + turn[:, 2]).astype(np.int32)

    shown = np.ascontiguousarray(linear)
    alpha = np.zeros((height, width), np.uint8)
    outline = rectangle(-3.25, -2.25, 3.25, 2.25)
    cv2.fillConvexPoly(alpha, outline, 255)
    cv2.fillConvexPoly(shown, outline, (0.01, 0.01, 0.01), cv2.LINE_AA)
    for index, code in enumerate(CARD):
        left, top = index % 6 - 3 + 0.08, index // 6 - 2 + 0.08
        colour = [(value / 255) ** DISPLAY_GAMMA for value in bytes.fromhex(code)]
        cv2.fillConvexPoly(shown, rectangle(left, top, left + 0.84, top + 0.84), colour, cv2.LINE_AA)
    return shown, alpha > 0


def _hair(rng: np.random.Generator, linear: Plane, unit: float) -> tuple[Plane, Mask]:
    """Dark strands across the frame, some in tresses."""
    height, width = linear.shape[:2]
    alpha = np.zeros((height, width), np.uint8)
    steps = np.linspace(0, 1, 60)[:, None]
    for _ in range(12):
        start, bend, end = rng.uniform([0, -0.1 * height], [width, 1.1 * height], (3, 2))
        for _ in range(rng.integers(1, 8)):
            points = [place + rng.normal(0, 25 * unit, 2) for place in (start, bend, end)]
            curve = (1 - steps) ** 2 * points[0] + 2 * steps * (1 - steps) * points[1] + steps**2 * points[2]
            thick = max(1, round(rng.uniform(2, 6) * unit))
            cv2.polylines(alpha, [np.rint(curve * 16).astype(np.int32)], False, 255, thick, cv2.LINE_AA, 4)
    opaque = 0.9 * alpha.astype(np.float32) / 255
    return _blend(linear, opaque, np.array([0.02, 0.014, 0.01], np.float32)), opaque > 0.05


def _highlights(rng: np.random.Generator, linear: Plane, unit: float) -> tuple[Plane, Mask]:
    """Gloss that burns out, with soft edges."""
    height, width = linear.shape[:2]
    gloss = np.zeros((height, width), np.float32)
    for _ in range(14):
        centre = rng.uniform([0, 0], [width, height])
        sigma = rng.uniform(20, 90, 2) * unit
        reach = int(3.5 * sigma.max())
        left, top = (max(0, int(place) - reach) for place in centre)
        view = gloss[top : int(centre[1]) + reach, left : int(centre[0]) + reach]
        dx = (np.arange(view.shape[1]) + left - centre[0]) / sigma[0]
        dy = ((np.arange(view.shape[0]) + top - centre[1]) / sigma[1])[:, None]
        view += 1.5 * np.exp(-0.5 * (dx * dx + dy * dy)).astype(np.float32)
    return linear + gloss[..., None], gloss > 0.15
