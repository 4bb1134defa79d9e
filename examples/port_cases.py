"""Workarounds in ports of PyTorch models, each above the call that replaces it.

The cases of ports.py, at the sizes of the models that have them. Each workaround
is written in its shortest form; the docstrings say where to find the original.
"""

import mlx.core as mx

import mlx_convt


def weight_norm(g, v):
    return g * v / mx.sqrt((v * v).sum(axis=(1, 2), keepdims=True))


class Case:
    """A workaround, the call, and the model's parameters for both.

    `load` and `load_by_hand` change the parameters once, before any call.
    `shapes` are the input's, then the parameters'; the result is linear in
    each of the operands that `linear` lists.
    """

    linear = (0, 1, 2)

    def load(self, *parameters):
        return parameters

    def load_by_hand(self, *parameters):
        return parameters


class EnCodec(Case):
    """Causal: K - stride samples are sliced off at the right.

    The 24 kHz model's first upsampling; ml-explore/mlx-examples
    encodec/encodec.py, and likewise VoxCPM, Qwen3-TTS and Voxtral in mlx-audio.
    At 48 kHz a norm comes before the slice, which must then stay.
    """

    says = "padding=((0, 8),)"
    shapes = ((1, 75, 512), (256, 16, 512), (256,))

    def by_hand(self, x, weight, bias):
        y = mx.conv_transpose1d(x, weight, stride=8) + bias
        return y[:, :-8]

    def one_call(self, x, weight, bias):
        ends = ((0, 8),)
        return mlx_convt.conv_transpose1d(x, weight, 8, ends, bias=bias)


class Higgs(Case):
    """An odd stride: two samples are cut at one end, three at the other.

    Second upsampling; mlx-audio codec/models/higgs_audio/dac.py.
    """

    says = 'padding="same"'
    shapes = ((1, 100, 512), (256, 10, 512), (256,))

    def by_hand(self, x, weight, bias):
        y = mx.conv_transpose1d(x, weight, stride=5, padding=2) + bias
        return y[:, : 5 * x.shape[1]]

    def one_call(self, x, weight, bias):
        return mlx_convt.conv_transpose1d(x, weight, 5, "same", bias=bias)


class Mimi(Case):
    """A depthwise weight (1, K, C) is made dense: C times as large.

    12.5 to 25 Hz; moshi_mlx modules/conv.py. Causal like EnCodec.
    """

    says = "groups=512, padding=((0, 2),)"
    shapes = ((1, 125, 512), (1, 4, 512))
    linear = (0, 1)

    def load_by_hand(self, weight):
        return (mx.eye(weight.shape[2], dtype=weight.dtype)[:, None] * weight,)

    def by_hand(self, x, dense):
        return mx.conv_transpose1d(x, dense, stride=2)[:, :-2]

    def load(self, weight):
        return (weight.transpose(2, 1, 0),)

    def one_call(self, x, weight):
        ends, groups = ((0, 2),), x.shape[-1]
        return mlx_convt.conv_transpose1d(x, weight, 2, ends, groups=groups)


class DeepFilterNet(Case):
    """A grouped weight in PyTorch's layout is made block diagonal.

    Version 3's last upsampling; mlx-audio sts/models/deepfilternet/network.py.
    """

    says = "from_torch, groups=64"
    shapes = ((1, 200, 16, 64), (64, 1, 1, 3))
    linear = (0, 1)

    def load_by_hand(self, weight):
        c_in, group = weight.shape[:2]  # as many channels leave as enter
        blocks = []
        for begin in range(0, c_in, group):
            block = weight[begin : begin + group].transpose(1, 2, 3, 0)
            sides = (begin, c_in - begin - group)
            blocks.append(mx.pad(block, ((0, 0), (0, 0), (0, 0), sides)))
        return (mx.concatenate(blocks),)

    def by_hand(self, x, dense):
        return mx.conv_transpose2d(x, dense, (1, 2), (0, 1), 1, (0, 1))

    def load(self, weight):
        groups = weight.shape[0] // weight.shape[1]
        return (mlx_convt.from_torch(weight, groups),)

    def one_call(self, x, weight):
        groups = x.shape[3] // weight.shape[3]
        options = {"output_padding": (0, 1), "groups": groups}
        return mlx_convt.conv_transpose2d(x, weight, (1, 2), (0, 1), **options)


