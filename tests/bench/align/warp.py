"""The exact map between the two photos of a pair, both ways.

Pixel centres lie at integers. A place in the moving photo comes from the fixed one by
`moving = homography(orbit(z))` with `fixed = z + local(z)`: the skin deforms, the head turns, the camera moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from skin import Plane, Values

ROWS_AT_ONCE = 250
TOLERANCE_PX = 1e-6


@dataclass(frozen=True)
class Motion:
    """Ranges of the camera's motion that a pair draws from, and parts that are set."""

    rotation_deg: float
    scale: float
    perspective: float
    shift: float
    """Share of the width."""
    roll_deg: float | None = None
    """Exactly so much roll, either way, in place of the drawn one."""
    zoom: float = 1.0
    """Scale moving/fixed on top of the drawn one."""
    offset: float = 0.0
    """Sideways motion on top of the drawn one, share of the width."""
    yaw_deg: float = 0.0


class Homography:
    """A drawn camera motion about the centre of both photos."""

    def __init__(
        self, rng: np.random.Generator, motion: Motion, fixed: tuple[int, int], moving: tuple[int, int]
    ) -> None:
        width = fixed[0]
        angle = np.deg2rad(motion.rotation_deg * rng.uniform(0.5, 1) * rng.choice([-1, 1]))
        if motion.roll_deg is not None:
            angle = np.copysign(np.deg2rad(motion.roll_deg), angle)
        scale = (1 + motion.scale * rng.uniform(-1, 1)) * motion.zoom
        cosine, sine = scale * np.cos(angle), scale * np.sin(angle)
        shift = rng.uniform(-1, 1, 2) * motion.shift * width
        shift[0] += motion.offset * width
        rotate = np.array([[cosine, -sine, shift[0]], [sine, cosine, shift[1]], [0, 0, 1.0]])
        tilt = np.eye(3)
        tilt[2, :2] = motion.perspective * rng.uniform(-1, 1, 2) / width
        self.matrix = np.linalg.inv(_centre(moving)) @ tilt @ rotate @ _centre(fixed)
        self.inverse = np.linalg.inv(self.matrix)


def _centre(size: tuple[int, int]) -> Values:
    return np.array([[1, 0, -size[0] / 2], [0, 1, -size[1] / 2], [0, 0, 1.0]])


def project(matrix: Values, x: Values, y: Values) -> tuple[Values, Values]:
    """Applies a homography."""
    depth = matrix[2, 0] * x + matrix[2, 1] * y + matrix[2, 2]
    across = (matrix[0, 0] * x + matrix[0, 1] * y + matrix[0, 2]) / depth
    down = (matrix[1, 0] * x + matrix[1, 1] * y + matrix[1, 2]) / depth
    return across, down


class LocalField:
    """Smooth displacement of the skin: six waves and four bumps; its 95th percentile is set."""

    def __init__(
        self, rng: np.random.Generator, size: tuple[int, int], displacement_px: float, bump: float = 0.08
    ) -> None:
        width, height = size
        waves, bumps = 6, 4
        length = width * rng.uniform(0.3, 1.1, waves)
        direction = rng.uniform(0, 2 * np.pi, waves)
        self.frequency = np.stack([np.cos(direction), np.sin(direction)], 1) * (2 * np.pi / length)[:, None]
        self.phase = rng.uniform(0, 2 * np.pi, waves)
        self.wave = rng.standard_normal((waves, 2)) * (length / width)[:, None]
        self.centre = rng.uniform(0.15, 0.85, (bumps, 2)) * [width, height]
        self.reach = width * rng.uniform(0.7, 1.4, bumps) * bump
        self.bump = rng.standard_normal((bumps, 2)) * 0.8
        self.gain = 1.0
        x, y = np.meshgrid(np.linspace(0, width, 80), np.linspace(0, height, 60))
        self.gain = displacement_px / np.percentile(np.hypot(*self.at(x, y)), 95)

    def at(self, x: Values, y: Values) -> tuple[Values, Values]:
        across, down = np.zeros_like(x), np.zeros_like(x)
        for frequency, phase, amount in zip(self.frequency, self.phase, self.wave, strict=True):
            height = np.sin(frequency[0] * x + frequency[1] * y + phase)
            across += amount[0] * height
            down += amount[1] * height
        for centre, reach, amount in zip(self.centre, self.reach, self.bump, strict=True):
            height = np.exp(-((x - centre[0]) ** 2 + (y - centre[1]) ** 2) / (2 * reach * reach))
            across += amount[0] * height
            down += amount[1] * height
        return across * self.gain, down * self.gain

    def undo(self, x: Values, y: Values) -> tuple[Values, Values]:
        """The place z with z + at(z) = (x, y), by fixed-point iteration."""
        z_x, z_y = x, y
        for _ in range(200):
            across, down = self.at(z_x, z_y)
            last_x, last_y = z_x, z_y
            z_x, z_y = x - across, y - down
            if max(np.abs(z_x - last_x).max(), np.abs(z_y - last_y).max()) < TOLERANCE_PX:
                return z_x, z_y
        raise ArithmeticError("the displacement folds over: its inverse does not converge")


