"""Random brightness, contrast, colour and channel order of pictures (spec 2.4)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.float32]

BRIGHTNESS = 32.0
CONTRAST = (0.5, 1.5)
SATURATION = (0.5, 1.5)
HUE_DEG = 18.0


def distort(picture: Picture, rng: np.random.Generator) -> Picture:
    """Change an RGB picture (H, W, 3), 0 to 255, float32; each step with a probability of one half.

    Values may leave 0 to 255, as they do in the official training. Contrast comes first or last.
    """
    out = picture
    if rng.random() < 0.5:
        out = out + np.float32(rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    contrast_first, contrast = rng.random() < 0.5, np.float32(rng.uniform(*CONTRAST) if rng.random() < 0.5 else 1.0)
    if contrast_first:
        out = out * contrast
    if rng.random() < 0.5:
        out = scale_saturation(out, float(rng.uniform(*SATURATION)))
    if rng.random() < 0.5:
        out = shift_hue(out, float(rng.uniform(-HUE_DEG, HUE_DEG)))
    if not contrast_first:
        out = out * contrast
    if rng.random() < 0.5:
        out = out[..., rng.permutation(3)]
    return np.ascontiguousarray(out, np.float32)


def scale_saturation(picture: Picture, factor: float) -> Picture:
    """Saturation times a factor: the value (the largest channel) stays, the distance of the others to it grows."""
    value = picture.max(axis=-1, keepdims=True)
    return np.asarray(value + np.float32(factor) * (picture - value), np.float32)


def shift_hue(picture: Picture, degrees: float) -> Picture:
    """Hue turned by an angle, saturation and value kept."""
    value = picture.max(axis=-1)
    chroma = value - picture.min(axis=-1)
    safe = np.where(chroma > 0, chroma, 1)
    r, g, b = (picture[..., channel] for channel in range(3))
    sextant = np.where(value == r, (g - b) / safe, np.where(value == g, 2 + (b - r) / safe, 4 + (r - g) / safe))
    turned = sextant + np.float32(degrees / 60)
    channels = []
    for n in (5.0, 3.0, 1.0):
        k = np.mod(turned + np.float32(n), 6)
        channels.append(value - chroma * np.clip(np.minimum(k, 4 - k), 0, 1))
    return np.stack(channels, axis=-1).astype(np.float32)
