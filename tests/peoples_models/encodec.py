"""The decoder of EnCodec, of which there are several copies, for the CPU."""

from types import SimpleNamespace

import mlx.core as mx


def lstm_step(x, h_in, cell, time_step):
    """What EnCodec's Metal kernel computes, by MLX's operations."""
    gates = mx.split(h_in + x[:, time_step], 4, axis=-1)
    i, f, o = (mx.sigmoid(gates[k]) for k in (0, 1, 3))
    cell = f * cell + i * mx.tanh(gates[2])
    return o * mx.tanh(cell), cell


def encodec_config(**sizes):
    """The 24 kHz model's, but for the sizes given."""
    config = SimpleNamespace(
        audio_channels=1,
        num_filters=32,
        kernel_size=7,
        num_residual_layers=1,
        dilation_growth_rate=2,
        hidden_size=128,
        num_lstm_layers=2,
        residual_kernel_size=3,
        use_causal_conv=True,
        pad_mode="reflect",
        norm_type="weight_norm",
        last_kernel_size=7,
        trim_right_ratio=1.0,
        compress=2,
        use_conv_shortcut=True,
        upsampling_ratios=[8, 5, 4, 2],
    )
    vars(config).update(sizes)
    return config


def encodec_decoder(module, **sizes):
    module.lstm_custom = lstm_step
    return module.EncodecDecoder(encodec_config(**sizes))
