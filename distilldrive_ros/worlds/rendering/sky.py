"""The sky: a dome with a drawn panorama of air, clouds and a far skyline."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from distilldrive_ros.worlds.rendering.lighting import Lighting
from distilldrive_ros.worlds.rendering.mesh import geom_node
from distilldrive_ros.worlds.rendering.panda import core
from distilldrive_ros.worlds.rendering.textures import soft_noise, upload

Array = NDArray[np.float64]

WIDTH, HEIGHT = 1024, 256
RADIUS_M = 2000.0
# Row fraction t of the panorama shows the elevation 90° t²: most rows lie near the horizon. It begins a little below.
LOWEST_DEG = -2.0
RINGS, SECTORS = 14, 48
SKYLINE_DEG = 2.4


def panorama(light: Lighting, overcast: float, rng: np.random.Generator) -> Array:
    """RGB (HEIGHT, WIDTH, 3) of 0 to 1, top row overhead, column 0 towards +x and counter-clockwise from there."""
    elevation = np.radians(_elevation_deg((HEIGHT - 0.5 - np.arange(HEIGHT)) / HEIGHT))[:, None]
    azimuth = ((np.arange(WIDTH) + 0.5) / WIDTH * 2 * np.pi)[None]
    climb = np.clip(np.sin(np.maximum(elevation, 0.0)) / 0.55, 0, 1) ** 0.6
    out = light.horizon + climb[..., None] * (light.zenith - light.horizon)
    out = np.repeat(out, WIDTH, axis=1) if out.shape[1] == 1 else out
    ray = np.stack(
        np.broadcast_arrays(
            np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)
        ),
        -1,
    )
    toward = np.clip(ray @ light.sun_direction, 0, 1)
    glow = 0.6 * toward**6 + 2.0 * toward**400
    out += (1 - overcast) * np.clip(glow, 0, 1)[..., None] * light.sun.mean() * (np.array([1.0, 0.96, 0.86]) - out)
    out += _clouds(elevation, overcast, rng)[..., None] * (light.horizon * 1.04 - out)
    out += _skyline(elevation, rng)[..., None] * (0.82 * light.horizon * np.array([0.92, 0.97, 1.0]) - out)
    if light.night:
        stars = (rng.random((HEIGHT, WIDTH)) < 0.0012) & (elevation > np.radians(8)) & (overcast < 0.5)
        out[stars] += 0.25
    return np.clip(out, 0, 1)


def _clouds(elevation: Array, overcast: float, rng: np.random.Generator) -> Array:
    """Cover (HEIGHT, WIDTH): flat layers, so they look stretched near the horizon."""
    field = soft_noise(rng, WIDTH, 1.6)
    rows = np.clip(np.tan(np.pi / 2 - np.maximum(elevation[:, 0], 0.04)) * 20, 0, WIDTH - 1).astype(int)
    cover = np.clip((field[rows] + 2.4 * overcast - 1.2) / 1.2, 0, 1)
    fade = np.clip(elevation / 0.08, 0, 1)
    return np.asarray(cover * fade * (0.55 + 0.4 * overcast))


def _skyline(elevation: Array, rng: np.random.Generator) -> Array:
    """Where far trees and roofs stand before the sky (HEIGHT, WIDTH)."""
    wave = soft_noise(rng, WIDTH, 1.5)[0]
    blocks = np.repeat(rng.random(WIDTH // 16) ** 3, 16)
    top = np.radians(0.5 + 0.35 * wave + SKYLINE_DEG * blocks * (rng.random(WIDTH // 16) < 0.4).repeat(16))
    softness = np.radians(0.25)
    return np.asarray(np.clip((top[None] - elevation) / softness + 0.5, 0, 1) * 0.85)


def _elevation_deg(t: Array) -> Array:
    return np.asarray(LOWEST_DEG + (90 - LOWEST_DEG) * np.clip(t, 0, 1) ** 2)


def sky_dome(light: Lighting, overcast: float, rng: np.random.Generator) -> Any:
    """The dome (`NodePath`), drawn behind all else; keep it centred on the camera."""
    t = np.linspace(0, 1, RINGS)
    elevation = np.radians(_elevation_deg(t))
    azimuth = np.linspace(0, 2 * np.pi, SECTORS + 1)
    e, a = (g.ravel() for g in np.meshgrid(elevation, azimuth, indexing="ij"))
    vertices = RADIUS_M * np.stack([np.cos(e) * np.cos(a), np.cos(e) * np.sin(a), np.sin(e)], axis=-1)
    uv = np.stack([a / (2 * np.pi), np.repeat(t, SECTORS + 1)], axis=-1)
    row, column = (g.ravel() for g in np.meshgrid(np.arange(RINGS - 1), np.arange(SECTORS), indexing="ij"))
    first = row * (SECTORS + 1) + column
    second, third, fourth = first + 1, first + SECTORS + 2, first + SECTORS + 1
    triangles = np.concatenate([np.stack([first, third, second], -1), np.stack([first, fourth, third], -1)])
    white = np.full((len(vertices), 4), 255, np.uint8)
    dome = core.NodePath(geom_node("sky", vertices, triangles, white, uv=uv))
    texture = upload("sky", panorama(light, overcast, rng))
    texture.set_wrap_v(core.SamplerState.WM_clamp)
    texture.set_minfilter(core.SamplerState.FT_linear)
    dome.set_texture(texture)
    dome.set_bin("background", 0)
    dome.set_depth_test(False)
    dome.set_depth_write(False)
    dome.set_fog_off()
    dome.set_light_off()
    return dome
