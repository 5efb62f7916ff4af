"""The front door for model files: looks at the suffix, checks that the content agrees, and calls the right reader.

Nothing of a file is executed, and torch is never imported. Left out: files that only pickle can read (.pt, .pth, .bin).
"""

from __future__ import annotations

from pathlib import Path

from traces.layer import ModelError, Network
from traces.lower.input_shapes import Shapes

SUFFIXES = (".onnx", ".pt2", ".safetensors")


def read_model(
    path: str | Path,
    *,
    arch: str | None = None,
    input_shapes: Shapes = None,
    batch: int | None = None,
    strict: bool = False,
) -> Network:
    """Lower a model file to a Network.

    ``input_shapes``: of the only input, or by name; ``batch`` sets the first dimension where the file leaves it open;
    ``arch`` names the built-in network whose weights a .safetensors file holds. Raises ModelError for a file that
    cannot be used and, if ``strict``, for an operator that is not lowered.
    """
    file = Path(path)
    check_file(file, arch)
    if batch is not None and batch < 1:
        raise ModelError(f"{file}: batch is {batch}, and must be at least 1")
    if file.suffix == ".onnx":
        from traces.lower.onnx_file import read_onnx

        return read_onnx(file, input_shapes=input_shapes, batch=batch, strict=strict)
    if file.suffix == ".pt2":
        from traces.lower.pt2_file import read_pt2

        return read_pt2(file, input_shapes=input_shapes, batch=batch, strict=strict)
    from traces.lower.safetensors_file import read_safetensors

    return read_safetensors(file, arch=arch, input_shapes=input_shapes, batch=batch, strict=strict)


def check_file(file: Path, arch: str | None) -> None:
    """Raise ModelError unless the suffix is known, the content looks like it, and only what needs an arch has one."""
    _check_content(file)
    if arch is not None and file.suffix != ".safetensors":
        raise ModelError(f"{file}: arch is {arch}, and only .safetensors files need one: this file holds its own graph")


def _check_content(file: Path) -> None:
    known = ", ".join(SUFFIXES)
    if not file.exists():
        raise ModelError(f"{file}: no such file")
    if file.is_dir():
        raise ModelError(f"{file}: this is a folder, and a model is one file ({known})")
    if file.suffix not in SUFFIXES:
        raise ModelError(f"{file}: its suffix is {file.suffix or 'missing'}, and must be one of {known}")
    if not file.is_file():
        raise ModelError(f"{file}: this is not a regular file")
    try:
        size_bytes = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(64)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read: {error.strerror}") from None
    if size_bytes == 0:
        raise ModelError(f"{file}: the file is empty")
    suffixes, looks = _looks_like(head, size_bytes)
    if looks and file.suffix not in suffixes:
        raise ModelError(f"{file}: its suffix is {file.suffix}, and its content looks like {looks}")
    if not looks and file.suffix == ".pt2":
        raise ModelError(f"{file}: its suffix is .pt2, and its content is not a zip, as torch.export writes one")


def _looks_like(head: bytes, size_bytes: int) -> tuple[tuple[str, ...], str]:
    """Return the suffixes that suit the first bytes, and what they look like ("" where nothing is recognised)."""
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return (".pt2",), "a zip (.pt2, or torch.save)"
    if int.from_bytes(head[:8], "little") <= size_bytes - 8 and head[8:9] == b"{":
        return (".safetensors",), "safetensors"
    if head.startswith(b"\x80") and head[1:2] in b"\x02\x03\x04\x05":
        return (), "a pickle, which is never opened"
    if head.startswith(b"version https://git-lfs"):
        return (), "a Git LFS pointer, not the file itself"
    if head.startswith(b"\x89HDF"):
        return (), "HDF5 (Keras)"
    if head[4:8] == b"TFL3":
        return (), "a TensorFlow Lite model"
    if head.startswith(b"\x1f\x8b"):
        return (), "a gzip"
    if head.lstrip()[:1] in (b"<", b"{", b"["):
        return (), "text (HTML, XML or JSON)"
    # ModelProto opens with field 1 (ir_version, a small number), then field 2 (producer), 7 (graph) or 8 (opset)
    if len(head) > 2 and head[0] == 8 and 0 < head[1] < 32 and head[2:3] in (b"\x12", b"\x3a", b"\x42"):
        return (".onnx",), "an ONNX model"
    return (), ""
