"""`wrap`: find the adapter that fits a model, the reader that fits a file, the model that has a name."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import sys
import warnings
from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from blackbox_explain.box.activations import Activation
from blackbox_explain.box.adapter_tools.description import Described
from blackbox_explain.box.class_names import taken_names
from blackbox_explain.box.entry_points import (
    ADAPTERS,
    BYTES,
    CALLABLE,
    FOLDERS,
    FORMATS,
    INSPECTORS,
    MODELS,
    SCHEMES,
    entry_points,
    load,
)
from blackbox_explain.box.info import BoxInfo
from blackbox_explain.box.input_spec import InputSpec, Preprocessing
from blackbox_explain.box.inspection import Inspection, judged
from blackbox_explain.box.preprocessing_questions import questions_about
from blackbox_explain.box.protocols import BlackBox
from blackbox_explain.errors import (
    AlreadyDescribedError,
    BackendMissingError,
    BlackBoxExplainError,
    InputError,
    ModelError,
    PreprocessingWarning,
    UnsupportedModelError,
)

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["Adapter", "inspect_file", "inspect_model", "wrap"]


class Adapter(Protocol):
    """What an entry point of `ADAPTERS` loads."""

    def __call__(self, model: Any, described: Described, **options: Any) -> BlackBox:
        """Wrap `model`, given what the caller said of it."""
        ...


def wrap(
    model: Any,
    *,
    spec: InputSpec | None = None,
    shape: Sequence[int] | None = None,
    bounds: tuple[float, float] | None = None,
    preprocessing: Preprocessing | None = None,
    class_names: Sequence[str] | Mapping[Any, Any] | None = None,
    activation: Activation = "auto",
    **options: Any,
) -> BlackBox:
    """Turn a model into a black box that `explain` can ask.

    Parameters
    ----------
    model
        A ``torch.nn.Module``, TorchScript module or ``torch.export`` program; an ``onnx.ModelProto``, its bytes, or an
        ``onnxruntime.InferenceSession``; a function from images to scores; the path of a ``.onnx``, ``.pt2`` or
        TorchScript file; the name of an embedded model, such as "efficientnet-lite0"; or a string "module:function",
        where the function returns any of these.  A Keras model, ``tf.Module`` or concrete function; a scikit-learn
        classifier; the path of a ``.keras``, ``.h5`` or ``.tflite`` file or of a SavedModel folder; the address of an
        endpoint, "http://..."; a command, "command:./classify --fast".
    spec
        Shape, bounds, preprocessing and class names at once, instead of the four parameters below.
    shape
        Shape of one image, channels first, such as (3, 224, 224); needed where the model does not tell.
    bounds
        Smallest and largest value of pixel space; None is (0, 1).
    preprocessing
        Mean, scale, channel order and layout that the model expects; none if None.
    class_names
        One name for each score, in their order; or a mapping ``{0: "cat"}`` (``id2label``) or ``{"cat": 0}``
        (``label2id``).
    activation
        ``"softmax"``, ``"log_softmax"``, ``"sigmoid"``, ``"none"``; or ``"auto"``, which decides here and now, by what
        the model ends in, or by its answers to black, grey, white and noise.
    **options
        For the adapter.

        - All but scikit-learn, endpoints and commands: ``output`` (name or index of the scores among several outputs)
          and ``reduce`` (``("mean", axes)`` or ``("max", axes)``, where there are scores for each step or place).
        - PyTorch: ``device``, ``autocast``, ``channels_last``.
        - ONNX: ``device``, ``providers``, ``threads``, ``straight_through``, ``tf32``, ``rules``, ``constants``,
          ``cache``.
        - TensorFlow: ``signature`` for SavedModels, ``allow_lambda`` for Keras files.  TFLite: ``threads``.
        - Endpoints: ``timeout``, ``retries``, ``backoff``, ``concurrency``, ``images_per_request``, ``headers``; most
          of them for commands too.
        - Functions: ``fixed_batch``, and ``gradient``, which is called as ``gradient(images, weights)`` and returns
          d Σ(weights · scores) / d images.

    Returns
    -------
    BlackBox
        With ``assumptions``, sentences on what was not said and had to be assumed.

    Warns
    -----
    PreprocessingWarning
        If parts of the preprocessing do not fit together, such as a mean of bytes and a scale of shares.

    Raises
    ------
    UnsupportedModelError
        If no adapter fits.
    BackendMissingError
        If the framework of a file is not installed.
    InputError
        If shape and preprocessing do not fit each other, or `spec` is given beside them.
    """
    if spec is not None:
        if any(part is not None for part in (shape, bounds, preprocessing, class_names)):
            raise InputError("The input is described twice", got="spec and some of its parts", hint="put all into spec")
        described = Described(spec.shape, spec.bounds, spec.preprocessing, spec.class_names, activation)
    else:
        names = None if class_names is None else taken_names(class_names)
        if shape is not None and (isinstance(shape, (int, str)) or not all(isinstance(one, Integral) for one in shape)):
            raise InputError(
                "A shape has a size for each axis", got=f"shape={shape!r}", expected="such as (3, 224, 224)"
            )
        if preprocessing is not None and not isinstance(preprocessing, Preprocessing):
            expected = "blackbox_explain.Preprocessing(mean=0.5, std=0.5)"
            raise InputError("This is no preprocessing", got=repr(preprocessing), expected=expected)
        described = Described(None if shape is None else tuple(shape), bounds, preprocessing, names, activation)
    if isinstance(model, type):
        name = model.__name__
        raise UnsupportedModelError(
            "This is a class, not a model", got=f"the class {name}", hint=f"wrap({name}()), with its weights loaded"
        )
    if isinstance(model, (str, Path)):
        text = str(model)
        named = {one.name: one for one in entry_points(MODELS)}
        if text in named:
            return _named_model(named[text], described, options)
        schemes = {one.name: one for one in entry_points(SCHEMES)}
        if (scheme := text.partition(":")[0].lower()) in schemes:
            return _adapted(load(schemes[scheme]), text, described, options)
        model = _from_text(text, sorted(named), options)
    elif isinstance(model, bytes):
        model = _reader(BYTES)(model)
    if isinstance(model, BlackBox):
        if described != Described() or options:
            raise AlreadyDescribedError(
                "A black box knows its own input", got="one, and a description", expected="it alone"
            )
        return model
    box = _adapted(_adapter_for(model), model, described, options)
    for question in questions_about(box.spec):
        warnings.warn(question, PreprocessingWarning, stacklevel=2)
    return box


def inspect_model(model: str | Path, shape: Sequence[int] | None = None, **options: Any) -> Inspection:
    """Say what a model is, given its name or its file, and whether it can be differentiated.

    Parameters
    ----------
    model
        Name of an embedded or installed model, or as in `inspect_file`.
    shape, **options
        As in `inspect_file`; a named model knows its shape.

    Raises
    ------
    UnsupportedModelError
        If there is no such model, or nothing can be said of its format.
    InputError
        If there is no such option, or a named model is described.
    """
    point = next((one for one in entry_points(MODELS) if one.name == str(model)), None)
    if point is None:
        return inspect_file(Path(model), shape, **options)
    box = wrap(point.name, shape=shape, **options)
    facts = [("model", (inspect.getdoc(load(point)) or point.name).partition("\n")[0])]
    if point.dist is not None:
        facts.append(("from", point.dist.name))
    if box.spec.class_names:
        facts.append(("classes", f"{len(box.spec.class_names):,}"))
    return judged(lambda: box).inspection(tuple(facts), ())


def inspect_file(path: Path, shape: Sequence[int] | None = None, **options: Any) -> Inspection:
    """Say what a model file holds and whether it can be differentiated.

    Parameters
    ----------
    path
        Of the file, or of a folder that is a model (`FOLDERS`).
    shape
        Of one image, channels first, where the model leaves it free.
    **options
        Of its adapter, as for `wrap`, which decide whether it can be differentiated.

    Raises
    ------
    UnsupportedModelError
        If there is no such file, or nothing can be said of its format.
    InputError
        If there is no such option.
    """
    inspectors = {one.name: one for one in entry_points(INSPECTORS)}
    held = _held(path)
    suffix = held or path.suffix.lower().lstrip(".")
    if held is None and path.is_dir():
        raise _no_model_in(path)
    if suffix not in inspectors:
        named = sorted(one.name for one in entry_points(MODELS))
        known = ", ".join(f".{one}" for one in sorted(set(inspectors) - set(FOLDERS.values())))
        raise UnsupportedModelError(
            "Files of this format are not inspected",
            got=str(path),
            expected=f"{known}, a SavedModel folder, or a name ({', '.join(named)})",
        )
    if held is None and not path.is_file():
        raise UnsupportedModelError("There is no such model file", got=str(path))
    return _with_options(load(inspectors[suffix]), "The inspection of this model", (path, shape), options)


def _named_model(point: EntryPoint, described: Described, options: dict[str, Any]) -> BlackBox:
    if described != Described():
        raise AlreadyDescribedError(
            f"The model {point.name!r} knows its own input",
            got="shape, mean, std, class names or activation beside its name",
            expected="the name, and device at most",
        )
    return _with_options(load(point), f"The model {point.name!r}", (), options)


def _adapted(adapter: Adapter, model: Any, described: Described, options: dict[str, Any]) -> BlackBox:
    try:
        taken: Any = _with_options(adapter, "The adapter of this model", (model, described), options, _hint_of(options))
        if len(shape := described.shape or ()) == 4 and shape[0] == 1 and shape[1] in (1, 3):
            note = f"{shape} is taken for a volume of one channel; if it is a batch of one image, say shape={shape[1:]}"
            taken.assumptions = (*BoxInfo.of(taken).assumptions, note)
        return taken
    except (InputError, ModelError, UnsupportedModelError):
        shape = described.shape or ()
        if len(shape) != 4 or shape[0] != 1:
            raise
        # A volume of one channel has such a shape too, so that it is tried as it is first.
        without = dataclasses.replace(described, shape=shape[1:])
        try:
            box: Any = _with_options(adapter, "The adapter of this model", (model, without), options)
        except BlackBoxExplainError:
            box = None
        if box is None:
            raise
    note = f"the model takes no images of shape {shape}: the first axis is taken for that of the batch and left out"
    box.assumptions = (*BoxInfo.of(box).assumptions, note)
    return box


def _with_options(function: Any, who: str, arguments: tuple[Any, ...], options: dict[str, Any], hint: str = "") -> Any:
    own, any_name = _options_of(function)
    unknown = [name for name in options if name not in own]
    if unknown and not any_name:
        got, expected = ", ".join(unknown), ", ".join(own) or "none"
        raise InputError(f"{who} has no such option", got=got, expected=expected, hint=hint)
    return function(*arguments, **options)


def _hint_of(options: dict[str, Any]) -> str:
    """Return how to say what belongs to the preprocessing; "" where nothing does."""
    affine = {one.name for one in dataclasses.fields(Preprocessing)}
    said = ", ".join(f"{name}={value!r}" for name, value in options.items() if name in affine)
    return f"preprocessing=blackbox_explain.Preprocessing({said})" if said else ""


def _options_of(function: Any) -> tuple[list[str], bool]:
    """Return the options that a function takes by name alone, and whether it takes any other too."""
    parameters = inspect.signature(function).parameters.values()
    own = [one.name for one in parameters if one.kind is one.KEYWORD_ONLY]
    return own, any(one.kind is one.VAR_KEYWORD for one in parameters)


def _from_text(text: str, named: Sequence[str], options: dict[str, Any]) -> Any:
    """Read a model; the options that its reader knows are taken out of `options`."""
    path = Path(text)
    readers = {one.name for one in entry_points(FORMATS)}
    held = _held(path)
    suffix = held or path.suffix.lower().lstrip(".")
    if suffix in readers:
        if held is None and not path.is_file():
            raise UnsupportedModelError("There is no such model file", got=text)
        reader = _reader(suffix)
        known, _ = _options_of(reader)
        return reader(path, **{name: options.pop(name) for name in list(options) if name in known})
    if path.is_dir():
        raise _no_model_in(path)
    if ":" in text and not path.exists():
        return _from_function(text)
    files = ", ".join(f".{one}" for one in sorted(readers - set(FOLDERS.values())))
    raise UnsupportedModelError(
        "This names no model",
        got=repr(text),
        expected=f"a file or folder ({files}), an address, module:function, or a name ({', '.join(named)})",
    )


def _held(path: Path) -> str | None:
    """Return the format of a folder that is a model."""
    return next((name for file, name in FOLDERS.items() if (path / file).is_file()), None)


def _no_model_in(path: Path) -> UnsupportedModelError:
    expected = " or ".join(f"a folder with {file}" for file in FOLDERS)
    return UnsupportedModelError("This folder holds no model", got=str(path), expected=expected)


def _reader(suffix: str) -> Any:
    return load(next(one for one in entry_points(FORMATS) if one.name == suffix))


def _from_function(text: str) -> Any:
    module, _, function = text.partition(":")
    if (here := str(Path.cwd())) not in sys.path:
        sys.path.insert(0, here)
    try:
        made: Any = importlib.import_module(module)
        for name in function.split("."):
            made = getattr(made, name)
    except Exception as error:
        raise UnsupportedModelError(
            "This function cannot be imported",
            got=f"{text!r}: {type(error).__name__}: {error}",
            expected="module:function, importable from here",
        ) from error
    try:
        return made()
    except BlackBoxExplainError:
        raise
    except Exception as error:
        raise UnsupportedModelError(
            "The function that makes the model raised an error",
            got=f"{text!r}: {type(error).__name__}: {error}",
            expected="a function without arguments that returns the model",
        ) from error


def _adapter_for(model: Any) -> Adapter:
    roots = [one.__module__.partition(".")[0] for one in type(model).__mro__]
    adapters = {one.name: one for one in entry_points(ADAPTERS)}
    for root in roots:
        if root in adapters:
            try:
                return load(adapters[root])
            except BackendMissingError:
                raise
            except Exception as error:
                warnings.warn(f"the adapter {adapters[root].value!r} is broken: {error}", RuntimeWarning, stacklevel=3)
    if callable(model) and CALLABLE in adapters:
        return load(adapters[CALLABLE])
    raise UnsupportedModelError(
        "No adapter fits this model",
        got=f"a {type(model).__module__}.{type(model).__qualname__}",
        expected=f"a model of {', '.join(sorted(set(adapters) - {CALLABLE}))}, or a function from images to scores",
        hint="load weights into the model that they are of: net.load_state_dict(weights), and wrap(net)"
        if isinstance(model, Mapping)
        else "",
    )
