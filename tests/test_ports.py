"""The pairs of examples/ports.py compute the same, at sizes of all kinds."""

import re
import sys
from pathlib import Path

import mlx.core as mx
import numpy as np
import pytest
from helpers import draw_integers, run_example, to_numpy

from mlx_convt import reference

EXAMPLES = Path(__file__).parent.parent / "examples"


@pytest.fixture(scope="module")
def ports():
    """The script as a module, found like its own imports are."""
    names = ("common", "port_cases", "ports")
    sys.path.insert(0, str(EXAMPLES))
    try:
        import ports
    finally:
        sys.path.remove(str(EXAMPLES))
        for name in names:
            sys.modules.pop(name, None)
    return ports


def both(case, operands):
    """The results by hand and of the one call, as numpy arrays."""
    x, *parameters = operands
    by_hand = case.by_hand(x, *case.load_by_hand(*parameters))
    one_call = case.one_call(x, *case.load(*parameters))
    return to_numpy(by_hand), to_numpy(one_call)


# Each with an input and parameters whose sums of products are exact.
EXACT = {
    "EnCodec": ((2, 5, 3), (7, 16, 3), (7,)),
    "Higgs": ((2, 7, 3), (5, 10, 3), (5,)),
    "Mimi": ((2, 9, 5), (1, 4, 5)),
    "DeepFilterNet": ((2, 3, 5, 12), (12, 3, 1, 3)),
    "HTDemucs": ((2, 7, 3), (5, 8, 3), (5,)),
    "SegmentAnything": ((2, 3, 5, 3), (7, 2, 2, 3), (7,)),
    "BigVGAN": ((2, 7, 3), (1, 12, 1)),
}


@pytest.mark.parametrize("name", EXACT)
def test_integers_give_the_same_numbers(ports, name):
    operands = [draw_integers(s, seed=i) for i, s in enumerate(EXACT[name])]
    by_hand, one_call = both(ports.CASES[name], operands)
    np.testing.assert_array_equal(by_hand, one_call)


def test_causal_trim_is_that_of_the_reference(ports):
    operands = [
        draw_integers(s, seed=i) for i, s in enumerate(EXACT["EnCodec"])
    ]
    x, weight, bias = map(to_numpy, operands)
    whole = reference.conv_transpose(x, weight, stride=8, bias=bias)
    for result in both(ports.CASES["EnCodec"], operands):
        assert result.shape == (2, 8 * 5, 7)
        np.testing.assert_array_equal(result, whole[:, :40])


@pytest.mark.parametrize("missing", [0, 1, 2, 3])
def test_crop_takes_each_length_of_a_skip_connection(ports, missing):
    case = ports.CASES["HTDemucs"]
    operands = [
        draw_integers(shape, seed=i)
        for i, shape in enumerate(EXACT["HTDemucs"])
    ]
    by_hand = to_numpy(case.by_hand(*operands, missing=missing))
    one_call = to_numpy(case.one_call(*operands, missing=missing))
    assert one_call.shape[1] == 4 * 7 - missing
    np.testing.assert_array_equal(by_hand, one_call)


def test_every_pair_agrees_within_rounding(ports):
    for name, case in ports.CASES.items():
        operands = ports.draw(case.shapes, quick=True)
        difference, error = ports.compare(case, operands)
        assert error <= 1, name
        assert difference < 1e-4, name


SPOILT = {
    "a sample late": lambda y: mx.roll(y, 1, axis=1),
    "channels in another order": lambda y: y[..., ::-1],
    "a lost cell": lambda y: y * (mx.arange(y.size).reshape(y.shape) > 0),
    "NaN": lambda y: y * float("nan"),
}


@pytest.mark.parametrize("how", SPOILT)
def test_compare_sees_what_is_wrong(ports, how):
    for name, case in ports.CASES.items():

        class Wrong(type(case)):
            def by_hand(self, *operands):
                return SPOILT[how](super().by_hand(*operands))

        operands = ports.draw(case.shapes, quick=True)
        assert not ports.compare(Wrong(), operands)[1] <= 1, name


def test_a_wrong_pair_fails_the_script(ports, monkeypatch, capsys):
    class Wrong(type(ports.CASES["EnCodec"])):
        def one_call(self, *operands):
            return super().one_call(*operands) + 1e-4

    monkeypatch.setattr(ports, "CASES", {"Wrong": Wrong()})
    monkeypatch.setattr(sys, "argv", ["ports.py", "--quick"])
    with pytest.raises(SystemExit, match="Not equal within rounding: Wrong, "):
        ports.main()
    assert "are equal" not in capsys.readouterr().out


def test_quick_run_lists_every_case(tmp_path, ports):
    output = run_example("ports.py", tmp_path, "--quick")
    number = r"\s+[\d.]+(?:e-\d+)?"
    for name in ports.CASES:
        assert re.search(rf"^{name}{number * 5}  \S", output, re.MULTILINE), (
            name
        )
    assert "all pairs are equal within rounding" in output
