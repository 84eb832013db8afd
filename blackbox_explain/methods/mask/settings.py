"""Settings of the mask learner: the paper's, its authors', and ours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from blackbox_explain.errors import InputError
from blackbox_explain.methods.mask.jitter import JitterKind, width_for
from blackbox_explain.methods.mask.regularizers import TotalVariationKind
from blackbox_explain.methods.mask.upsampling import UpsamplingKind
from blackbox_explain.perturbations.perturbation import Blur, Constant, Noise, Perturbation

__all__ = [
    "PERTURBATIONS",
    "PRESETS",
    "PerturbationName",
    "PresetName",
    "Settings",
    "make_perturbation",
    "settings_for",
]

Start = Literal["circle", "authors_circle", "gradient", "ones"]


_CHOICES: dict[str, tuple[str, ...]] = {
    "tv_kind": get_args(TotalVariationKind),
    "upsampling": get_args(UpsamplingKind),
    "jitter_kind": get_args(JitterKind),
    "start": get_args(Start),
    "noise": ("gaussian", "uniform"),
}


def _out_of_range(name: str, value: object, expected: str) -> InputError:
    return InputError(f"The setting {name} is out of range", got=f"{name}={value!r}", expected=expected)


@dataclass(frozen=True)
class Settings:
    """How a mask is learned; every field may be overridden by name in `explain`.

    Attributes
    ----------
    steps
        Iterations of the optimizer.
    learning_rate, beta1, beta2
        Of Adam.
    area_weight, tv_weight, tv_beta, tv_kind
        λ1, λ2 and β of eq. 4, see `Regularizer`.
    mask_shape
        Cells of the mask; None is one for every 8 pixels.
    upsampling
        ``"gaussian"`` or ``"nearest_blur"``, see `make_upsampling`.
    jitter, jitter_kind
        τ is drawn from [0, jitter) pixels on each axis, see `canvas`.  That of a preset is for 224 pixels, and smaller
        for images of less than 56, see `jitter.width_for`; one that is given is taken as it is.
        The authors' crops are taken of the image resized to 228; here the levels are, from 224.
    start
        ``"circle"``: the smallest centred disc that suppresses the score by 99 % relative to the fully perturbed
        image.  ``"authors_circle"``: the same relative to the largest disc.  ``"gradient"``: a level set of the
        smoothed integrated gradient in mask space.  ``"ones"``: nothing deleted (for preservation: everything).
    start_area
        Share of the cells in the level set of the start ``"gradient"``.
    start_points
        Points of its integral, one gradient each.
    average
        The result is the mean of the masks of all steps instead of the last.
    relative
        The score is divided by what perturbing the whole image takes away from it, so that λ1 and λ2 mean the same for
        a score of 0.4 as for one of 0.9; the paper does not.
    blur_levels, noise
        Of the perturbations given by name.  The authors blur the photo before it is resized to the network's input: on
        arrays that cannot be done, so give `explain` a `Reference` made by ``load_images(paths, spec, blur=10)``, as
        the command line does.
    queries
        Most images that a black box without gradients is run on for each row, all included.
    tolerance
        A row stops once the mean objective of 10 steps is less than this below that of the 10 before; None never.
    """

    steps: int = 300
    learning_rate: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.999
    area_weight: float = 1e-4
    tv_weight: float = 1e-2
    tv_beta: float = 3.0
    tv_kind: TotalVariationKind = "anisotropic"
    mask_shape: tuple[int, ...] | None = None
    upsampling: UpsamplingKind = "gaussian"
    jitter: int = 4
    jitter_kind: JitterKind = "shift"
    start: Start = "circle"
    start_area: float = 0.15
    start_points: int = 8
    average: bool = False
    relative: bool = False
    blur_levels: int = 11
    noise: Literal["gaussian", "uniform"] = "gaussian"
    queries: int = 2000
    tolerance: float | None = None

    def __post_init__(self) -> None:
        least = {"steps": 1, "start_points": 1, "blur_levels": 2, "jitter": 0, "queries": 100}
        for name, smallest in least.items():
            value = getattr(self, name)
            if not isinstance(value, (int, np.integer)) or value < smallest:
                raise _out_of_range(name, value, f"a whole number of at least {smallest}")
            object.__setattr__(self, name, int(value))
        ranges = {"beta1": (0, 1), "beta2": (0, 1), "start_area": (0, 1), "learning_rate": (0, np.inf)}
        for name, (low, high) in ranges.items():
            if not low <= getattr(self, name) < high:
                raise _out_of_range(name, getattr(self, name), f"a number from {low} up to {high}")
        if self.mask_shape is not None and not isinstance(self.mask_shape, (tuple, list)):
            raise _out_of_range("mask_shape", self.mask_shape, "a size for each spatial axis, such as (28, 28)")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise _out_of_range(name, getattr(self, name), " or ".join(map(repr, choices)))


PresetName = Literal["fast", "paper", "authors"]
PRESETS: dict[PresetName, Settings] = {
    "paper": Settings(),
    "authors": Settings(
        tv_kind="isotropic",
        upsampling="nearest_blur",
        jitter_kind="crop",
        start="authors_circle",
        blur_levels=2,
        noise="uniform",
    ),
    "fast": Settings(
        steps=40, beta2=0.9, area_weight=3e-3, start="gradient", average=True, relative=True, blur_levels=2
    ),
}

PerturbationName = Literal["blur", "constant", "noise"]
PERTURBATIONS: tuple[PerturbationName, ...] = ("blur", "constant", "noise")


def settings_for(preset: PresetName, overrides: dict[str, Any], spatial: tuple[int, ...] | None = None) -> Settings:
    """Return a preset with some of its fields replaced.

    Parameters
    ----------
    preset
        Its name.
    overrides
        Fields of `Settings`.
    spatial
        Sizes of the images in pixels, which decide how far jitter moves them; None is as for 224 pixels.

    Raises
    ------
    InputError
        If there is no such preset or field, or a value is out of range.
    """
    if preset not in PRESETS:
        raise InputError("There is no such preset", got=repr(preset), expected=" or ".join(map(repr, PRESETS)))
    fields = {field.name for field in dataclasses.fields(Settings)}
    unknown = sorted(set(overrides) - fields)
    if unknown:
        raise InputError(
            "There is no such setting", got=", ".join(unknown), expected=f"some of {', '.join(sorted(fields))}"
        )
    chosen = dataclasses.replace(PRESETS[preset], **overrides)
    if spatial is None or "jitter" in overrides:
        return chosen
    return dataclasses.replace(chosen, jitter=width_for(chosen.jitter, spatial))


def make_perturbation(perturbation: str | Perturbation, settings: Settings) -> Perturbation:
    """Return a perturbation, given one or the name of one, whose details the preset decides.

    Raises
    ------
    InputError
        If the name is none of `PERTURBATIONS`.
    """
    if not isinstance(perturbation, str):
        return perturbation
    made: dict[str, Perturbation] = {
        "blur": Blur(levels_count=settings.blur_levels),
        "constant": Constant(),
        "noise": Noise(distribution=settings.noise),
    }
    if perturbation not in made:
        raise InputError(
            "There is no such perturbation",
            got=repr(perturbation),
            expected=" or ".join(map(repr, PERTURBATIONS)),
            hint="pass an object of blackbox_explain.perturbations, or one of your own",
        )
    return made[perturbation]
