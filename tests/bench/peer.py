#!/usr/bin/env python3
"""The same job as one would write it in Python with OpenCV and scikit-image: what `cicatrix` is measured against.

For each patient and view the first session's first shot is the reference; every photo of the folder is scored, all but
the references after being laid over theirs:

  decode (upright) -> 1024 px work image, CLAHE -> SIFT, FLANN, ratio test, MAGSAC -> ECC -> bicubic warp at full size
  -> Lab, illumination and colour as in the reference -> difference of Gaussians, LBP, GLCM, erythema in each region
  -> a row in SQLite and a 1600 px preview

It does less than `cicatrix`: a plane where skin bends, no quality gate, no scar mask, no scale in mm, no interval. It
is kept quick: a process for each worker, a reference prepared once where its photos are worked on, OpenCV with one
thread in each process.
"""
import argparse
import functools
import json
import math
import multiprocessing
import os
import re
import resource
import sqlite3
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import cv2
import numpy as np
from skimage.feature import graycomatrix, graycoprops, local_binary_pattern

WORK = 1024
PREVIEW = 1600
SIGMAS = (1.5, 3, 6, 12)
FEATURES = 4000
FEWEST_MATCHES = 12
NAME = re.compile(r"(?P<view>.+)\.(?P<shot>\d+)\.(?:jpe?g|png|webp|tiff?)", re.IGNORECASE)


def series_of(bucket):
    """The photos of each patient and view, in order of session and shot."""
    series = {}
    for folder in sorted(bucket.glob("**/clinic=*/patient=*/session=*")):
        for path in folder.iterdir():
            if name := NAME.fullmatch(path.name):
                key = (folder.parent.parent.name, folder.parent.name, name["view"])
                series.setdefault(key, []).append((folder.name, int(name["shot"]), str(path)))
    return [[path for _, _, path in sorted(photos)] for photos in series.values()]


def pieces_of(series, workers):
    """Jobs of four photos or more, so that references are seldom prepared twice and no worker waits long at the end."""
    size = max(4, sum(map(len, series)) // (4 * workers))
    jobs = []
    for photos in series:
        step = math.ceil(len(photos) / math.ceil(len(photos) / size))
        jobs += [(photos[0], photos[i : i + step]) for i in range(0, len(photos), step)]
    return sorted(jobs, key=lambda job: -len(job[1]))


def regions_of(path, shape):
    """Polygons that the manifest draws on the reference, as masks in their boxes; without any, the whole frame."""
    path, (h, w) = Path(path), shape
    try:
        photos = json.loads((path.parent / "manifest.json").read_text())["photos"]
        drawn = next(p for p in photos if p["file"] == path.name).get("regions", [])
    except (OSError, ValueError, KeyError, StopIteration):
        drawn = []
    regions = {}
    for region in drawn:
        polygon = np.round(region["polygon_px"]).astype(np.int32)
        (x0, y0), (x1, y1) = np.maximum(polygon.min(0), 0), np.minimum(polygon.max(0) + 1, (w, h))
        if x1 - x0 < 16 or y1 - y0 < 16:
            continue
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [polygon - (x0, y0)], 255)
        regions[region["name"]] = ((x0, y0, x1, y1), mask)
    return regions or {"frame": ((0, 0, w, h), np.full((h, w), 255, np.uint8))}


def decode(path):
    frame = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR)
    if frame is None:
        raise ValueError("not a picture")
    return frame


def work_image(frame):
    h, w = frame.shape[:2]
    scale = WORK / max(h, w)
    small = cv2.resize(frame, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA)
    grey = cv2.createCLAHE(2.0, (8, 8)).apply(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY))
    return small, grey, scale


@functools.lru_cache(maxsize=2)
def reference_of(path):
    frame = decode(path)
    small, grey, scale = work_image(frame)
    points, descriptors = cv2.SIFT_create(FEATURES).detectAndCompute(grey, None)
    lab = cv2.cvtColor(small, cv2.COLOR_BGR2LAB).reshape(-1, 3).astype(np.float32)
    return {
        "frame": frame, "grey": grey, "scale": scale, "mean": lab.mean(0), "spread": lab.std(0),
        "points": np.float32([p.pt for p in points]), "descriptors": descriptors,
        "regions": regions_of(path, frame.shape[:2]),
    }


