"""Run two models of MLX's own examples with and without mlx_convt.

The models come from a checkout of MLX's repository of examples, and no line of
it is changed:

- the decoder of EnCodec at 24 kHz, which makes sound of 75 frames a second. It
  enlarges with four layers of `mlx.nn`, and `mlx_convt.patch()` reaches those;
- the mask decoder of Segment Anything, which enlarges an image's embedding
  twice. It brings a transposed convolution of its own, made with
  `mx.conv_general`, which a patch does not reach. Here the layer of
  `mlx_convt.nn` takes the place of that class before the model is built.

    pip install pillow
    git clone https://github.com/ml-explore/mlx-examples
    python examples/mlx_examples.py --checkout mlx-examples   # 40 seconds

MLX_CONVT_MLX_EXAMPLES may name the checkout instead; --quick is for an instant
of sound. Nothing is downloaded: the weights are random, of the real sizes.

Both outputs are compared with the same model in float64: ours is equal to
MLX's when its error is no more than twice as large, the error of rounding being
a matter of luck. It prints these errors, the median times of the whole models,
the part of them that transposed convolutions take, and what is gained.
"""

import argparse
import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import mlx.core as mx
import mlx.nn as nn
import numpy as np
from common import median_times

import mlx_convt

URL = "https://github.com/ml-explore/mlx-examples"
VARIABLE = "MLX_CONVT_MLX_EXAMPLES"
ROUNDOFF = 2.0**-24  # of float32
FRAME_RATE = 75  # frames a second, of EnCodec
ENCODEC = {
    "audio_channels": 1,
    "num_filters": 32,
    "kernel_size": 7,
    "last_kernel_size": 7,
    "residual_kernel_size": 3,
    "num_residual_layers": 1,
    "num_lstm_layers": 2,
    "dilation_growth_rate": 2,
    "compress": 2,
    "hidden_size": 128,
    "upsampling_ratios": [8, 5, 4, 2],
    "use_causal_conv": True,
    "use_conv_shortcut": True,
    "trim_right_ratio": 1.0,
    "norm_type": "weight_norm",
    "pad_mode": "reflect",
}


def lstm_step(x, h_in, cell, time_step):
    """What the example computes with a Metal kernel, by MLX's operations."""
    i, f, g, o = mx.split(h_in + x[:, time_step], 4, axis=-1)
    cell = mx.sigmoid(f) * cell + mx.sigmoid(i) * mx.tanh(g)
    return mx.sigmoid(o) * mx.tanh(cell), cell


