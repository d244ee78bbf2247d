"""From linear light to a file: exposure, colour cast, vignetting, blur, noise, tone curve, format."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from skin import DISPLAY_GAMMA, Image, Plane, blur


@dataclass(frozen=True)
class Exposure:
    gain: float
    white_balance: tuple[float, float, float]
    gamma: float
    gradient: float
    """Log-gain from one side of the frame to the other."""
    blur_px: float
    noise: float


FIXED = Exposure(1.0, (1, 1, 1), 1.0, gradient=0.1, blur_px=0.4, noise=0.008)
FIXED_QUALITY, MOVING_QUALITY = 92, 85


def expose(rng: np.random.Generator, linear: Plane, how: Exposure) -> Plane:
    """RGB with the display's gamma, 0 to 1."""
    height, width = linear.shape[:2]
    angle = rng.uniform(0, 2 * np.pi)
    across = np.cos(angle) * np.linspace(-0.5, 0.5, width)[None]
    down = np.sin(angle) * np.linspace(-0.5, 0.5, height)[:, None]
    falloff = np.exp(how.gradient * (across + down)).astype(np.float32)
    image = linear * (falloff * how.gain)[..., None] * np.asarray(how.white_balance, np.float32)
    if how.blur_px > 0:
        image = blur(image, how.blur_px)
    for top in range(0, height, 500):
        band = image[top : top + 500]
        deviation = np.sqrt(how.noise**2 * (0.3 + np.clip(band, 0, 1)))
        band += rng.standard_normal(band.shape, dtype=np.float32) * deviation
    return np.clip(image, 0, 1) ** (1 / (DISPLAY_GAMMA * how.gamma))


def eight_bit(image: Plane) -> Image:
    """As OpenCV wants it: BGR."""
    return (image[..., ::-1] * 255 + 0.5).astype(np.uint8)


def write_jpeg(path: Path, image: Plane, quality: int) -> None:
    _write(path, eight_bit(image), quality)


def write_turned_jpeg(path: Path, image: Plane, quality: int) -> None:
    """As a phone held upright writes it: the sensor's rows, and EXIF orientation 6 to turn them."""
    _write(path, cv2.rotate(eight_bit(image), cv2.ROTATE_90_COUNTERCLOCKWISE), quality)
    entry = struct.pack(">HHIHH", 0x0112, 3, 1, 6, 0)  # tag orientation, one short, value 6
    exif = b"Exif\0\0" + b"MM\0*" + struct.pack(">IH", 8, 1) + entry + struct.pack(">I", 0)
    jpeg = path.read_bytes()
    segment = b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif
    path.write_bytes(jpeg[:2] + segment + jpeg[2:])


def write_grey16(path: Path, image: Plane) -> None:
    grey = image @ np.array([0.299, 0.587, 0.114], np.float32)
    if not cv2.imwrite(str(path), (grey * 65535 + 0.5).astype(np.uint16)):
        raise OSError(f"cannot write {path}")


def _write(path: Path, image: Image, quality: int) -> None:
    if not cv2.imwrite(str(path), image, [cv2.IMWRITE_JPEG_QUALITY, quality]):
        raise OSError(f"cannot write {path}")
