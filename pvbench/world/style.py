"""Styles of drawing: a person and a place as a cartoon or as a pencil sketch, from what the renderer knows of them.

Geometry is never touched, so that a person in a style is that person, and the true video in a style exists. A style is
drawn `FINE` times larger than its picture and averaged, so that a line may be thinner than a pixel.

Source: ours. Cel shading: Decaudin, "Cartoon-Looking Rendering of 3D-Scenes", 1996 (flat tones, lines at edges of depth
and of colour). Hatching by tone: Praun et al., "Real-Time Hatching", 2001, without its textures.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage

from pvbench.world.raster import Light

Array = NDArray[Any]
Picture = NDArray[np.float32]

FINE = 4
"""Samples of a style along each side of a pixel."""
FLAT = Light((0.0, -1.0, 0.0), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (1.0, 1.0, 1.0))
"""A light without direction, under which the mesh has its own colours."""
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Layers:
    """What a style draws from: arrays (h, w) or (h, w, 3) at `FINE` samples a pixel, displayed colours in [0, 1].

    Attributes:
        colour: the person's own colours, without light; black where there is no one.
        shade: luminance under the scene's light, divided by that of `colour`; about 0.2 in shadow, 1 in full light.
        depth: metres from the camera; more than any of the person's where there is no one.
        person, head: 1 where the person, and the person's head, covers the sample, else 0.
        backdrop: the place behind the person.
    """

    colour: Picture
    shade: Picture
    depth: Picture
    person: Picture
    head: Picture
    backdrop: Picture


def layers_of(lit: Picture, flat: Picture, backdrop: Picture) -> Layers:
    """The layers of two drawings of one pose by `pvbench.world.raster.draw`, with its marks and depths.

    Args:
        lit, flat: (h, w, 6) under the scene's light, and under `FLAT`: linear RGB, coverage, head, depth.
        backdrop: (h, w, 3) in [0, 1].
    """
    bright, own = (layer[..., :3] @ _GREY for layer in (lit, flat))
    shade = np.where(own > 1e-3, bright / np.maximum(own, 1e-3), 1.0)
    # Sharp lights on very dark hair would divide by almost nothing.
    shade = np.clip(shade, 0.0, 1.6).astype(np.float32)
    colour = (np.clip(flat[..., :3], 0, 1) ** (1 / 2.2)).astype(np.float32)
    return Layers(colour, shade, lit[..., 5], lit[..., 3], lit[..., 4], backdrop.astype(np.float32))


def cartoon(layers: Layers) -> Picture:
    """Three flat tones of shade, saturated colours, dark outlines; (h, w, 3) in [0, 1]."""
    shade = _blurred(layers.shade, 2.0)
    tone = np.select([shade < 0.45, shade < 0.82], [0.62, 0.85], 1.08).astype(np.float32)
    figure = _saturated(_flattened(layers.colour, 3), 1.35) * tone[..., None]
    place = _saturated(_posterised(_flattened(layers.backdrop, 7), 6), 1.5)
    outline, thin = _outlines(layers)
    inked = _mixed(place, figure, layers.person)
    inked = inked * (1 - 0.35 * _edges(place @ _GREY, 0.12, 1)[..., None] * (1 - layers.person)[..., None])
    ink = np.maximum(outline * 0.95, thin * 0.35)[..., None]
    return _clipped(inked * (1 - ink) + np.array([0.07, 0.05, 0.10], np.float32) * ink)


def sketch(layers: Layers) -> Picture:
    """Grey pencil on paper: hatched where it is dark, twice where it is darker; (h, w, 3) in [0, 1]."""
    own = layers.colour @ _GREY
    # Dark skin is a lighter grey than dark cloth: its features have to stand out of the strokes.
    figure = own ** (1 - 0.3 * layers.head) * np.clip(0.45 + 0.6 * _blurred(layers.shade, 2.0), 0, 1.1)
    relief = np.clip(own / np.maximum(_blurred(own, 3.0 * FINE), 0.05), 0.45, 1.5) ** layers.head
    place = 0.35 + 0.65 * (_flattened(layers.backdrop, 7) @ _GREY)
    grey = _mixed(place[..., None], figure[..., None], layers.person)[..., 0]
    yy, xx = np.mgrid[: grey.shape[0], : grey.shape[1]]
    # Strokes 2.5 pixels apart: nearer ones would melt into grey in a small picture.
    period, paper = 2.5 * FINE, 0.95
    strokes = [((xx * c + yy * s) % period) < 0.42 * period for c, s in ((0.6, 0.8), (0.8, -0.6))]
    dark = [strokes[0] & (grey < 0.60), strokes[1] & (grey < 0.33)]
    drawn = paper * (0.62 + 0.38 * np.clip(grey / 0.75, 0, 1)) - 0.22 * dark[0] - 0.22 * dark[1]
    drawn = drawn * np.minimum(relief, 1.1)
    outline, thin = _outlines(layers)
    thin = np.maximum(thin, 0.5 * _edges(place, 0.10, 1) * (1 - layers.person))
    drawn = drawn * (1 - np.maximum(outline * 0.85, thin * 0.7))
    return _clipped(drawn[..., None] * np.array([1.0, 0.99, 0.96], np.float32))


DRAWN: Mapping[str, Callable[[Layers], Picture]] = {"cartoon": cartoon, "sketch": sketch}
"""How each of `pvbench.world.vocabulary.STYLES` is drawn."""


def reduced(picture: Array) -> Picture:
    """A picture at its own size, each pixel the mean of its `FINE` x `FINE` samples.

    Args:
        picture: (h, w) or (h, w, channels), `FINE` times as large.
    """
    high, wide = picture.shape[0] // FINE, picture.shape[1] // FINE
    found: Picture = picture.reshape(high, FINE, wide, FINE, *picture.shape[2:]).mean(axis=(1, 3), dtype=np.float32)
    return found


def _outlines(layers: Layers) -> tuple[Picture, Picture]:
    """Samples of strong lines, where something ends, and of thin ones, where colours meet, each in [0, 1]."""
    # Where the depth breaks off, and not where a surface is only seen at a flat angle.
    bends = np.maximum.reduce([np.abs(ndimage.convolve1d(layers.depth, [1, -2, 1], axis=axis)) for axis in (0, 1)])
    breaks = ndimage.maximum_filter(((bends > 0.016) & (layers.person > 0)).astype(np.float32), 2)
    grey = layers.colour @ _GREY
    inner = _edges(_blurred(grey, 0.7), 0.14, 1) * layers.person
    ends = np.maximum(0.75 * breaks, _edges(layers.person, 0.5, 2))
    return ends, np.maximum(inner, 0.8 * _edges(layers.head, 0.5, 1))


def _edges(values: Picture, least: float, reach: int) -> Picture:
    """1 where values differ by `least` or more within so many samples, else 0."""
    size = 2 * reach + 1
    apart = ndimage.maximum_filter(values, size) - ndimage.minimum_filter(values, size)
    found: Picture = (apart >= least).astype(np.float32)
    return found


def _blurred(values: Picture, radius: float) -> Picture:
    found: Picture = ndimage.gaussian_filter(values, radius)
    return found


def _flattened(picture: Picture, size: int) -> Picture:
    """Without details smaller than half of `size`, edges kept: the median of each channel."""
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.MedianFilter(size)), np.float32) / np.float32(255)


def _posterised(picture: Picture, levels: int) -> Picture:
    """The picture with so many levels of brightness; hues stay."""
    grey = np.maximum(picture @ _GREY, 1e-3)[..., None]
    steps = (np.floor(grey * levels) + 0.5) / levels
    found: Picture = (picture / grey * steps).astype(np.float32)
    return found


def _saturated(picture: Picture, factor: float) -> Picture:
    grey = (picture @ _GREY)[..., None]
    return _clipped(grey + (picture - grey) * factor)


def _mixed(below: Picture, above: Picture, part: Picture) -> Picture:
    found: Picture = below + (above - below) * part[..., None]
    return found


def _clipped(picture: Array) -> Picture:
    found: Picture = np.clip(picture, 0, 1).astype(np.float32)
    return found
