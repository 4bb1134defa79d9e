"""Times and checks this package and MLX's built-in operation side by side."""
