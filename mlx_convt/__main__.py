"""``python -m mlx_convt``: the comparison with MLX's built-in operation."""

import sys

from mlx_convt.compare.cli import main

if __name__ == "__main__":
    sys.exit(main())