class Orbit:
    """A pinhole camera that goes around a curved cheek: a sphere, its nearest point in the middle of the photo."""

    DISTANCE = 3.0
    """Camera to skin, widths of the photo."""
    RADIUS = 1.5
    """Of the sphere, widths of the photo."""

    def __init__(self, size: tuple[int, int], yaw_deg: float) -> None:
        width, height = size
        self.middle = (width - 1) / 2, (height - 1) / 2
        self.distance, self.radius = self.DISTANCE * width, self.RADIUS * width
        yaw = np.deg2rad(yaw_deg)
        self.turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])

    def apply(self, x: Values, y: Values) -> tuple[Values, Values]:
        return self._transfer(x, y, np.eye(3), self.turn)

    def undo(self, x: Values, y: Values) -> tuple[Values, Values]:
        return self._transfer(x, y, self.turn, self.turn.T)

    def _transfer(self, x: Values, y: Values, turned: Values, turn: Values) -> tuple[Values, Values]:
        """From a photo of the sphere turned by `turned` to one of the sphere turned further by `turn`."""
        nearest = np.array([0, 0, self.distance])
        centre = nearest + turned @ np.array([0, 0, self.radius])
        x, y = np.broadcast_arrays(x, y)
        ray = np.stack([x - self.middle[0], y - self.middle[1], np.full(x.shape, self.distance)], -1)
        squared, along = (ray * ray).sum(-1), ray @ centre
        outside = centre @ centre - self.radius**2
        root = np.sqrt(along * along - squared * outside)
        place = ray * ((along - root) / squared)[..., None]
        place = (place - nearest) @ turn.T + nearest
        scale = self.distance / place[..., 2]
        return place[..., 0] * scale + self.middle[0], place[..., 1] * scale + self.middle[1]


class Warp:
    """The whole map of a pair."""

    def __init__(
        self,
        rng: np.random.Generator,
        motion: Motion,
        fixed: tuple[int, int],
        moving: tuple[int, int],
        displacement_px: float,
    ) -> None:
        self.moving = moving
        self.homography = Homography(rng, motion, fixed, moving)
        self.local = LocalField(rng, fixed, displacement_px)
        self.orbit = Orbit(fixed, motion.yaw_deg) if motion.yaw_deg else None

    def to_moving(self, places: Values) -> Values:
        """Places in the fixed photo, one a row, as places in the moving one."""
        x, y = self.local.undo(places[:, 0], places[:, 1])
        if self.orbit:
            x, y = self.orbit.apply(x, y)
        return np.stack(project(self.homography.matrix, x, y), 1)

    def to_fixed(self, x: Values, y: Values) -> tuple[Values, Values]:
        x, y = project(self.homography.inverse, x, y)
        if self.orbit:
            x, y = self.orbit.undo(x, y)
        across, down = self.local.at(x, y)
        return x + across, y + down

    def fixed_places(self) -> tuple[Plane, Plane]:
        """For each pixel of the moving photo its place in the fixed one."""
        width, height = self.moving
        across, down = np.empty((height, width), np.float32), np.empty((height, width), np.float32)
        columns = np.arange(width, dtype=np.float64)[None]
        for top in range(0, height, ROWS_AT_ONCE):
            rows = np.arange(top, min(height, top + ROWS_AT_ONCE), dtype=np.float64)[:, None]
            band = slice(top, top + ROWS_AT_ONCE)
            across[band], down[band] = self.to_fixed(columns, rows)
        return across, down
