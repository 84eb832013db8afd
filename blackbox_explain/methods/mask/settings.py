"""Settings of the mask learner, and its presets: the paper's, its authors', and ours."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, get_args

from blackbox_explain.errors import InputError
from blackbox_explain.methods.mask.jitter import JitterKind, width_for
from blackbox_explain.methods.mask.regularizers import TotalVariationKind
from blackbox_explain.methods.upsampling import STRIDE, UpsamplingKind
from blackbox_explain.perturbations.named import called, perturbation_of, record_of
from blackbox_explain.perturbations.perturbation import Blur, Noise, Perturbation
from blackbox_explain.setting_ranges import MOST_RUNS, check_number, check_whole, is_number, out_of_range

__all__ = ["PRESETS", "LearnedGame", "PresetName", "Settings", "make_perturbation"]

PresetName = Literal["fast", "quick", "thorough", "paper", "authors"]

Learns = Literal["ranking", "mask"]

LearnedGame = Literal["deletion", "preservation", "both"]

Start = Literal["circle", "authors_circle", "gradient", "ones", "centre"]


_PAPER: dict[str, Any] = {
    "steps": 300,
    "learning_rate": 0.1,
    "beta1": 0.9,
    "beta2": 0.999,
    "area_weight": 1e-4,
    "tv_weight": 1e-2,
    "tv_beta": 3.0,
    "tv_kind": "anisotropic",
    "mask_shape": None,
    "stride": STRIDE,
    "upsampling": "gaussian",
    "jitter": 4,
    "jitter_kind": "shift",
    "start": "circle",
    "start_area": 0.15,
    "start_points": 8,
    "average": False,
    "relative": False,
    "blur_levels": 11,
    "noise": "gaussian",
    "queries": 2000,
    "tolerance": None,
    "least_share": 0.02,
    "most_share": 0.5,
    "softness": 0.15,
    "epsilon": 1e-8,
    "end_factor": 1.0,
}
_AUTHORS: dict[str, Any] = _PAPER | {
    "tv_kind": "isotropic",
    "upsampling": "nearest_blur",
    "jitter_kind": "crop",
    "start": "authors_circle",
    "blur_levels": 2,
    "noise": "uniform",
}
_FAST: dict[str, Any] = _PAPER | {
    "steps": 38,
    "learning_rate": 0.2,
    "beta1": 0.8,
    "beta2": 0.99,
    "softness": 0.25,
    "epsilon": 0.7,
    "start": "gradient",
    "start_points": 4,
    "average": True,
    "relative": True,
    "blur_levels": 2,
}
_QUICK: dict[str, Any] = _FAST | {"steps": 7, "learning_rate": 0.6, "start_points": 3, "stride": 6}
_THOROUGH: dict[str, Any] = _FAST | {"steps": 90, "end_factor": 0.1}
_OF_GAME: dict[str, dict[str, Any]] = {
    "deletion": {},
    "preservation": {"beta1": 0.9, "softness": 0.15, "epsilon": 0.3},
    "both": {"epsilon": 0.1},
}
"""What rankings have of their own: where nearly all of the image is deleted, most cells have small gradients, and count
nevertheless."""

_OF_KEEPING: dict[str, dict[str, Any]] = {
    "quick": {"steps": 12, "learning_rate": 0.2, "start_points": 2, "stride": STRIDE},
}
"""What presets have of their own where something is to be kept: few large steps on fine cells keep less."""

_VALUES: dict[str, dict[str, Any]] = {
    "fast": _FAST,
    "quick": _QUICK,
    "thorough": _THOROUGH,
    "paper": _PAPER,
    "authors": _AUTHORS,
}

_UNUSED: dict[Learns, tuple[str, ...]] = {
    "ranking": ("area_weight", "tv_weight", "tv_beta", "tv_kind", "start_area", "average", "relative", "tolerance"),
    "mask": ("least_share", "most_share", "softness", "epsilon", "end_factor"),
}
"""Settings that would do nothing."""

_UNUSED_HINT: dict[Learns, str] = {
    "ranking": 'it ranks all pixels, suppress= says how much of the score goes; preset="paper" learns a mask with it',
    "mask": 'preset="fast" learns a ranking by shares',
}

_STARTS: dict[Learns, tuple[Start, ...]] = {
    "ranking": ("gradient", "centre"),
    "mask": ("circle", "authors_circle", "gradient", "ones"),
}

LEAST_ESTIMATED = 0.1
"""Least share of a ranking that is learned from scores alone, where none is given."""

OF_PRESET: Any = None
"""Default of a setting that the preset decides."""

_CHOICES: dict[str, tuple[str, ...]] = {
    "game": get_args(LearnedGame),
    "tv_kind": get_args(TotalVariationKind),
    "upsampling": get_args(UpsamplingKind),
    "jitter_kind": get_args(JitterKind),
    "noise": ("gaussian", "uniform"),
}


@dataclass(frozen=True)
class Settings:
    """How a mask is learned: a preset, and what is to differ from it.

    `dataclasses.replace` keeps what preset and game decided: for another game, make another `Settings`.

    Attributes
    ----------
    preset
        ``"fast"`` (42 gradients and 18 scores for each image), ``"quick"`` (10, or 14 where something is to be kept) or
        ``"thorough"`` (94) learn a ranking of the pixels; ``"paper"`` and ``"authors"`` (300 gradients, and the scores
        of a start) a mask.  It decides what is not given.
    game
        ``"deletion"``: the smallest region without which the score falls.  ``"preservation"``: the smallest region
        that is enough for it.  ``"both"``: one ranking for the two; its region is that of deletion.
    least_share, most_share, softness
        Of a ranking: the shares that are deleted, as numbers between 0 and 1, and τ, how soft the edges of its level
        sets are.  The least share of a preset is a larger one, 10 %, for boxes without gradients.
    perturbation
        What stands in for deleted pixels: a name of `named`, such as ``"blur"``, ``"constant"`` or ``"noise"``, or a
        `Perturbation`.
    steps
        Iterations of the optimizer.
    learning_rate, beta1, beta2
        Of Adam.
    epsilon
        Of Adam, for a ranking, in units of the mean size of a gradient: cells whose gradient is far below that stay
        where they are, where Adam as it is would move them by rounding errors as far as all others.
    end_factor
        Of the learning rate, for a ranking: what it is multiplied by at the last step; it falls evenly, from 1.
    area_weight, tv_weight, tv_beta, tv_kind
        λ1, λ2 and β of eq. 4, see `Regularizer`.
    mask_shape, stride
        Cells of the mask; None is one for every `stride` pixels along each axis, at least 14 where there are as many
        pixels.
    upsampling
        ``"gaussian"`` or ``"nearest_blur"``, see `make_upsampling`.
    jitter, jitter_kind
        τ is drawn from [0, jitter) pixels on each axis, see `canvas`.  That of a preset is for 224 pixels, and smaller
        for images of less than 56, see `jitter.width_for`; one that is given is taken as it is.
        The authors' crops are taken of the image resized to 228; here the levels are, from 224.
    start
        ``"circle"``: the smallest centred disc that suppresses the score by 99 % relative to the fully perturbed
        image.  ``"authors_circle"``: the same relative to the largest disc.  ``"gradient"``: a level set of the
        smoothed integrated gradient in mask space.  ``"ones"``: nothing deleted (for preservation: everything).  A
        ranking starts from ``"gradient"``, the ranks of that gradient, or from ``"centre"``, the nearer to it the
        earlier.
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

    name: ClassVar[str] = "mask"

    preset: PresetName = "fast"
    game: LearnedGame = "deletion"
    perturbation: str | Perturbation = "blur"
    steps: int = OF_PRESET
    learning_rate: float = OF_PRESET
    beta1: float = OF_PRESET
    beta2: float = OF_PRESET
    area_weight: float = OF_PRESET
    tv_weight: float = OF_PRESET
    tv_beta: float = OF_PRESET
    tv_kind: TotalVariationKind = OF_PRESET
    mask_shape: tuple[int, ...] | None = None
    stride: int = OF_PRESET
    upsampling: UpsamplingKind = OF_PRESET
    jitter: int = OF_PRESET
    jitter_kind: JitterKind = OF_PRESET
    start: Start = OF_PRESET
    start_area: float = OF_PRESET
    start_points: int = OF_PRESET
    average: bool = OF_PRESET
    relative: bool = OF_PRESET
    blur_levels: int = OF_PRESET
    noise: Literal["gaussian", "uniform"] = OF_PRESET
    queries: int = OF_PRESET
    tolerance: float | None = None
    least_share: float = OF_PRESET
    most_share: float = OF_PRESET
    softness: float = OF_PRESET
    epsilon: float = OF_PRESET
    end_factor: float = OF_PRESET
    given: frozenset[str] = field(init=False, default=frozenset(), repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.preset not in _VALUES:
            raise InputError("There is no such preset", got=repr(self.preset), expected=" or ".join(map(repr, PRESETS)))
        given = frozenset(name for name in ("jitter", "least_share") if getattr(self, name) is not None)
        object.__setattr__(self, "given", given)
        own = _OF_GAME.get(self.game, {}) if self.learns == "ranking" else {}
        keeping = _OF_KEEPING.get(self.preset, {}) if self.game != "deletion" else {}
        for name, value in (_VALUES[self.preset] | own | keeping).items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, value)
            elif name in _UNUSED[self.learns] and getattr(self, name) != value:
                raise InputError(
                    f"The preset {self.preset!r} has no {name}",
                    got=f"{name}={getattr(self, name)!r}",
                    hint=_UNUSED_HINT[self.learns],
                )
        if self.start not in _STARTS[self.learns]:
            expected = f"{' or '.join(map(repr, _STARTS[self.learns]))} with preset={self.preset!r}"
            raise out_of_range(self, "start", expected)
        if self.game == "both" and self.learns == "mask":
            raise out_of_range(self, "game", f"'deletion' or 'preservation' with preset={self.preset!r}")
        self._check()
        make_perturbation(self)

    @property
    def learns(self) -> Learns:
        """What is learned: a ranking of the pixels, or a mask by eq. 4."""
        return "mask" if self.preset in ("paper", "authors") else "ranking"

    def at(self, spatial: tuple[int, ...], *, exact: bool = True) -> Self:
        """Return the settings for images of a size in pixels, of a box with gradients or without.

        The size decides how far a preset's jitter moves images.  Of scores alone too little is learned to tell which
        pixels are the very first: larger level sets are learned instead, and their order is none the worse.
        """
        jitter, least = self.jitter, self.least_share
        if "jitter" not in self.given:
            jitter = width_for(jitter, spatial)
        if not exact and self.learns == "ranking" and "least_share" not in self.given:
            least = min(LEAST_ESTIMATED, self.most_share)
        return dataclasses.replace(self, jitter=jitter, least_share=least)

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as JSON knows them; a perturbation as its name and its own settings."""
        made = make_perturbation(self)
        plain = {one.name: getattr(self, one.name) for one in dataclasses.fields(self) if one.init}
        return {**plain, "perturbation": called(self.perturbation), "perturbation_settings": record_of(made)}

    def _check(self) -> None:
        for name, least in {
            "steps": 1,
            "stride": 1,
            "start_points": 1,
            "blur_levels": 2,
            "jitter": 0,
            "queries": 100,
        }.items():
            check_whole(self, name, least=least)
        check_number(self, "learning_rate", least=1e-12, most=1e6)
        for name in ("beta1", "beta2", "start_area"):
            check_number(self, name, least=0, below=1)
        check_number(self, "least_share", least=1e-6, below=1)
        check_number(self, "most_share", least=self.least_share, below=1)
        check_number(self, "softness", least=1e-3, most=10)
        check_number(self, "epsilon", least=1e-12)
        check_number(self, "end_factor", least=0, most=1)
        for name in ("area_weight", "tv_weight", "tv_beta", "tolerance"):
            if getattr(self, name) is not None:
                check_number(self, name, least=0)
        for name in ("average", "relative"):
            if getattr(self, name) not in (True, False, None):
                raise out_of_range(self, name, "True or False")
        if self.mask_shape is not None and not _is_shape(self.mask_shape):
            raise out_of_range(self, "mask_shape", "a size for each spatial axis, such as (28, 28)")
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise out_of_range(self, name, " or ".join(map(repr, choices)))


def _is_shape(value: Any) -> bool:
    sizes = value if isinstance(value, tuple | list) else ()
    return bool(sizes) and all(is_number(size) and 1 <= size <= MOST_RUNS and size == int(size) for size in sizes)


def make_perturbation(settings: Settings, name: str | None = None) -> Perturbation:
    """Return what stands in for deleted pixels; the details of one that is given by name are the preset's.

    Parameters
    ----------
    settings
        Of the mask learner.
    name
        Of a perturbation, in place of that of the settings.

    Raises
    ------
    InputError
        If there is no such name.
    """
    chosen = settings.perturbation if name is None else name
    if chosen == "blur":
        return Blur(levels_count=settings.blur_levels)
    return Noise(distribution=settings.noise) if chosen == "noise" else perturbation_of(chosen)


PRESETS: dict[PresetName, Settings] = {name: Settings(name) for name in get_args(PresetName)}
