"""Textures drawn from a generator: the grain of asphalt, pavement, grass and walls. They repeat without a seam."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.worlds.rendering.panda import core

Array = NDArray[np.float64]

SIZE = 256
# Textures darken what they lie on; this is their mean, and colours beneath are raised by its inverse.
MEAN = 0.8


def soft_noise(rng: np.random.Generator, size: int, slope: float) -> Array:
    """Noise (size, size), mean 0, deviation 1, that repeats; amplitude falls with frequency to the power `slope`."""
    spectrum = np.fft.rfft2(rng.normal(size=(size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(spectrum * frequency**-slope, s=(size, size))
    return np.asarray((noise - noise.mean()) / noise.std())


def asphalt(rng: np.random.Generator) -> Array:
    """Grain, worn patches and a few cracks."""
    out = MEAN + 0.035 * rng.normal(size=(SIZE, SIZE)) + 0.03 * soft_noise(rng, SIZE, 1.4)
    ridge = np.abs(soft_noise(rng, SIZE, 2.2))
    out[(ridge < 0.008) & (soft_noise(rng, SIZE, 1.8) > 0.9)] *= 0.72
    return out


def pavement(rng: np.random.Generator) -> Array:
    """Slabs with dark joints: 8 x 8 on the texture."""
    slab = SIZE // 8
    tone = np.kron(0.03 * rng.normal(size=(8, 8)), np.ones((slab, slab)))
    out = MEAN + tone + 0.03 * rng.normal(size=(SIZE, SIZE)) + 0.02 * soft_noise(rng, SIZE, 1.4)
    joint = (np.arange(SIZE) % slab) < 1
    out[joint] *= 0.8
    out[:, joint] *= 0.8
    return out


def grass(rng: np.random.Generator) -> Array:
    """Tufts."""
    return MEAN + 0.08 * soft_noise(rng, SIZE, 0.6) + 0.06 * soft_noise(rng, SIZE, 1.6)


def blotches(rng: np.random.Generator) -> Array:
    """Wide, soft changes of brightness, so that repetition does not catch the eye."""
    return 0.9 + 0.05 * soft_noise(rng, SIZE, 1.7)


def foliage(rng: np.random.Generator) -> Array:
    """Leaves: light tips before dark gaps."""
    return np.clip(0.78 + 0.2 * soft_noise(rng, SIZE, 0.35) + 0.12 * soft_noise(rng, SIZE, 1.2), 0.3, 1.0)


def soft_disc(power: float = 1.5) -> Array:
    """Alpha (64, 64): full in the middle, none at the rim."""
    axis = (np.arange(64) + 0.5) / 32 - 1
    return np.clip(1 - np.hypot(axis[:, None], axis[None]), 0, 1) ** power


def upload(name: str, values: Array, alpha: Array | None = None, repeat: bool = True) -> Any:
    """A texture of the engine from grey (H, W) or RGB (H, W, 3) values of 0 to 1; sides must be powers of two."""
    colors = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=-1)
    channels = [colors[..., 2], colors[..., 1], colors[..., 0]]
    if alpha is not None:
        channels.append(alpha)
    content = np.rint(np.clip(np.stack(channels, axis=-1), 0, 1) * 255).astype(np.uint8)
    height, width = values.shape[:2]
    texture = core.Texture(name)
    texture.setup_2d_texture(
        width, height, core.Texture.T_unsigned_byte, core.Texture.F_rgb if alpha is None else core.Texture.F_rgba
    )
    texture.set_ram_image(content[::-1].tobytes())
    wrap = core.SamplerState.WM_repeat if repeat else core.SamplerState.WM_clamp
    texture.set_wrap_u(wrap)
    texture.set_wrap_v(wrap)
    texture.set_minfilter(core.SamplerState.FT_linear_mipmap_nearest)
    texture.set_magfilter(core.SamplerState.FT_linear)
    return texture