def lay_over(frame, ref, ecc_eps):
    """The photo on the reference's grid, with the number of inliers and the correlation."""
    _, grey, scale = work_image(frame)
    points, descriptors = cv2.SIFT_create(FEATURES).detectAndCompute(grey, None)
    if descriptors is None or ref["descriptors"] is None:
        raise ValueError("no features")
    # Some three times as fast as trying all pairs, for about as many matches.
    matcher = cv2.FlannBasedMatcher({"algorithm": 1, "trees": 4}, {"checks": 32})
    pairs = matcher.knnMatch(descriptors, ref["descriptors"], k=2)
    good = [p[0] for p in pairs if len(p) == 2 and p[0].distance < 0.75 * p[1].distance]
    if len(good) < FEWEST_MATCHES:
        raise ValueError("too few matches")
    here = np.float32([points[m.queryIdx].pt for m in good])
    there = ref["points"][[m.trainIdx for m in good]]
    small_map, inliers = cv2.findHomography(there, here, cv2.USAC_MAGSAC, 2.0, maxIters=5000, confidence=0.999)
    if small_map is None:
        raise ValueError("no homography")
    until = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 50, ecc_eps)
    correlation = -1.0
    try:
        correlation, small_map = cv2.findTransformECC(
            ref["grey"], grey, small_map.astype(np.float32), cv2.MOTION_HOMOGRAPHY, until, None, 5
        )
    except cv2.error:
        pass
    shrink, grow = np.diag([ref["scale"], ref["scale"], 1]), np.diag([1 / scale, 1 / scale, 1])
    full_map = grow @ small_map.astype(np.float64) @ shrink
    h, w = ref["frame"].shape[:2]
    how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    laid = cv2.warpPerspective(frame, full_map, (w, h), flags=how, borderMode=cv2.BORDER_REFLECT)
    return laid, int(inliers.sum()), float(correlation)


