"""Libraries with the names of CUDA's that do nothing, so that ONNX Runtime places a graph on a GPU that is not there.

ONNX Runtime decides by its own list of CUDA kernels which operators it can run on a GPU, when a session is made.  That
needs its CUDA provider, which needs CUDA's libraries to load; but nothing is computed before a session is run.

``python -m tests.onnx.cuda_stand_in PROVIDER FOLDER`` writes those that ``libonnxruntime_providers_cuda.so`` wants.
"""

from __future__ import annotations

import collections
import re
import subprocess
import sys
from pathlib import Path

__all__ = ["write"]

LATER = {"cudnn": "libcudnn.so.9", "cufft": "libcufft.so.12"}
"""Libraries that a provider for CUDA 13 opens itself, by the beginning of what it looks for in them."""

HEAD = "#include <stdlib.h>\n#include <string.h>\n"

# By name of a function, the first that matches: what stands for it.
BODIES = {
    r"cuda(Malloc|MallocHost|HostAlloc|MallocFromPoolAsync)": (
        "int {name}(void **p, size_t n) {{ *p = calloc(1, n); return 0; }}"
    ),
    r"cuda(Free|FreeHost|FreeAsync)": "int {name}(void *p) {{ free(p); return 0; }}",
    r"cudaMemcpy(Async)?": "int {name}(void *a, const void *b, size_t n) {{ memcpy(a, b, n); return 0; }}",
    r"cudaMemset(Async)?": "int {name}(void *a, int value, size_t n) {{ memset(a, value, n); return 0; }}",
    r"cudaMemGetInfo": "int {name}(size_t *a, size_t *b) {{ *a = *b = (size_t)64 << 30; return 0; }}",
    r"cudaGetDeviceCount": "int {name}(int *n) {{ *n = 1; return 0; }}",
    r"cudaGetDevice": "int {name}(int *n) {{ *n = 0; return 0; }}",
    r"cuda(Driver|Runtime)GetVersion": "int {name}(int *n) {{ *n = {version}000; return 0; }}",
    r"cudnnGetVersion": "size_t {name}(void) {{ return 91000; }}",
    # Attributes 75 and 76 are the two halves of the compute capability.
    r"cudaDeviceGetAttribute": (
        "int {name}(int *v, int which) {{ *v = which == 75 ? 9 : which == 76 ? 0 : 128; return 0; }}"
    ),
    # The fields that are read before anything runs lie in the same places in CUDA 12 and 13.
    r"cudaGetDeviceProperties(_v2)?": """int {name}(char *p) {{
        memset(p, 0, 720); *(size_t *)(p + 288) = (size_t)64 << 30; *(size_t *)(p + 296) = 48 << 10;
        *(int *)(p + 308) = 32; *(int *)(p + 320) = 1024; *(int *)(p + 360) = 9; return 0; }}""",
    r"cudaStreamIsCapturing": "int {name}(void *stream, int *status) {{ *status = 0; return 0; }}",
    r"__cudaRegisterFatBinary": "void **{name}(void) {{ static void *one; return &one; }}",
    r".*(Error|Status)(String|Name)": 'const char *{name}(void) {{ return "nothing is computed here"; }}',
    r"cu\w+Create\w*": "int {name}(void **handle) {{ static char one[64]; *handle = one; return 0; }}",
    r".*": "int {name}(void) {{ return 0; }}",
}


def write(provider: Path, folder: Path) -> None:
    """Compile the libraries that a provider of ONNX Runtime wants, with every function that it calls."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = re.findall(r"\[(lib(?:cu|nv)[^\]]+)\]", _run("readelf", "--dynamic", str(provider)))
    functions: dict[str, list[str]] = collections.defaultdict(list)
    for line in _run("nm", "--dynamic", "--undefined-only", str(provider)).splitlines():
        name, _, library = line.split()[-1].partition("@")
        if library in wanted or (not library and name.startswith("cu")):
            functions[library or _by_prefix(name, wanted)].append(name)
    for start, library in LATER.items():
        if not any(one.startswith(f"lib{start}.") for one in wanted):
            found = re.findall(rb"\0(%s[A-Z]\w+)(?=\0)" % start.encode(), provider.read_bytes())
            functions[library] = sorted({name.decode() for name in found})
    version = next(one for one in wanted if one.startswith("libcudart")).rsplit(".", 1)[1]
    for library in {*wanted, *functions}:
        body = "\n".join(_body(name, version) for name in functions[library]) or "int nothing;"
        code, names = folder / f"{library}.c", folder / f"{library}.map"
        code.write_text(HEAD + body, encoding="utf-8")
        names.write_text(f"{library} {{ global: *; }};", encoding="utf-8")
        link = [f"-Wl,-soname,{library}", f"-Wl,--version-script={names}"]
        # Without warnings: the compiler knows the true types of a few of these functions.
        _run("gcc", "-shared", "-fPIC", "-w", *link, "-o", str(folder / library), str(code))


def _by_prefix(name: str, wanted: list[str]) -> str:
    """Return the library of a function that does not name it: that whose name it starts with, or the driver."""
    return next((one for one in wanted if name.startswith(one.removeprefix("lib").split(".")[0])), "libcuda.so.1")


def _body(name: str, version: str) -> str:
    body = next(body for pattern, body in BODIES.items() if re.fullmatch(pattern, name))
    return body.format(name=name, version=version)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    write(Path(sys.argv[1]), Path(sys.argv[2]))
