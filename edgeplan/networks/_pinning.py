"""Pin the shapes of a model's inputs. Runs in a sandboxed child."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnx

from edgeplan.model.errors import Fault, InputError, NetworkError

IMAGE_PIXELS = 224
"""Default for a free height or width of an image."""

SEQUENCE_TOKENS = 128
"""Default for a free length of a list of integers."""

WINDOW_SAMPLES = 512
"""Default for a free length of a list of real numbers (a window of sound)."""

_BATCH_NAMES = frozenset({"n", "b", "bs", "batch", "batch_size", "batchsize", "unk__batch"})
_INTEGERS = frozenset(
    onnx.TensorProto.DataType.Value(name)
    for name in ("INT64", "INT32", "INT16", "INT8", "UINT64", "UINT32", "UINT16", "UINT8", "BOOL")
)


def normalise(model: onnx.ModelProto) -> None:
    """Make initializers constants: before IR 4 they had to be listed as inputs too."""
    constants = {tensor.name for tensor in model.graph.initializer}
    kept = [value for value in model.graph.input if value.name not in constants]
    del model.graph.input[:]
    model.graph.input.extend(kept)
    model.ir_version = max(model.ir_version, 4)


def choose(
    model: onnx.ModelProto, given: Mapping[str, Sequence[int]], file: str
) -> dict[str, tuple[int, ...]]:
    """Return a shape for every input: the given one, the file's, or a default.

    Defaults for sizes that the file leaves free: 1 for the first one of a tensor and for one
    named like a batch; `IMAGE_PIXELS` for height and width of a rank-4 tensor with 1, 3 or 4
    channels; `SEQUENCE_TOKENS` and `WINDOW_SAMPLES` for the length of a rank-2 tensor of
    integers and of real numbers; 1 for the middle size of a rank-3 state whose other sizes are
    fixed.

    Parameters
    ----------
    model
        Normalised: inputs that are no constants.
    given
        Shapes by input name, as the user gave them.
    file
        What errors name.

    Raises
    ------
    InputError
        If a given shape fits no input, or a size is free that has no default.
    NetworkError
        If an input is no tensor.
    """
    faults: list[Fault] = []
    shapes: dict[str, tuple[int, ...]] = {}
    inputs = {value.name: value for value in model.graph.input}
    for name in given:
        if name not in inputs:
            known = ", ".join(f"'{key[:80]}'" for key in list(inputs)[:12]) or "none"
            faults.append(Fault(f"shape {name[:80]}", f"there is no such input; known: {known}"))
    for name, value in inputs.items():
        if not value.type.HasField("tensor_type"):
            raise NetworkError.at(file, f"input '{name[:80]}' is not a tensor: not supported")
        wanted = given.get(name)
        tensor = value.type.tensor_type
        place = f"shape {name[:80]}"
        if wanted is not None and any(size < 1 for size in wanted):
            faults.append(Fault(place, "sizes must be positive"))
            continue
        if not tensor.HasField("shape"):
            if wanted is None:
                faults.append(Fault(place, _ask(name, None)))
            else:
                shapes[name] = tuple(wanted)
            continue
        stated = stated_sizes(tensor.shape)
        if wanted is None:
            chosen = _default(tensor)
            if chosen is None:
                faults.append(Fault(place, _ask(name, stated)))
            else:
                shapes[name] = chosen
        elif len(wanted) != len(stated):
            faults.append(
                Fault(place, f"needs {len(stated)} sizes ({_text(stated)}), not {len(wanted)}")
            )
        elif any(size not in (None, want) for size, want in zip(stated, wanted, strict=True)):
            faults.append(Fault(place, f"the file fixes {_text(stated)}, not {_text(wanted)}"))
        else:
            shapes[name] = tuple(wanted)
    if faults:
        raise InputError(faults)
    return shapes


def free_inputs(model: onnx.ModelProto) -> list[str]:
    """Return the inputs whose shapes the file does not fix wholly; before they are pinned."""
    return [
        value.name
        for value in model.graph.input
        if not value.type.tensor_type.HasField("shape")
        or None in stated_sizes(value.type.tensor_type.shape)
    ]


def pin(model: onnx.ModelProto, shapes: Mapping[str, Sequence[int]]) -> None:
    """Write the shapes into the inputs and forget every size that was stated beside them."""
    for value in model.graph.input:
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        shape.SetInParent()
        for size in shapes[value.name]:
            shape.dim.add().dim_value = size
    forget(model)


def forget(model: onnx.ModelProto) -> None:
    """Forget the shapes stated for values and outputs: they may name sizes that are pinned."""
    del model.graph.value_info[:]
    for value in model.graph.output:
        if value.type.HasField("tensor_type"):
            value.type.tensor_type.ClearField("shape")


def stated_sizes(shape: onnx.TensorShapeProto) -> tuple[int | None, ...]:
    """Return the sizes that a file states, ``None`` for the free ones."""
    # Exporters write 0, -1, a name or nothing for a free size.
    return tuple(
        dim.dim_value if dim.HasField("dim_value") and dim.dim_value > 0 else None
        for dim in shape.dim
    )


def _default(tensor: onnx.TypeProto.Tensor) -> tuple[int, ...] | None:
    sizes = list(stated_sizes(tensor.shape))
    for axis, dim in enumerate(tensor.shape.dim):
        if sizes[axis] is None and (axis == 0 or dim.dim_param.lower() in _BATCH_NAMES):
            sizes[axis] = 1
    match sizes:
        case [_, 1 | 3 | 4, height, width]:
            sizes[2:] = [height or IMAGE_PIXELS, width or IMAGE_PIXELS]
        case [_, height, width, 1 | 3 | 4]:
            sizes[1:3] = [height or IMAGE_PIXELS, width or IMAGE_PIXELS]
        case [_, None]:
            integers = tensor.elem_type in _INTEGERS
            sizes[1] = SEQUENCE_TOKENS if integers else WINDOW_SAMPLES
        case [int(), None, int()]:
            sizes[1] = 1
    fixed = tuple(size for size in sizes if size is not None)
    return fixed if len(fixed) == len(sizes) else None


def _ask(name: str, stated: Sequence[int | None] | None) -> str:
    example = "1,3,224,224" if stated is None else ",".join(str(size or "N") for size in stated)
    stands = "states no shape" if stated is None else f"leaves sizes free ({_text(stated)})"
    return f"the file {stands}; give them: --shape {name[:80]}={example}"


def _text(sizes: Sequence[int | None]) -> str:
    return "×".join("?" if size is None else str(size) for size in sizes) or "a scalar"