def illumination(light):
    """The slow part of the light, estimated small."""
    h, w = light.shape
    small = cv2.resize(light, (max(w // 16, 1), max(h // 16, 1)), interpolation=cv2.INTER_AREA).astype(np.float32)
    return cv2.resize(cv2.GaussianBlur(small, (0, 0), max(w, h) / 16 * 0.08), (w, h), interpolation=cv2.INTER_LINEAR)


def normalized(frame, ref):
    lab = cv2.cvtColor(frame, cv2.COLOR_BGR2LAB)
    light, a, b = (plane.astype(np.float32) for plane in cv2.split(lab))
    light *= np.float32(ref["mean"][0]) / np.maximum(illumination(lab[..., 0]), 1)
    for i, plane in ((1, a), (2, b)):
        mean, spread = cv2.meanStdDev(plane)
        plane -= mean[0, 0]
        plane *= float(ref["spread"][i] / max(spread[0, 0], 1e-3))
        plane += float(ref["mean"][i])
    return light, a, b


def score(frame, light, a, b, regions):
    h, w = light.shape
    blurred = [cv2.GaussianBlur(light, (0, 0), sigma) for sigma in SIGMAS]
    bands = [cv2.absdiff(fine, coarse) for fine, coarse in zip(blurred, blurred[1:])]
    bright = frame.astype(np.float32) + 1
    erythema = cv2.log(bright[..., 2] / bright[..., 1])
    light8 = np.clip(light, 0, 255).astype(np.uint8)
    quarter = cv2.resize(light8, (w // 4, h // 4), interpolation=cv2.INTER_AREA)
    pattern = local_binary_pattern(quarter, 8, 2, "uniform")
    values = {}
    for name, ((x0, y0, x1, y1), mask) in regions.items():
        box, small = np.s_[y0:y1, x0:x1], np.s_[y0 // 4 : y1 // 4, x0 // 4 : x1 // 4]
        inside = mask > 0
        row = {f"band{i}": cv2.mean(band[box], mask)[0] for i, band in enumerate(bands)}
        row["erythema"] = cv2.mean(erythema[box], mask)[0]
        row["a"] = cv2.mean(a[box], mask)[0]
        row["pit_area"] = float((bands[2][box][inside] > 4).mean())
        inside4 = cv2.resize(mask, pattern[small].shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        row["lbp"] = np.histogram(pattern[small][inside4], 10, (0, 10), density=True)[0].round(5).tolist()
        grey = graycomatrix(quarter[small] >> 4, [1, 3], [0, np.pi / 2], levels=16, symmetric=True, normed=True)
        row["contrast"] = float(graycoprops(grey, "contrast").mean())
        values[name] = row
    return values, light8


def preview(light8, a, b, path):
    h, w = light8.shape
    chroma = [np.clip(plane, 0, 255).astype(np.uint8) for plane in (a, b)]
    picture = cv2.cvtColor(cv2.merge([light8, *chroma]), cv2.COLOR_LAB2BGR)
    scale = min(1, PREVIEW / max(h, w))
    picture = cv2.resize(picture, (round(w * scale), round(h * scale)), interpolation=cv2.INTER_AREA)
    cv2.imwrite(path, picture, [cv2.IMWRITE_JPEG_QUALITY, 85])


def one(path, reference, out, ecc_eps):
    ref = reference_of(reference)
    frame, inliers, correlation = ref["frame"], None, None
    if path != reference:
        frame, inliers, correlation = lay_over(decode(path), ref, ecc_eps)
    light, a, b = normalized(frame, ref)
    values, light8 = score(frame, light, a, b, ref["regions"])
    picture = "_".join(Path(path).parts[-4:-1]) + "_" + Path(path).stem + ".jpg"
    preview(light8, a, b, f"{out}/{picture}")
    return {"inliers": inliers, "correlation": correlation, "regions": values}


def work(job):
    (reference, photos), out, ecc_eps = job
    rows = []
    for path in photos:
        try:
            rows.append((path, "scored", json.dumps(one(path, reference, out, ecc_eps))))
        except (ValueError, OSError, cv2.error) as error:
            rows.append((path, "failed", str(error)))
    return rows


def start():
    cv2.setNumThreads(1)


def cpu_seconds():
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def main():
    options = argparse.ArgumentParser(description="Score a folder of session photos with OpenCV and scikit-image.")
    options.add_argument("bucket", type=Path, help="folder with clinic=…/patient=…/session=…/<view>.<shot>.<ext>")
    options.add_argument("--out", type=Path, required=True, help="folder for the database and the previews")
    options.add_argument("--workers", type=int, default=os.cpu_count())
    # OpenCV's own value. Smaller ones move the result by a pixel or two and take far longer.
    options.add_argument("--ecc-eps", type=float, default=1e-3, help="gain in correlation at which ECC stops")
    args = options.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    # The clock starts here: Python and its libraries are loaded, the workers are forked from this process.
    wall, cpu = time.monotonic(), cpu_seconds()
    series = series_of(args.bucket)
    if not series:
        sys.exit(f"error: no photos in {args.bucket}")
    db = sqlite3.connect(args.out / "peer.db")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("CREATE TABLE result (photo TEXT PRIMARY KEY, state TEXT, scores TEXT)")
    states = []
    jobs = [(job, str(args.out), args.ecc_eps) for job in pieces_of(series, args.workers)]
    with ProcessPoolExecutor(args.workers, multiprocessing.get_context("fork"), start) as pool:
        for rows in pool.map(work, jobs):
            with db:
                db.executemany("INSERT INTO result VALUES (?, ?, ?)", rows)
            states += [state for _, state, _ in rows]
    db.close()
    summary = {
        "photos": len(states), "scored": states.count("scored"), "failed": states.count("failed"),
        "seconds": time.monotonic() - wall, "cpu_seconds": cpu_seconds() - cpu,
    }
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
