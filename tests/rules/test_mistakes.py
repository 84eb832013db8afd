"""What is asked wrongly of rules, and what models should not say."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.samples import Samples
from blackbox_explain.errors import InputError, ModelError, ResultError
from blackbox_explain.rules.measuring.faithfulness import Faithfulness, faithfulness
from blackbox_explain.rules.measuring.joint_region import joint_region
from blackbox_explain.rules.measuring.learning import learn
from blackbox_explain.rules.measuring.search import most_informative
from blackbox_explain.rules.relations import Brightness, Rotation
from blackbox_explain.rules.repeated_samples import RepeatedSamples
from blackbox_explain.rules.statements.equivariance import Equivariance
from blackbox_explain.rules.statements.invariance import Invariance
from blackbox_explain.rules.statements.local_linear import Taylor
from blackbox_explain.rules.statements.region_decides import RegionDecides
from blackbox_explain.rules.statements.rule import Subset
from blackbox_explain.rules.studies.classification import Classification
from tests.rules.toys import BOX, SPEC, Breaks, Brighter, FirstPixel, dark, uniform
from tests.toys import Scores


def test_amounts_without_end_are_no_number_in_json(tmp_path: Path) -> None:
    box = Scores(
        lambda images: np.stack([np.where(images[:, 0, 0, 0] > 0.5, 1, -np.inf), 0 * images[:, 0, 0, 0]], 1), SPEC.shape
    )
    found = faithfulness(Classification(), box, uniform(20, labels=[0] * 20), progress=False)
    assert found.violations[0].amount == np.inf
    found.save(tmp_path / "rule.json")
    assert json.loads((tmp_path / "rule.json").read_text(encoding="utf-8"))["violations"][0]["amount"] is None
    loaded = Faithfulness.load(tmp_path / "rule.json")
    assert np.isnan(loaded.violations[0].amount)
    assert loaded.to_dict() == found.to_dict()
    json.dumps(
        faithfulness(FirstPixel(1).where(Subset((9,), by="top")), BOX, dark(2), progress=False).to_dict(),
        allow_nan=False,
    )
    endless = faithfulness(FirstPixel(np.inf), BOX, dark(2), progress=False)
    json.dumps(endless.to_dict(), allow_nan=False)
    with pytest.raises(ResultError, match="finite settings"):
        endless.save(tmp_path / "rule.json")


def test_images_alone_are_samples() -> None:
    images, rule = uniform(40).images, FirstPixel(0.5)
    found = faithfulness(rule, BOX, images, progress=False)
    assert found.to_dict() == faithfulness(rule, BOX, Samples.of(images, SPEC), progress=False).to_dict()
    assert found.again(BOX, images).to_dict() == found.to_dict()
    assert learn([rule], BOX, images, progress=False).chosen.errors == found.errors


def test_settings_that_are_no_numbers_are_told() -> None:
    rule, samples = FirstPixel(0.5), uniform(4)
    for wrong, ask in (
        ("no relation", lambda: Taylor(Rotation, 5)),  # type: ignore[arg-type]
        ("no relation", lambda: Equivariance("rotation", 5)),  # type: ignore[arg-type]
        (r"k=1\.5", lambda: Classification(k=1.5)),  # type: ignore[arg-type]
        ("class 'tabby'", lambda: Classification(index="tabby")),  # type: ignore[arg-type]
        (r"times=2\.5", lambda: RepeatedSamples.repeat(samples, 2.5)),  # type: ignore[arg-type]
        (r"shift=1\.5", lambda: RegionDecides(shift=1.5)),  # type: ignore[arg-type]
        ("weight=x", lambda: learn([rule], BOX, samples, weight="x")),  # type: ignore[arg-type]
        ("held_out=x", lambda: learn([rule], BOX, samples, held_out="x")),  # type: ignore[arg-type]
        (r"seed=1\.0", lambda: learn([rule], BOX, samples, seed=1.0)),  # type: ignore[arg-type]
        ("steps=0", lambda: joint_region(Rotation(), Brightness(), BOX, uniform(200), steps=0)),
    ):
        with pytest.raises(InputError, match=wrong):
            ask()


def test_first_guesses_that_are_no_rules_are_told_what_to_do() -> None:
    hint = r"try: Invariance\(Rotation\(\), 23\), or most_informative\(Rotation\(\), box, samples\)"
    for ask in (
        lambda: faithfulness(Rotation(), BOX, dark(2)),  # type: ignore[arg-type]
        lambda: learn([FirstPixel(1), Rotation()], BOX, dark(2)),  # type: ignore[list-item]
    ):
        with pytest.raises(InputError, match=hint):
            ask()
    for rule in (Rotation(), FirstPixel(1)):
        with pytest.raises(InputError, match="expected a list of rules"):
            learn(rule, BOX, dark(2))  # type: ignore[arg-type]
    for wrong in ("invariance", None, Classification):
        with pytest.raises(InputError, match="no rule"):
            faithfulness(wrong, BOX, dark(2))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not a black box"):
        faithfulness(FirstPixel(1), lambda images: images, dark(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"confidence": 95}, "Got confidence=95; expected such as 0.95; try: confidence=0.95"),
        ({"confidence": -20}, "confidence=-20"),
        ({"confidence": float("nan")}, "confidence=nan"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 0.5}, "seed=0.5"),
        ({"batch_size": 0}, "batch_size=0"),
    ],
)
def test_settings_are_checked_before_the_model_is_asked(options: dict[str, Any], match: str) -> None:
    box, rule = Breaks(20), FirstPixel(1)
    for ask in (
        lambda: faithfulness(rule, box, dark(2), progress=False, **options),
        lambda: faithfulness(rule, box, dark(2), precision=0.1, progress=False, **options),
        lambda: learn([rule], box, dark(2), progress=False, **options),
    ):
        with pytest.raises(InputError, match=match):
            ask()
    assert box.asked == 0
    with pytest.raises(InputError, match="looked_for=0"):
        faithfulness(rule, box, dark(2), looked_for=0, progress=False)


def test_regions_are_true_or_false() -> None:
    images, region = np.zeros((1, *SPEC.shape), np.float32), np.asarray([[[0.0, 1.0], [1.0, 0.0]]])
    assert Samples.of(images, SPEC, regions=region).require_regions("").sum() == 2
    assert Samples.of(images, SPEC, regions=region.astype(int).tolist()).require_regions("").dtype == bool
    for wrong in (region * 0.3, region * 255, region - 1, region * np.nan, region.astype(str)):
        with pytest.raises(InputError, match="Regions are True on the object"):
            Samples.of(images, SPEC, regions=wrong)


def test_a_fingerprint_takes_no_copy_of_the_images_and_is_the_same_in_any_order_of_memory() -> None:
    images = np.random.default_rng(0).integers(0, 256, size=(64, 3, 64, 64), dtype=np.uint8)
    spec = InputSpec((3, 64, 64))
    samples = Samples.of(images, spec, labels=range(64))
    turned = Samples(images[::-1].copy()[::-1], spec, samples.labels)
    tracemalloc.start()
    try:
        assert samples.fingerprint == turned.fingerprint
        assert tracemalloc.get_traced_memory()[1] < images.nbytes / 16
    finally:
        tracemalloc.stop()
    whole = str((images.shape, images.dtype.str)).encode() + images.tobytes() + np.arange(64).tobytes()
    assert samples.fingerprint == hashlib.sha256(whole).hexdigest()[:16]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[1]",
        '{"format": "blackbox_explain rule, 1"}',
        '{"format": "blackbox_explain rule, 3", "rule": {"kind": "os"}}',
    ],
)
def test_files_that_hold_no_rule(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rule.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ResultError, match="rule"):
        Faithfulness.load(path)
    with pytest.raises(ResultError, match="cannot be read"):
        Faithfulness.load(tmp_path / "none.json")
    with pytest.raises(ResultError, match="cannot be written"):
        faithfulness(FirstPixel(1), BOX, dark(1), progress=False).save(tmp_path / "no" / "rule.json")


def test_scores_may_be_infinite_and_rounded_otherwise_in_other_company() -> None:
    def logarithms(images: np.ndarray) -> np.ndarray:
        return np.stack([np.zeros(len(images)), np.full(len(images), -np.inf)], axis=1)

    def rounded(images: np.ndarray) -> np.ndarray:
        return np.stack([np.full(len(images), 0.5) + 1e-7 * (len(images) % 3), np.zeros(len(images))], axis=1)

    for scores in (logarithms, rounded):
        for response in ("exact", "score", "class"):
            rule = Invariance(Brighter(), 5, response=response)
            found = faithfulness(rule, Scores(scores, SPEC.shape), dark(7), batch_size=4, progress=False)
            assert found.errors == 0, (scores, response)


@dataclass(frozen=True)
class Shrinks(Brighter):
    name: ClassVar[str] = "shrinking"

    def transform(self, images: Any, amounts: Any, spec: InputSpec, generators: Sequence[np.random.Generator]) -> Any:
        return images[..., :-1]


@dataclass(frozen=True)
class Raises(Brighter):
    name: ClassVar[str] = "raises"

    def transform(self, images: Any, amounts: Any, spec: InputSpec, generators: Sequence[np.random.Generator]) -> Any:
        return images / (1 // 0)


@pytest.mark.parametrize("theta", [0, -1, 0.5, 46, float("nan")])
def test_a_theta_out_of_range_is_said(theta: float) -> None:
    with pytest.raises(InputError, match="range of the relation brighter"):
        Invariance(Brighter(), theta)


def test_what_is_asked_wrongly_is_said() -> None:
    with pytest.raises(ModelError, match="changes the shape"):
        faithfulness(Invariance(Shrinks(), 3), BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="no such response"):
        Invariance(Brighter(), 3, response="logits")
    with pytest.raises(InputError, match="width of an interval"):
        faithfulness(FirstPixel(1), BOX, dark(2), precision=0, progress=False)
    with pytest.raises(InputError, match="empty pool"):
        learn([], BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="cannot be divided"):
        learn([FirstPixel(1)], BOX, dark(2), held_out=0.9, progress=False)
    with pytest.raises(InputError, match="error is a share"):
        most_informative(Brighter(), BOX, dark(2), max_error=0, progress=False)
    with pytest.raises(InputError, match="no seed"):
        faithfulness(FirstPixel(1), BOX, dark(2), seed=-1, progress=False)
    with pytest.raises(InputError, match=r"relation raises raised an error.*ZeroDivisionError"):
        faithfulness(Invariance(Raises(), 3), BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="top class of one score"):
        faithfulness(Invariance(Brighter(), 3), Scores(lambda x: x[:, 0, 0, :1], SPEC.shape), dark(2), progress=False)
    with pytest.raises(InputError, match="needs the true class"):
        faithfulness(FirstPixel(1).where(Subset((1,))), BOX, dark(2), progress=False)
    with pytest.raises(InputError, match="labels do not fit"):
        Samples.of(np.zeros((2, *SPEC.shape)), SPEC, labels=[1])
    with pytest.raises(InputError, match="there are none"):
        Samples.of(np.zeros((0, 1, 2, 2), np.uint8), SPEC)
    with pytest.raises(InputError, match="another model"):
        faithfulness(FirstPixel(1), Scores(lambda x: x, (1, 3, 3)), dark(2), progress=False)
    with pytest.raises(ModelError):
        faithfulness(Invariance(Brighter(), 3), Scores(lambda x: x[:0], SPEC.shape), dark(2), progress=False)


def test_answers_that_are_no_numbers_neither_hold_nor_fail() -> None:
    def answer(images: np.ndarray) -> np.ndarray:
        scores = np.stack([images[:, 0, 0, 0], 1 - images[:, 0, 0, 0]], 1)
        scores[images[:, 0, 0, 0] < 0.5] = np.nan
        return scores

    known = uniform(20, labels=[0] * 20)
    for rule in (Invariance(Rotation(), 10), Classification()):
        with pytest.raises(ModelError, match=r"NaN for image \d+, image \d+, image \d+ and \d+ more"):
            faithfulness(rule, Scores(answer, SPEC.shape), known, progress=False)


def test_a_regularizer_returns_a_number() -> None:
    for wrong in (np.nan, None):
        with pytest.raises(InputError, match="A regularizer returns a number"):
            learn(
                [FirstPixel(0.5)], BOX, uniform(9), regularizer=lambda _, wrong=wrong: wrong, weight=1, progress=False
            )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Invariance(Rotation(), "10"), "The strength of the relation rotation is a number"),
        (lambda: Invariance(Rotation, 10), r"try: Rotation\(\)"),
        (lambda: Invariance(Rotation(), 10, "score", tolerance=np.nan), "A tolerance is at least 0"),
        (lambda: Rotation("a"), "no range of the relation"),
        (lambda: Subset(("cat",)), "expected a tuple of class indices"),
        (lambda: FirstPixel(0.5).where([0]), "restricted to a subset"),
        (lambda: learn(3, BOX, uniform(9), progress=False), "learned from several"),
        (lambda: faithfulness(FirstPixel(0.5), BOX, uniform(9), confidence="a", progress=False), "between 0 and 1"),
        (lambda: faithfulness(FirstPixel(0.5), BOX, uniform(9), looked_for=1.5, progress=False), "at least one"),
    ],
)
def test_values_of_other_types_are_told(make: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
    with pytest.raises(TypeError, match="unsupported operand"):
        FirstPixel(0.5) & Rotation()


def test_one_class_or_several_make_a_subset() -> None:
    assert Subset(np.int64(3)).classes == Subset([3]).classes == (3,)