def load_encodec(checkout):
    path = checkout / "encodec" / "encodec.py"
    spec = importlib.util.spec_from_file_location("mlx_examples_encodec", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def encodec_decoder(module, **sizes):
    """The 24 kHz model's, but for the sizes given."""
    module.lstm_custom = lstm_step  # for the CPU
    return module.EncodecDecoder(SimpleNamespace(**(ENCODEC | sizes)))


def build_encodec(checkout):
    module = load_encodec(checkout)
    decoder = encodec_decoder(module)
    for layer in decoder.modules():
        if isinstance(layer, module.LSTM):  # begins with zeros
            bound = layer.hidden_size**-0.5
            for name in ("Wx", "Wh", "bias"):
                shape = layer[name].shape
                layer[name] = mx.random.uniform(-bound, bound, shape)
    return decoder


def build_mask_decoder(checkout, ours):
    """The sizes are those of all of Segment Anything's models."""
    sys.path.insert(0, str(checkout / "segment_anything"))
    module = importlib.import_module("segment_anything.mask_decoder")
    transformer = importlib.import_module("segment_anything.transformer")
    theirs = module.ConvTranspose2d

    def build_ours(c_in, c_out, kernel_size, stride, padding):
        # Theirs is the padding of the convolution over the dilated input.
        padding = kernel_size - 1 - padding
        return mlx_convt.nn.ConvTranspose2d(
            c_in, c_out, kernel_size, stride, padding
        )

    module.ConvTranspose2d = build_ours if ours else theirs
    try:
        return module.MaskDecoder(
            transformer_dim=256,
            transformer=transformer.TwoWayTransformer(
                depth=2, embedding_dim=256, mlp_dim=2048, num_heads=8
            ),
        )
    finally:
        module.ConvTranspose2d = theirs
        sys.path.pop(0)


def conv1d(input, weight, stride=1, padding=0, dilation=1, groups=1):
    """A convolution as a transposed one, for MLX has none in float64."""
    kernel = weight.shape[1]
    return mlx_convt.conv_transpose1d(
        input,
        weight[:, ::-1],
        stride,  # 1 in these models
        dilation * (kernel - 1) - padding,
        dilation,
        groups=groups,
    )


def in_float64(model, *inputs):
    """The output that both are compared with."""
    model.set_dtype(mx.float64)
    own, mx.conv1d = mx.conv1d, conv1d
    try:
        with mlx_convt.patch():
            output = model(*(x.astype(mx.float64) for x in inputs))
            mx.eval(output)
    finally:
        mx.conv1d = own
        model.set_dtype(mx.float32)
    return np.array(output)


def error(output, exact):
    return np.abs(np.array(output) - exact).max() / np.abs(exact).max()


def report(title, theirs, ours, part, exact, repeats):
    """Compare outputs and times; True if the outputs are equal.

    `part` maps both names to functions for the transposed convolutions alone.
    """
    errors = {"MLX": error(theirs(), exact), "mlx_convt": error(ours(), exact)}
    equal = errors["mlx_convt"] <= 2 * errors["MLX"] + 4 * ROUNDOFF
    whole = {
        "MLX": lambda: mx.eval(theirs()),
        "mlx_convt": lambda: mx.eval(ours()),
    }
    whole_ms, part_ms = (median_times(c, repeats) for c in (whole, part))

    print(title)
    print(f"  {'':10} {'whole model':>12} {'transposed':>12} {'error':>9}")
    for name in whole:
        print(
            f"  {name:10} {whole_ms[name]:9.1f} ms {part_ms[name]:9.1f} ms"
            f" {errors[name]:9.1e}"
        )
    gains = [ms["MLX"] / ms["mlx_convt"] for ms in (whole_ms, part_ms)]
    print(f"  {'gain':10} {gains[0]:11.1f}x {gains[1]:11.1f}x", end="  ")
    print("equal within rounding" if equal else "NOT equal", flush=True)
    return equal


def run_encodec(checkout, seconds, repeats):
    model = build_encodec(checkout)
    frames = max(round(seconds * FRAME_RATE), 8)
    latent = mx.random.normal((1, frames, ENCODEC["hidden_size"]))

    def patched():
        with mlx_convt.patch():
            return model(latent)

    # Each layer with the input that it has inside of the model.
    calls = []
    own = mx.conv_transpose1d

    def recording(*arguments):
        calls.append(arguments)
        return own(*arguments)

    mx.conv_transpose1d = recording
    try:
        mx.eval(model(latent))
    finally:
        mx.conv_transpose1d = own
    part = {
        "MLX": lambda: mx.eval([own(*call) for call in calls]),
        "mlx_convt": lambda: mx.eval(
            [mlx_convt.conv_transpose1d(*call) for call in calls]
        ),
    }
    return report(
        f"EnCodec, 24 kHz: decoder, {frames / FRAME_RATE:.2f} s of sound",
        lambda: model(latent),
        patched,
        part,
        in_float64(model, latent),
        repeats,
    )


def run_mask_decoder(checkout, size, repeats):
    theirs = build_mask_decoder(checkout, ours=False)
    ours = build_mask_decoder(checkout, ours=True)
    ours.update(theirs.parameters())
    image = mx.random.normal((1, size, size, 256))
    positions = mx.random.normal((1, size, size, 256))
    points = mx.random.normal((1, 2, 256))
    dense = mx.zeros((1, size, size, 256))
    inputs = image, positions, points, dense

    def masks(model):
        return lambda *inputs: model(*inputs, multimask_output=True)[0]

    def enlarged(model):
        wide = mx.random.normal((1, 2 * size, 2 * size, 64))
        mx.eval(wide)
        first, second = model.upscale_conv1, model.upscale_conv2
        return lambda: mx.eval(first(image), second(wide))

    class Masks(nn.Module):
        def __call__(self, *inputs):
            return masks(self.model)(*inputs)

    double = Masks()
    double.model = ours
    return report(
        f"Segment Anything: mask decoder, embedding of {size}x{size}",
        lambda: masks(theirs)(*inputs),
        lambda: masks(ours)(*inputs),
        {"MLX": enlarged(theirs), "mlx_convt": enlarged(ours)},
        in_float64(double, *inputs),
        repeats,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small inputs")
    parser.add_argument(
        "--checkout",
        type=Path,
        default=os.environ.get(VARIABLE),
        help=f"folder of mlx-examples [{VARIABLE}]",
    )
    parser.add_argument("--seconds", type=float, help="of sound [1]")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    advice = f"git clone {URL}, and name it with --checkout"
    if options.checkout is None:
        parser.error(f"no checkout of mlx-examples: {advice}")
    checkout = Path(options.checkout).resolve()
    if not (checkout / "encodec" / "encodec.py").is_file():
        parser.error(f"no checkout of mlx-examples at {checkout}: {advice}")

    mx.set_default_device(mx.cpu)
    mx.random.seed(options.seed)
    seconds, size, repeats = (0.1, 16, 3) if options.quick else (1, 64, 5)
    if options.seconds is not None:
        seconds = options.seconds
    equal = [
        run_encodec(checkout, seconds, repeats),
        run_mask_decoder(checkout, size, repeats),
    ]
    return 0 if all(equal) else 1


if __name__ == "__main__":
    sys.exit(main())
