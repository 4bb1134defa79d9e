"""Models of mlx_audio for speech, music and noise."""

from types import SimpleNamespace

import mlx.core as mx

from third_party_models.case import RATES, case, plain


@case(
    "mlx_audio.tts.models.voxtral_tts.audio_tokenizer.ConvBlock", functions=True
)
def voxtral(module):
    def forward(model, input):
        return model.conv(input, stride=2, transpose=True)

    return module.ConvBlock(8, 6, 4), forward, (1, 9, 8)


def istftnet(module):
    model = module.Generator(
        style_dim=8,
        resblock_kernel_sizes=[3],
        upsample_rates=[4, 3],
        upsample_initial_channel=16,
        resblock_dilation_sizes=[[1, 3, 5]],
        upsample_kernel_sizes=[8, 7],
        gen_istft_n_fft=8,
        gen_istft_hop_size=2,
    )

    def forward(model, input):
        mx.random.seed(1)  # noise of its source
        f0 = 200 + 50 * input[:, 0, :]
        return model(input, input[:, :8, 0], f0)

    return model, forward, (1, 16, 6)


def adain_block(module):
    model = module.AdainResBlk1d(8, 6, style_dim=8, upsample=True)

    def forward(model, input):
        return model(input, input[:, :, 0])

    return model, forward, (1, 8, 9)


for name in ("kokoro", "kitten_tts"):
    path = f"mlx_audio.tts.models.{name}.istftnet"
    case(f"{path}.Generator", functions=True)(istftnet)
    case(f"{path}.AdainResBlk1d", functions=True)(adain_block)


@case("mlx_audio.tts.models.longcat_audiodit.vae.VaeDecoder", functions=True)
def longcat(module):
    config = module.VaeConfig(
        channels=4, c_mults=[1, 2, 4], strides=[2, 4, 2], latent_dim=8
    )
    return module.VaeDecoder(config), plain, (1, 9, 8)


@case("mlx_audio.tts.models.dramabox.vocoder.Vocoder", functions=True)
def dramabox(module):
    model = module.Vocoder(
        resblock_kernel_sizes=[3],
        upsample_rates=[5, 2],
        upsample_kernel_sizes=[15, 8],
        resblock_dilation_sizes=[[1, 3, 5]],
        upsample_initial_channel=16,
        in_channels=8,
    )
    return model, plain, (1, 7, 8)


@case(
    "mlx_audio.tts.models.chatterbox.s3gen.hifigan.HiFTGenerator", converted=2
)
def chatterbox(module):
    return hift(module)


@case(
    "mlx_audio.tts.models.chatterbox_turbo.models.s3gen.hifigan.HiFTGenerator",
    converted=2,
    differentiable=False,
)
def chatterbox_turbo(module):
    return hift(module)


def hift(module):
    model = module.HiFTGenerator(
        in_channels=8,
        base_channels=16,
        upsample_rates=[4, 3],
        upsample_kernel_sizes=[8, 7],
        resblock_kernel_sizes=[3],
        resblock_dilation_sizes=[[1, 3, 5]],
        source_resblock_kernel_sizes=[3, 3],
        source_resblock_dilation_sizes=[[1, 3, 5], [1, 3, 5]],
    )

    def forward(model, input):
        source = mx.sin(mx.arange(input.shape[-1] * 48)).reshape(1, 1, -1)
        return model.decode(input, source.astype(input.dtype))

    return model, forward, (1, 8, 7)


@case(
    "mlx_audio.tts.models.chatterbox.s3gen.matcha.decoder.Upsample1D",
    converted=1,
)
def matcha(module):
    return module.Upsample1D(8), plain, (1, 8, 9)


@case("mlx_audio.tts.models.arktts.codec.ArkttsDecoderBlock", converted=1)
def arktts(module):
    return module.ArkttsDecoderBlock(16, 8, 4), plain, (1, 9, 16)


@case(
    "mlx_audio.tts.models.voxcpm.audio_vae.CausalDecoder",
    skipped=3,
    builtin_differentiates=False,
)
def voxcpm(module):
    # Its layers subclass MLX's and set output_padding, then trim the end.
    return module.CausalDecoder(8, 32, RATES), plain, (1, 9, 8)


@case(
    "mlx_audio.tts.models.voxcpm2.audio_vae.CausalTransposeConv1d",
    skipped=1,
    builtin_differentiates=False,
)
def voxcpm2(module):
    model = module.CausalTransposeConv1d(8, 4, 10, 5, 3, 1)
    return model, plain, (1, 9, 8)


@case(
    "mlx_audio.tts.models.qwen3_tts.speech_tokenizer.DecoderBlock", converted=1
)
def qwen3(module):
    config = SimpleNamespace(decoder_dim=16, upsample_rates=[3])

    def forward(model, input):
        model.block[1].reset_state()
        for part in model.modules():
            if hasattr(part, "reset_state"):
                part.reset_state()
        first, second = mx.split(input, [4], axis=1)
        return model(input), model.step(first), model.step(second)

    return module.DecoderBlock(config, 0), forward, (1, 9, 16)


@case("mlx_audio.tts.models.melotts.hifigan.Generator", converted=2)
def melotts(module):
    model = module.Generator(
        8, "1", [3], [[1, 3, 5]], [4, 2], 16, [8, 5], gin_channels=0
    )
    return model, plain, (1, 8, 7)


@case(
    "mlx_audio.tts.models.vibevoice.acoustic_tokenizer.UpsampleLayer",
    converted=1,
    functions=True,
)
def vibevoice(module):
    # Streaming, it calls the function with its layer's weight.
    def forward(model, input):
        cache = {}
        first, second = mx.split(input, [4], axis=-1)
        return model(input), model(first, cache), model(second, cache)

    return module.UpsampleLayer(8, 6, 8, 4), forward, (1, 8, 9)


@case("mlx_audio.tts.models.tada.codec.DACDecoder", converted=3)
def tada(module):
    return module.DACDecoder(2, RATES, 8), plain, (1, 9, 8)


@case("mlx_audio.music.models.minimax_music3.vocoder.Vocoder", converted=3)
def minimax(module):
    config = SimpleNamespace(
        dit_in_channels=16,
        vocoder_input_dim=8,
        vocoder_hidden_dim=32,
        vocoder_upsampling_ratios=RATES,
    )
    return module.Vocoder(config), plain, (1, 16, 9)


@case(
    "mlx_audio.sts.models.deepfilternet.network.ConvTransposeBlock",
    functions=True,
)
def deepfilternet(module):
    # Two axes, a group for each channel by a dense weight.
    return module.ConvTransposeBlock(8, 8, (1, 3), 8, 2), plain, (1, 8, 5, 9)


@case(
    "mlx_audio.tts.models.spark.modules.encoder_decoder.wave_generator.WaveGenerator",
    functions=True,
)
def spark(module):
    return module.WaveGenerator(8, 32, RATES, [8, 6, 5]), plain, (1, 8, 9)
