"""What `import mlx_convt` says where the compiled module cannot work."""

import importlib.metadata

import mlx.core as mx
import pytest
from helpers import run_python

import mlx_convt
from mlx_convt import _ext
from mlx_convt._guard import MLX_VERSION as MLX

REINSTALL = "reinstall mlx_convt (in a checkout: `pip install '.[cpu]'`)."
GET_MLX = f"run `pip install 'mlx[cpu]=={MLX}'`."

HALTED = "import of mlx.core halted; None in sys.modules"
ONLY = (
    f"mlx_convt works with mlx {MLX} only, because MLX's C++ interface changes "
    "with every release, but mlx {} is installed: " + GET_MLX
)
REGISTRIES = (
    "mlx_convt's compiled module does not know mx.array, because "
    "nanobind-backend and mlx have different type registries: run `pip "
    f"install 'mlx[cpu]=={MLX}' nanobind-backend==1.0.0`."
)

FAKE_EXTENSION = """
import sys, types
fake = types.ModuleType("mlx_convt._ext")
fake.__version__ = "0"
fake.built_for_mlx = {built_for!r}
fake.array_registered = {registered}
sys.modules["mlx_convt._ext"] = fake
"""

FAIL_TO_LOAD = """
import sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "mlx_convt._ext":
            raise ImportError("undefined symbol: x")
sys.meta_path.insert(0, Finder())
"""

CASES = {
    "mlx missing": (
        "import sys; sys.modules['mlx.core'] = None",
        f"mlx_convt cannot import mlx.core ({HALTED}): {GET_MLX}",
    ),
    "older mlx": (
        "import mlx.core; mlx.core.__version__ = '0.32.3'",
        ONLY.format("0.32.3"),
    ),
    "newer mlx": (
        "import mlx.core; mlx.core.__version__ = '0.33.0'",
        ONLY.format("0.33.0"),
    ),
    "not compiled": (
        "import sys; sys.modules['mlx_convt._ext'] = None",
        "mlx_convt's compiled module is not installed: " + REINSTALL,
    ),
    "does not load": (
        FAIL_TO_LOAD,
        "mlx_convt's compiled module does not load (undefined symbol: x): "
        + REINSTALL,
    ),
    "compiled for another mlx": (
        FAKE_EXTENSION.format(built_for="0.32.3", registered=True),
        "mlx_convt's compiled module was built for mlx 0.32.3, not "
        f"{MLX}: " + REINSTALL,
    ),
    "another registry of types": (
        FAKE_EXTENSION.format(built_for=MLX, registered=False),
        REGISTRIES,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_refusal(name):
    prepare, text = CASES[name]
    done = run_python(
        f"""
{prepare}
try:
    import mlx_convt
except ImportError as error:
    print(error)
"""
    )
    assert done.stdout == text + "\n", done.stderr


def test_versions_agree():
    assert mx.__version__ == MLX == _ext.built_for_mlx
    assert _ext.array_registered
    installed = importlib.metadata.version("mlx-convt")
    assert mlx_convt.__version__ == _ext.__version__ == installed


def test_import_order_does_not_matter():
    done = run_python(
        """
import mlx_convt
import mlx.core as mx
print(mlx_convt.conv_transpose1d(mx.ones((1, 1, 1)), mx.ones((1, 2, 1))).shape)
"""
    )
    assert done.stdout == "(1, 2, 1)\n", done.stderr


def test_public_names():
    assert sorted(mlx_convt.__all__) == [
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "from_torch",
        "native_ops",
        "nn",
        "patch",
        "to_torch",
    ]
    assert all(getattr(mlx_convt, name).__doc__ for name in mlx_convt.__all__)
