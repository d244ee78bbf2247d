"""The peers: what people write with OpenCV. Each maps places of the fixed photo to the moving one.

They get decoded photos; what they cost is the CPU time of the call, all threads.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from skin import Image, Plane, Values, blur

Method = Callable[[Image, Image, Values], Values]

START_MP, FLOW_MP = 2.0, 3.0
ECC_STAGES = ((0.75, 50), (3.0, 30))
"""Megapixels and iterations."""
THREADS = 2


class NotAlignedError(Exception):
    """The method gave no map."""


def sift(fixed: Image, moving: Image, places: Values) -> Values:
    """SIFT, ratio test, homography by MAGSAC."""
    return _apply(_start(_grey(fixed), _grey(moving)), places)


def ecc(fixed: Image, moving: Image, places: Values) -> Values:
    """The same, refined by the enhanced correlation coefficient at 0.75 and 3 MP."""
    grey_fixed, grey_moving = _grey(fixed), _grey(moving)
    homography = _start(grey_fixed, grey_moving)
    for megapixels, iterations in ECC_STAGES:
        homography = _refine(grey_fixed, grey_moving, homography, megapixels, iterations)
    return _apply(homography, places)


def dis3n(fixed: Image, moving: Image, places: Values) -> Values:
    """The same start, local contrast normalized, then DIS optical flow at 3 MP: the best peer known to us."""
    grey_fixed, grey_moving = _grey(fixed), _grey(moving)
    homography = _start(grey_fixed, grey_moving)
    small_fixed, scale = _down(grey_fixed, FLOW_MP)
    size = fixed.shape[1], fixed.shape[0]
    how = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    laid_over = cv2.warpPerspective(grey_moving, homography, size, flags=how, borderMode=cv2.BORDER_REPLICATE)
    small_moving, _ = _down(laid_over, FLOW_MP)
    search = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    flow = search.calc(_normalized(small_fixed), _normalized(small_moving), None)
    small = ((places + 0.5) * scale - 0.5).astype(np.float32)
    shift = np.stack([_at(flow[..., axis], small) for axis in (0, 1)], 1)
    return _apply(homography, (small + shift + 0.5) / scale - 0.5)


METHODS: dict[str, Method] = {"sift": sift, "ecc": ecc, "dis3n": dis3n}


def prepare() -> None:
    """The same threads and seed for each call."""
    cv2.setNumThreads(THREADS)
    cv2.setRNGSeed(1)


def _start(fixed: Image, moving: Image) -> Values:
    small_fixed, fixed_scale = _down(fixed, START_MP)
    small_moving, moving_scale = _down(moving, START_MP)
    finder = cv2.SIFT_create(8000, contrastThreshold=0.01)
    fixed_points, fixed_descriptors = finder.detectAndCompute(small_fixed, None)
    moving_points, moving_descriptors = finder.detectAndCompute(small_moving, None)
    if fixed_descriptors is None or moving_descriptors is None:
        raise NotAlignedError("no features")
    candidates = cv2.BFMatcher(cv2.NORM_L2).knnMatch(fixed_descriptors, moving_descriptors, 2)
    matches = [pair[0] for pair in candidates if len(pair) == 2 and pair[0].distance < 0.8 * pair[1].distance]
    if len(matches) < 8:
        raise NotAlignedError("few matches")
    here = np.array([fixed_points[match.queryIdx].pt for match in matches])
    there = np.array([moving_points[match.trainIdx].pt for match in matches])
    homography, _ = cv2.findHomography(here, there, cv2.USAC_MAGSAC, 3.0, maxIters=10000, confidence=0.9999)
    if homography is None:
        raise NotAlignedError("no homography")
    return np.linalg.inv(_scaling(moving_scale)) @ homography @ _scaling(fixed_scale)


def _refine(fixed: Image, moving: Image, homography: Values, megapixels: float, iterations: int) -> Values:
    small_fixed, fixed_scale = _down(fixed, megapixels)
    small_moving, moving_scale = _down(moving, megapixels)
    start = _scaling(moving_scale) @ homography @ np.linalg.inv(_scaling(fixed_scale))
    start = (start / start[2, 2]).astype(np.float32)
    until = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, iterations, 1e-6)
    try:
        _, found = cv2.findTransformECC(small_fixed, small_moving, start, cv2.MOTION_HOMOGRAPHY, until, None, 5)
    except cv2.error as error:
        raise NotAlignedError("ECC does not converge") from error
    return np.linalg.inv(_scaling(moving_scale)) @ found.astype(np.float64) @ _scaling(fixed_scale)


def _grey(image: Image) -> Image:
    return cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)


def _down(grey: Image, megapixels: float) -> tuple[Image, float]:
    scale = min(1.0, np.sqrt(megapixels * 1e6 / grey.size))
    if scale >= 0.999:
        return grey, 1.0
    return cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), scale


def _normalized(grey: Image, sigma: float = 10) -> Image:
    detail = grey.astype(np.float32) - blur(grey.astype(np.float32), sigma)
    contrast = np.sqrt(blur(detail * detail, 2 * sigma) + 1)
    return np.clip(128 + 45 * detail / contrast, 0, 255).astype(np.uint8)


def _scaling(scale: float) -> Values:
    return np.array([[scale, 0, 0.5 * scale - 0.5], [0, scale, 0.5 * scale - 0.5], [0, 0, 1.0]])


def _apply(homography: Values, places: Values) -> Values:
    mapped = np.column_stack([places, np.ones(len(places))]) @ homography.T
    return mapped[:, :2] / mapped[:, 2:]


def _at(plane: Plane, places: Plane) -> Plane:
    """Values between pixels; in rows, since OpenCV takes no longer side than 32767."""
    found = [cv2.remap(plane, row[None, :, 0], row[None, :, 1], cv2.INTER_LINEAR)[0] for row in _rows(places)]
    return np.concatenate(found)


def _rows(places: Plane) -> list[Plane]:
    return [np.ascontiguousarray(places[start : start + 30000]) for start in range(0, len(places), 30000)]
