"""That the check of a macOS build finds what dyld or Apple's linker would."""

from dataclasses import replace

import pytest
from extension_check import (
    LIBOBJC,
    LIBSYSTEM,
    RPATH,
    check_load_commands,
    check_symbols,
)
from mach_o import Binary

MLX = "@rpath/libmlx.dylib"
ACCELERATE = (
    "/System/Library/Frameworks/Accelerate.framework/Versions/A/Accelerate"
)
SGEMM = "_cblas_sgemm$NEWLAPACK"
PYTHON = {"_PyList_New"}

ARRAY_SIZE = "__ZNK3mlx4core5array4sizeEv"
SELECTOR = "__ZN3MTL7Private8Selector18s_kmaxBufferLengthE"
NO_SUCH = "__ZN3mlx4core7no_suchEi"
VECTOR_OF_ARRAYS = "__ZNSt3__16vectorIN3mlx4core5arrayEE5clearEv"

LIBMLX = Binary(
    arch="ARM64",
    macos="14.0.0",
    install_name=MLX,
    libraries=(ACCELERATE, LIBSYSTEM, LIBOBJC),
    rpaths=(),
    exports=frozenset({ARRAY_SIZE, SELECTOR}),
    imports={SGEMM: ACCELERATE, "_objc_msgSend": LIBOBJC, "__Znwm": ""},
)
EXTENSION = Binary(
    arch="ARM64",
    macos="14.0.0",
    install_name="",
    libraries=(ACCELERATE, LIBSYSTEM, MLX),
    rpaths=(RPATH,),
    exports=frozenset(),
    imports={ARRAY_SIZE: MLX},
)


def symbols(imports):
    extension = replace(EXTENSION, imports={ARRAY_SIZE: MLX, **imports})
    return check_symbols(extension, LIBMLX, PYTHON)


FOUND = {
    SELECTOR: (MLX, "metal-cpp"),
    SGEMM: (ACCELERATE, "Accelerate"),
    # Foundation brings it along, so the linker names Foundation.
    "_objc_msgSend": ("/System/Library/Frameworks/F", "libobjc.A.dylib"),
    "_PyList_New": ("", "Python"),
    "_memcpy": (LIBSYSTEM, "libSystem"),
    "__Znwm": ("", "libc++"),
    "__ZdlPvm": ("", "libc++"),
    "___cxa_throw": ("", "libc++"),
    "___gxx_personality_v0": ("", "libc++"),
    "__ZNSt11logic_errorC2EPKc": ("", "libc++"),
    "__ZNKSt3__16locale9use_facetERNS0_2idE": ("", "libc++"),
    "__ZSt9terminatev": ("", "libc++"),
    "__ZTISt9bad_alloc": ("", "libc++"),
    "__ZTVN10__cxxabiv117__class_type_infoE": ("", "libc++"),
}


@pytest.mark.parametrize("name", FOUND)
def test_category(name):
    library, category = FOUND[name]
    counts, errors = symbols({name: library})
    assert counts == {"MLX": 1, category: 1}
    assert errors == []


UNKNOWN = "no library is known to export "
MISSING = {
    "not in libmlx": (NO_SUCH, MLX, "libmlx.dylib does not export "),
    "not in libmlx, nowhere": (NO_SUCH, "", "libmlx.dylib does not export "),
    "not in libmlx, metal-cpp": (
        "__ZN2NS7Private8Selector6s_knewE",
        MLX,
        "libmlx.dylib does not export ",
    ),
    "not in libmlx, vtable": (
        "__ZTVN3mlx4core9PrimitiveE",
        MLX,
        "libmlx.dylib does not export ",
    ),
    "in libmlx, not linked": (
        SELECTOR,
        "",
        f" is linked to no library, not to {MLX}",
    ),
    "framework not linked": (
        "_objc_msgSend",
        "",
        f"_objc_msgSend is in {LIBOBJC}, which is not linked",
    ),
    "old name of a function": ("_cblas_sgemm", "", UNKNOWN + "_cblas_sgemm"),
    "not in a framework": ("_cblas_zgemm$NEWLAPACK", "", UNKNOWN),
    "private name of Python": (
        "__PyList_Extend",
        "",
        "nanobind does not allow __PyList_Extend to be left to Python",
    ),
    "our own": ("__ZN9mlx_convt3cpu3runEv", "", UNKNOWN),
    "our own type in a template": (
        "__ZNSt3__16vectorIN9mlx_convt4UnitEE5clearEv",
        "",
        UNKNOWN,
    ),
    "MLX's type in a template": (VECTOR_OF_ARRAYS, "", UNKNOWN),
    "of nobody": ("_no_such_function", "", UNKNOWN + "_no_such_function"),
}


@pytest.mark.parametrize("case", MISSING)
def test_missing_symbol(case):
    name, library, text = MISSING[case]
    counts, (error,) = symbols({name: library})
    assert counts == {"MLX": 1}
    assert text in error


def test_names_are_readable():
    _, (error,) = symbols({NO_SUCH: MLX})
    assert "mlx::core::no_such(int)" in error or NO_SUCH in error


def test_all_errors_are_told():
    _, errors = symbols({NO_SUCH: MLX, "_a": "", "_b": ""})
    assert len(errors) == 3


def test_extension_without_mlx():
    _, errors = check_symbols(replace(EXTENSION, imports={}), LIBMLX, PYTHON)
    assert errors == ["the extension needs nothing of MLX: is it ours?"]


def test_load_commands():
    assert check_load_commands(EXTENSION, LIBMLX) == []


WRONG = {
    "arch": ({"arch": "X86_64"}, "the extension is for X86_64, MLX for ARM64"),
    "newer macOS": (
        {"macos": "15.0.0"},
        "the extension needs macOS 15.0.0, MLX 14.0.0",
    ),
    "no rpath": ({"rpaths": ()}, f"the rpaths are [], not {RPATH}"),
    "wrong rpath": (
        {"rpaths": ("/build/mlx/lib",)},
        f"the rpaths are ['/build/mlx/lib'], not {RPATH}",
    ),
    "two rpaths": (
        {"rpaths": (RPATH, "/build")},
        f"the rpaths are ['{RPATH}', '/build'], not {RPATH}",
    ),
    "no mlx": ({"libraries": (LIBSYSTEM,)}, f"{MLX} is not linked"),
    "unknown library": (
        {"libraries": (MLX, "/build/libfoo.dylib")},
        "/build/libfoo.dylib is linked, but not known to exist on a Mac",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_load_command(case):
    change, text = WRONG[case]
    errors = check_load_commands(replace(EXTENSION, **change), LIBMLX)
    assert errors == [text]