class Kokoro(Case):
    """An output padding by a slice at the left; weight norm in every call.

    AdainResBlk1d.pool; mlx-audio tts/models/kokoro/istftnet.py.
    """

    says = "output_padding=1, weight norm merged"
    shapes = ((1, 400, 1090), (1090, 1, 1), (1090, 3, 1), (1090,))
    linear = (0, 1, 3)

    def by_hand(self, x, g, v, bias):
        weight, groups = weight_norm(g, v), x.shape[-1]
        y = mx.conv_transpose1d(x, weight, stride=2, groups=groups) + bias
        return y[:, 1:]

    def load(self, g, v, bias):
        return weight_norm(g, v), bias

    def one_call(self, x, weight, bias):
        options = {"output_padding": 1, "groups": x.shape[-1], "bias": bias}
        return mlx_convt.conv_transpose1d(x, weight, 2, 1, **options)


class HTDemucs(Case):
    """Cropped to the length of a skip connection, 5375 from 1344.

    Time branch; facebookresearch/demucs demucs/hdemucs.py HDecLayer, and its
    MLX ports. Four lengths have 1344 samples at a quarter of the rate: with a
    padding of (2, 2 + stride - 1), `output_size` takes each of them.
    """

    says = "padding=((2, 5),), output_size"
    shapes = ((1, 1344, 384), (192, 8, 384), (192,))

    def by_hand(self, x, weight, bias, missing=1):
        length = 4 * x.shape[1] - missing
        y = mx.conv_transpose1d(x, weight, stride=4) + bias
        return y[:, 2 : 2 + length]

    def one_call(self, x, weight, bias, missing=1):
        length = 4 * x.shape[1] - missing
        options = {"output_size": length, "bias": bias}
        return mlx_convt.conv_transpose1d(x, weight, 4, ((2, 5),), **options)


class SegmentAnything(Case):
    """An ordinary convolution of an input with zeros in between.

    First upscaling of the mask decoder; ml-explore/mlx-examples
    segment_anything/segment_anything/mask_decoder.py.
    """

    says = "stride=2, bias=bias"
    shapes = ((1, 64, 64, 256), (64, 2, 2, 256), (64,))

    def by_hand(self, x, weight, bias):
        options = {"padding": 1, "input_dilation": 2, "flip": True}
        return mx.conv_general(x, weight, **options) + bias

    def one_call(self, x, weight, bias):
        return mlx_convt.conv_transpose2d(x, weight, 2, bias=bias)


class BigVGAN(Case):
    """Anti-aliased upsampling: the whole result is scaled, then sliced.

    mlx-audio codec/models/bigvgan/resample.py, and Confucius4 there. The
    repeated edges stay; twelve numbers are scaled instead, and what would be
    sliced off is not computed.
    """

    says = "padding=15, filter scaled"
    shapes = ((1, 25600, 64), (1, 12, 1))
    linear = (0, 1)

    def by_hand(self, x, taps):
        x = mx.pad(x, ((0, 0), (5, 5), (0, 0)), mode="edge")
        weight, groups = mx.repeat(taps, x.shape[-1], axis=0), x.shape[-1]
        y = 2 * mx.conv_transpose1d(x, weight, stride=2, groups=groups)
        return y[:, 15:-15]

    def one_call(self, x, taps):
        x = mx.pad(x, ((0, 0), (5, 5), (0, 0)), mode="edge")
        weight, groups = mx.repeat(2 * taps, x.shape[-1], axis=0), x.shape[-1]
        return mlx_convt.conv_transpose1d(x, weight, 2, 15, groups=groups)


class FishSpeech(Case):
    """PyTorch's layout: weights normalized and permuted in every call.

    Codec of S1, third block; mlx-audio codec/models/fish_s1_dac/fish_s1_dac.py.
    `mlx_convt.nn.load_torch` does at once what `load` does here.
    """

    says = "from_torch, padding=((0, 4),)"
    shapes = ((1, 384, 352), (384, 1, 1), (384, 192, 8), (192,))
    linear = (0, 1, 3)

    def by_hand(self, x, g, v, bias):
        weight = weight_norm(g, v).transpose(1, 2, 0)
        y = mx.conv_transpose1d(x.swapaxes(1, 2), weight, stride=4) + bias
        return y.swapaxes(1, 2)[..., :-4]

    def load(self, g, v, bias):
        return mlx_convt.from_torch(weight_norm(g, v)), bias

    def one_call(self, x, weight, bias):
        x, ends = x.swapaxes(1, 2), ((0, 4),)
        y = mlx_convt.conv_transpose1d(x, weight, 4, ends, bias=bias)
        return y.swapaxes(1, 2)


CASES = {kind.__name__: kind() for kind in Case.__subclasses__()}
