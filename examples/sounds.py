"""Sounds for vocoder.py: a voice, a plucked string, a flute; notes, a melody.

Every sound comes with its excitation: pulses at its pitch, and noise.
"""

import wave

import numpy as np

RATE = 16000  # samples per second
VOICES = "voice", "string", "flute"
# Frequencies (Hz) of the first four formants, and the widths of all.
FORMANTS = np.array(
    [
        [730, 1090, 2440, 3400],  # a
        [530, 1840, 2480, 3500],  # e
        [270, 2290, 3010, 3700],  # i
        [570, 840, 2410, 3300],  # o
    ]
)
WIDTHS = np.array([90, 110, 160, 220])
# Beethoven, Ode to Joy: semitones above A3, and lengths in beats.
MELODY = 7, 7, 8, 10, 10, 8, 7, 5, 3, 3, 5, 7, 7, 5, 5
BEATS = *[1] * 12, 1.5, 0.5, 2
BEAT = 0.4  # seconds


def note(kind, pitch, samples, rng):
    """A note, and its excitation (pulses, noise) as (samples, 2)."""
    t = np.arange(samples) / RATE
    depth = {"voice": 0.012, "string": 0, "flute": 0.005}[kind]
    glide = 0.06 * np.exp(-t / 0.03) * (rng.uniform(-1, 1) if depth else 0)
    beat = 2 * np.pi * rng.uniform(4.5, 6) * t + rng.uniform(0, 6)
    f0 = pitch * (1 + glide + depth * np.minimum(4 * t, 1) * np.sin(beat))
    k = np.arange(1, int(0.95 * RATE / 2 / f0.max()) + 1)
    phase = np.outer(2 * np.pi * np.cumsum(f0) / RATE, k).astype(np.float32)
    noise = rng.standard_normal(samples)

    envelope = np.minimum(t / 0.03, 1) * np.minimum((t[-1] - t) / 0.05, 1)
    if kind == "string":
        pluck = rng.uniform(0.1, 0.3)
        level = np.sin(np.pi * pluck * k) / k**1.3
        rise = np.minimum(t / 0.003, 1) * np.minimum((t[-1] - t) / 0.02, 1)
        decay = rng.uniform(1.5, 3) + 0.006 * k * pitch / 10
        level = level * rise[:, None] * np.exp(-np.outer(t, decay))
    elif kind == "flute":
        level = envelope[:, None] * np.exp(-rng.uniform(0.8, 1.2) * (k - 1))
    else:
        begin, end = FORMANTS[rng.integers(len(FORMANTS), size=2)]
        way = np.clip(t / t[-1] * 2 - 0.5, 0, 1)[:, None]
        f = np.outer(f0, k)
        level = envelope[:, None] / k**0.8
        gain = 0.01
        for centre, width in zip((begin + way * (end - begin)).T, WIDTHS):
            centre = centre[:, None] * np.ones(1)
            gain = gain + 1 / (1 + ((f - centre) / width) ** 2)
        level = level * gain
    sound = (level * np.sin(phase)).sum(1)
    sound *= 0.25 / np.abs(sound).max()
    if kind == "flute":
        sound += 0.012 * envelope * noise
    pulses = np.cos(phase).sum(1) * np.sqrt(2 / len(k))
    return sound, np.stack([pulses, noise], 1)


def compose(notes, hop, rng):
    """Notes (kind, semitone, seconds) in turn: sound and excitation."""
    parts = [
        note(kind, 220 * 2 ** (semitone / 12), int(RATE * seconds), rng)
        for kind, semitone, seconds in notes
    ]
    sound, excitation = (np.concatenate(part) for part in zip(*parts))
    end = len(sound) // hop * hop
    return (part[:end].astype(np.float32) for part in (sound, excitation))


def practice(seconds, hop, rng):
    """Random notes of that many seconds in all."""
    notes = []
    while seconds > 0:
        length = rng.uniform(0.2, 0.8)
        semitone = rng.uniform(-8, 15)
        notes.append((VOICES[rng.integers(3)], semitone, length))
        seconds -= length
    return compose(notes, hop, rng)


def melody(hop, rng):
    """The voices take turns, bar by bar."""
    notes, beats = [], 0
    for semitone, length in zip(MELODY, BEATS):
        voice = VOICES[int(beats // 4) % 3]
        notes.append((voice, semitone, BEAT * length))
        beats += length
    return compose(notes, hop, rng)


def write(path, sound, loudest):
    """A WAV file in which that magnitude is at 0.8 of the full scale."""
    pcm = np.round(0.8 * 32767 / loudest * sound).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, RATE, len(pcm), "NONE", None))
        file.writeframes(pcm.tobytes())
