"""Codecs of mlx_audio, and of moshi_mlx."""

import sys
from pathlib import Path

from third_party_models.case import RATES, case, in_two_steps, plain

EXAMPLES = str(Path(__file__).parents[2] / "examples")
sys.path.insert(0, EXAMPLES)
import mlx_examples

sys.path.remove(EXAMPLES)


@case("mlx_audio.codec.models.encodec.encodec.EncodecDecoder", converted=4)
def encodec(module):
    return (
        mlx_examples.encodec_decoder(module, num_filters=4, hidden_size=8),
        plain,
        (1, 9, 8),
    )


@case("mlx_audio.codec.models.snac.layers.Decoder", functions=True)
def snac(module):
    # Gives the number of groups in the place of output_padding.
    model = module.Decoder(8, 32, RATES, depthwise=True, attn_window_size=None)
    return model, plain, (1, 9, 8)


@case("mlx_audio.codec.models.descript.dac.Decoder", functions=True)
def dac(module):
    return module.Decoder(8, 32, RATES), plain, (1, 9, 8)


@case("mlx_audio.codec.models.bigvgan.bigvgan.BigVGAN", functions=True)
def bigvgan(module):
    # Its activations enlarge and reduce channel by channel.
    config = module.BigVGANConfig(
        num_mels=8,
        upsample_rates=[4, 2],
        upsample_kernel_sizes=[8, 5],
        upsample_initial_channel=16,
        resblock="1",
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3, 5]],
        activation="snakebeta",
        snake_logscale=True,
    )
    return module.BigVGAN(config), plain, (1, 8, 7)


@case("mlx_audio.codec.models.fish_s1_dac.fish_s1_dac.Decoder", functions=True)
def fish(module):
    return module.Decoder(8, 32, RATES), plain, (1, 8, 9)


@case(
    "mlx_audio.codec.models.fish_s1_dac.fish_s1_dac.DecoderBlock",
    functions=True,
)
def fish_stream(module):
    model = module.DecoderBlock(8, 4, 3, causal=True)

    def forward(model, input):
        for part in model.modules():
            if hasattr(part, "reset_state"):
                part.reset_state()
        return in_two_steps(model, input)

    return model, forward, (1, 8, 9)


@case(
    "mlx_audio.codec.models.nemotron_voicechat.codec.AudioDecoder", converted=3
)
def nemotron(module):
    config = module.NemotronVoiceChatCodecConfig(
        base_channels=4,
        downsample_rates=(2, 3, 4),
        blocks_per_stage=1,
        latent_dim=8,
    )
    return module.AudioDecoder(config), plain, (1, 7, 8)


@case(
    "mlx_audio.codec.models.higgs_audio.dac.AcousticDecoderBlock", converted=1
)
def higgs(module):
    return module.AcousticDecoderBlock(16, 8, 3), plain, (2, 9, 16)


@case("mlx_audio.codec.models.dacvae.codec.DecoderBlock", functions=True)
def dacvae(module):
    model = module.DecoderBlock(24, 12, stride=3, stride_wm=2)

    def forward(model, input):
        return model(input), model.upsample_group(input[..., :8])

    return model, forward, (1, 9, 24)


@case(
    "mlx_audio.codec.models.mimo_audio_tokenizer.model.CausalConvTranspose1d",
    converted=1,
)
def mimo(module):
    return module.CausalConvTranspose1d(16, 8, 3, 2), plain, (1, 9, 16)


def seanet(module):
    config = module.SeanetConfig(
        dimension=8,
        channels=1,
        causal=True,
        nfilters=4,
        nresidual_layers=1,
        ratios=RATES,
        ksize=7,
        residual_ksize=3,
        last_ksize=3,
        dilation_base=2,
        pad_mode="constant",
        true_skip=True,
        compress=2,
    )
    return module.SeanetDecoder(config), expanded_steps, (1, 8, 9)


def mimi_upsample(module):
    return module.ConvTrUpsample1d(2, 16, True), expanded_steps, (1, 16, 9)


def expanded_steps(model, input):
    for _, part in model.named_modules():
        if hasattr(part, "update_in_place"):
            part.update_in_place()  # the kernel that it computes with
    model.reset_state()
    return in_two_steps(model, input)


for modules in ("mlx_audio.codec.models.mimi.modules", "moshi_mlx.modules"):
    case(f"{modules}.seanet.SeanetDecoder", functions=True)(seanet)
    case(f"{modules}.conv.ConvTrUpsample1d", functions=True)(mimi_upsample)
