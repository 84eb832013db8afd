"""What is to be audited: the images of a data set, each with what people know of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from blackbox_explain.box.class_lookup import class_index
from blackbox_explain.box.input_spec import InputSpec
from blackbox_explain.data.annotations import known_labels
from blackbox_explain.data.image_sources import SourceImage
from blackbox_explain.data.objects import Object, objects_in
from blackbox_explain.errors import InputError, TargetError

__all__ = ["Entry", "entries_of"]


@dataclass(frozen=True)
class Entry:
    """One image of a data set.

    Attributes
    ----------
    position
        Its place in the data set.
    source
        Where its file is.
    label
        Its true class; None where nobody says.
    objects
        Its boxes; None where nobody says, () where there are none.
    """

    position: int
    source: SourceImage
    label: int | None = None
    objects: tuple[Object, ...] | None = None


def entries_of(
    sources: Sequence[SourceImage],
    spec: InputSpec,
    *,
    classes: int,
    labels: str | Path | None = None,
    boxes: str | Path | None = None,
) -> list[Entry]:
    """Join images with their true classes and boxes.

    Parameters
    ----------
    sources
        From `source_images`.
    spec
        Of the black box, whose class names labels may be.
    classes
        K.
    labels
        A CSV file with the columns ``file`` and ``label``, as in `labels_of`; None takes what shards say.
    boxes
        A CSV file as in `read_objects`; None where there is none.

    Raises
    ------
    InputError
        If a file cannot be read, says something of none of the images, or names a class that the model lacks; of boxes,
        if all classes that it names are.
    """
    names = [one.name for one in sources]
    if labels is not None:
        true = known_labels(labels, names, spec.class_names, classes)
        if not true:
            got = f"none of {len(names)}, such as {names[0]}"
            raise InputError(f"{labels} has no label of any of the images", got=got, expected="their names in file")
    else:
        true = {place: _label(one, spec, classes) for place, one in enumerate(sources) if one.label}
    known = {} if boxes is None else objects_in(boxes, names)
    named = {one.label for objects in known.values() for one in objects if one.label != ""}
    if named and not any(_is_class(one, spec, classes) for one in named):
        got = f"none of {len(named)}, such as {min(map(str, named))}"
        raise InputError(f"{boxes} has no box of any class of the model", got=got, expected="its names, or none at all")
    return [Entry(place, one, true.get(place), known.get(place)) for place, one in enumerate(sources)]


def _is_class(label: str | int, spec: InputSpec, classes: int) -> bool:
    try:
        class_index(label, classes, spec.class_names)
    except TargetError:
        return False
    return True


def _label(source: SourceImage, spec: InputSpec, classes: int) -> int:
    try:
        return class_index(source.label, classes, spec.class_names)
    except TargetError as error:
        raise InputError(f"{source.name}: the model lacks this class: {str(error).removesuffix('.')}") from error
