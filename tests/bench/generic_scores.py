#!/usr/bin/env python3
"""What texture scores of the literature tell of scar change, on a series with known truth.

  tests/bench/generic_scores.py <series> [--json]

<series> holds bucket/ and truth.json, whose photos carry `roi_polygon_px`: the true outline of the region in each photo.
Each region is warped to 400 x 260 px (0.1 mm) by its true outline, so that no score suffers from a registration. Shots of
a session are averaged on the ln scale, and a line from true to observed ln change is fitted on the other patients, as in
`cicatrix accuracy`. Told are MDC95 as an improvement (1.96 root mean squares, ln scale, of the change told where the truth is zero; also on
the ln scale itself, on which scores can be divided by each other), error (1.96
standard deviations) and Lin's concordance. Rendered skin, not clinically validated.
"""
import argparse
import json
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from skimage.feature import graycomatrix, graycoprops, hessian_matrix, hessian_matrix_eigvals, local_binary_pattern

WIDTH, HEIGHT, PX_PER_MM = 400, 260, 10


def region(path, outline):
    """The region in linear light, seen straight on."""
    code = cv2.imread(str(path), cv2.IMREAD_COLOR)[:, :, ::-1].astype(np.float32) / 255
    outline = np.float32(outline)
    corners = outline[[0, 10, 16, 26]] if len(outline) == 32 else cv2.boxPoints(cv2.minAreaRect(outline))
    target = np.float32([[0, 0], [WIDTH - 1, 0], [WIDTH - 1, HEIGHT - 1], [0, HEIGHT - 1]])
    warped = cv2.warpPerspective(code, cv2.getPerspectiveTransform(corners, target), (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
    return np.where(warped <= 0.04045, warped / 12.92, ((warped + 0.055) / 1.055) ** 2.4)


def scores(linear, baseline):
    green = np.log(np.clip(linear[:, :, 1], 1e-4, None))
    code = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.clip(linear, 0, None) ** (1 / 2.4) - 0.055)
    grey = cv2.cvtColor(code.astype(np.float32), cv2.COLOR_RGB2GRAY)
    blur = lambda image, mm: cv2.GaussianBlur(image.astype(np.float32), (0, 0), mm * PX_PER_MM)
    band = lambda image: sum(float(np.mean((blur(image, s) - blur(image, 2 * s)) ** 2)) for s in (0.4, 0.8, 1.6))
    levels = np.clip(grey * 31, 0, 31).astype(np.uint8)
    glcm = graycomatrix(levels, [2, 4], [0, np.pi / 4, np.pi / 2, 3 * np.pi / 4], levels=32, symmetric=True, normed=True)
    lbp = local_binary_pattern((grey * 255).astype(np.uint8), 16, 2, "uniform")
    shares = np.histogram(lbp, bins=18, density=True)[0]
    valley = hessian_matrix_eigvals(hessian_matrix(blur(green, 0.2), sigma=6, use_gaussian_derivatives=False))[0]
    return {
        "whole-region DoG, ln linear": band(green) ** 0.5,
        "whole-region DoG, sRGB": band(grey) ** 0.5,
        "Hessian valley": float(np.mean(np.clip(valley, 0, None))),
        "Laplacian": float(cv2.Laplacian(grey, cv2.CV_32F).var()) ** 0.5,
        "GLCM contrast": float(graycoprops(glcm, "contrast").mean()),
        "LBP entropy": float(-np.sum(shares[shares > 0] * np.log(shares[shares > 0]))),
        "1 - SSIM": max(1e-4, 1 - ssim(grey, baseline)) if baseline is not None else None,
    }, grey


def ssim(a, b):
    blur = lambda image: cv2.GaussianBlur(image, (0, 0), 1.5)
    ma, mb = blur(a), blur(b)
    va, vb, cab = blur(a * a) - ma * ma, blur(b * b) - mb * mb, blur(a * b) - ma * mb
    return float(np.mean((2 * ma * mb + 1e-4) * (2 * cab + 9e-4) / ((ma**2 + mb**2 + 1e-4) * (va + vb + 9e-4))))


def held_out(rows):
    """True and told ln change, each patient told by the line of the others."""
    told = []
    for subject, true, observed in rows:
        others = [(t, o) for s, t, o in rows if s != subject]
        slope, offset = np.polyfit([t for t, _ in others], [o for _, o in others], 1)
        told.append((true, (observed - offset) / slope if abs(slope) > 0.02 else np.nan))
    return np.array(told)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", type=Path)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    truth = json.loads((args.series / "truth.json").read_text())
    values, change, baselines = defaultdict(list), {}, {}
    for photo in truth["photos"]:
        patient, day = photo["patient"], photo["session_date"]
        image = region(args.series / "bucket" / photo["file"], photo["roi_polygon_px"])
        found, grey = scores(image, baselines.get(patient))
        baselines.setdefault(patient, grey)
        change[patient, day] = photo["truth"]["true_volume_change"]
        for name, value in found.items():
            if value is not None:
                values[name, patient, day].append(np.log(value))
    table = []
    for name in dict.fromkeys(key[0] for key in values):
        rows = []
        for patient in dict.fromkeys(p for p, _ in change):
            days = sorted(d for p, d in change if p == patient)
            level = {d: np.mean(values[name, patient, d]) for d in days if values[name, patient, d]}
            # What is compared with the baseline already is itself the change.
            zero = 0.0 if name == "1 - SSIM" else level[days[0]]
            rows += [(patient, np.log1p(change[patient, d]), level[d] - zero) for d in days[1:]]
        told = held_out(rows)
        told = told[np.isfinite(told[:, 1])]
        true, seen = 100 * np.expm1(told[:, 0]), 100 * np.expm1(np.clip(told[:, 1], -5, 3))
        still = told[told[:, 0] == 0, 1]
        mdc = -100 * np.expm1(-1.96 * np.sqrt(np.mean(still**2))) if len(still) else float("nan")
        ccc = 2 * np.cov(true, seen, bias=True)[0, 1] / (true.var() + seen.var() + (true.mean() - seen.mean()) ** 2)
        table.append({"score": name, "n": len(told), "mdc95_pct": mdc, "mdc95_ln": -np.log1p(-mdc / 100), "error_95_pct": 1.96 * (seen - true).std(), "ccc": ccc})
    if args.json:
        print(json.dumps(table))
        return
    print("| Score | n | MDC95, % | ln | Error, 1.96 SD % | CCC |\n|---|---|---|---|---|---|")
    for row in table:
        print(f"| {row['score']} | {row['n']} | {row['mdc95_pct']:.0f} | {row['mdc95_ln']:.2f} | {row['error_95_pct']:.0f} | {row['ccc']:.2f} |")


if __name__ == "__main__":
    main()
