"""The libraries of docs/differences.md: their layouts, layers and names."""

import functools
import importlib
import importlib.util
import os
import types
import warnings
from typing import ClassVar

import mlx.core as mx
import mlx.nn
import numpy as np
from metal.needs import missing

import mlx_convt
from equivalents.page import version_of


class Library:
    """Arrays in MLX's layout to the library's own; results back to numpy."""

    modules: ClassVar = {}  # with the names that the page has for them
    # What turns the library's weight into ours for a layer.
    weight_of = "mlx_convt.from_torch(w, g)"

    def __init__(self):
        for module in self.modules:
            if importlib.util.find_spec(module) is None:
                missing("libraries", f"{module} is not installed")
        # Some warn while they are imported.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.names = self.load()

    def need_version_of_page(self):
        """For what another version may do: to compute more, or rightly."""
        for module, product in self.modules.items():
            found = importlib.import_module(module).__version__.split("+")[0]
            if found != version_of(product):
                missing(
                    "libraries",
                    f"the page is about {product} {version_of(product)}, "
                    f"not {found}",
                )

    def channels(self, x):
        return x

    def result(self, y):
        return np.asarray(y)

    def array(self, values):
        return values

    def call(self, value, x, w, b):
        """The value, or what a layer with these parameters gives for x."""
        return value

    def evaluate(self, code, names):
        yield self.result(self.call_code(code, names))

    def call_code(self, code, names):
        value = eval(code, {**self.names, **names})
        return self.call(value, names["x"], names["w"], names["b"])


class MLX(Library):
    modules: ClassVar = {"mlx.core": "MLX"}
    weight_of = "w"

    def load(self):
        return {"mx": mx, "nn": mlx.nn}

    def array(self, values):
        return mx.array(values)

    def weight(self, w, groups, code):
        return w

    def call(self, value, x, w, b):
        if isinstance(value, mlx.nn.Module):
            value.weight, value.bias = w, b
            return value(x)
        return value

    def call_code(self, code, names):
        if len(names["s"]) == 1:  # of one axis MLX takes ints only
            plain = ("s", "p", "d", "op", "k")
            names = {**names, **{name: names[name][0] for name in plain}}
        return super().call_code(code, names)


class PyTorch(Library):
    modules: ClassVar = {"torch": "PyTorch"}

    def load(self):
        import torch

        self.torch = torch
        return {"F": torch.nn.functional, "nn": torch.nn}

    def channels(self, x):
        return np.moveaxis(x, -1, 1)

    def array(self, values):
        return self.torch.tensor(np.ascontiguousarray(values))

    def weight(self, w, groups, code):
        return np.array(mlx_convt.to_torch(mx.array(w), groups))

    def call(self, value, x, w, b):
        if isinstance(value, self.torch.nn.Module):
            self.fill(value, w, b)
            return value(x)
        return value

    def fill(self, layer, w, b):
        layer.weight.data, layer.bias.data = w, b
        return layer

    def result(self, y):
        return np.moveaxis(y.detach().numpy(), 1, -1)


class JAX(Library):
    modules: ClassVar = {"jax": "JAX", "flax": "Flax"}
    weight_of = "from_jax(w)"

    def load(self):
        import jax
        from flax import linen, nnx

        self.jax, self.linen, self.nnx = jax, linen, nnx
        # Random weights take seconds per shape, and are not used here.
        layer = functools.partial(
            nnx.ConvTranspose, kernel_init=nnx.initializers.zeros_init()
        )
        layers = types.SimpleNamespace(ConvTranspose=layer)
        return {"lax": jax.lax, "linen": linen, "nnx": layers}

    def array(self, values):
        return self.jax.numpy.array(values)

    def weight(self, w, groups, code):
        if "transpose_kernel=True" in code:
            return np.moveaxis(w, 0, -2)
        spatial = tuple(range(1, w.ndim - 1))
        return np.moveaxis(np.flip(w, spatial), 0, -1)

    def call_code(self, code, names):
        letters = "DHW"[-len(names["s"]) :]
        dims = (f"N{letters}C", f"{letters}IO", f"N{letters}C")
        more = {"dims": dims, "rngs": self.nnx.Rngs(0)}
        return super().call_code(code, {**names, **more})

    def call(self, value, x, w, b):
        if isinstance(value, self.linen.Module):
            return value.apply({"params": {"kernel": w, "bias": b}}, x)
        if isinstance(value, self.nnx.Module):
            assert value.kernel.shape == w.shape
            value.kernel.set_value(w)
            value.bias.set_value(b)
            return value(x)
        return value


class TensorFlow(Library):
    modules: ClassVar = {"tensorflow": "TensorFlow", "keras": "Keras"}
    weight_of = "from_tensorflow(w)"

    def load(self):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"
        import keras
        import tensorflow as tf

        if keras.backend.backend() != "tensorflow":
            missing("libraries", "Keras runs on another backend")
        self.tf, self.keras = tf, keras
        return {"tf": tf, "layers": keras.layers}

    def array(self, values):
        return self.tf.constant(values)

    def weight(self, w, groups, code):
        return np.moveaxis(w, 0, -2)

    def call(self, value, x, w, b):
        if isinstance(value, self.keras.layers.Layer):
            value.build(x.shape)
            value.set_weights([w.numpy(), b.numpy()])
            return value(x)
        return value

    def evaluate(self, code, names):
        try:
            yield from super().evaluate(code, names)
        except self.tf.errors.InvalidArgumentError as error:
            # Not every processor has oneDNN.
            if "do not yet support dilation" not in str(error):
                raise


class ONNX(PyTorch):
    modules: ClassVar = {"onnx": "ONNX", "onnxruntime": "ONNX Runtime"}

    def load(self):
        import onnx
        import onnxruntime

        self.onnx, self.runtime = onnx, onnxruntime
        return {"ConvTranspose": self.node}

    def array(self, values):
        return np.ascontiguousarray(values)

    def node(self, x, w, b, **attributes):
        """A model of this one node, and its inputs."""
        helper = self.onnx.helper
        inputs = {"x": x, "w": w, "b": b}
        node = helper.make_node("ConvTranspose", [*inputs], ["y"], **attributes)
        kind = self.onnx.TensorProto.FLOAT
        declared = [
            helper.make_tensor_value_info(name, kind, value.shape)
            for name, value in inputs.items()
        ]
        result = [helper.make_tensor_value_info("y", kind, None)]
        graph = helper.make_graph([node], "graph", declared, result)
        opset = [helper.make_opsetid("", 13)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=8)
        return model, inputs, attributes

    def by_reference(self, model, inputs):
        from onnx.reference import ReferenceEvaluator

        return ReferenceEvaluator(model).run(None, inputs)[0]

    def by_runtime(self, model, inputs):
        options = self.runtime.SessionOptions()
        options.log_severity_level = 4
        session = self.runtime.InferenceSession(
            model.SerializeToString(),
            options,
            providers=["CPUExecutionProvider"],
        )
        return session.run(None, inputs)[0]

    def call(self, value, x, w, b):
        return value

    def evaluate(self, code, names):
        """By each evaluator that is right about such nodes."""
        model, inputs, given = self.call_code(code, names)
        sized = "output_shape" in given and "auto_pad" not in given
        if given["group"] == 1 and not sized:
            yield np.moveaxis(self.by_reference(model, inputs), 1, -1)
        yield np.moveaxis(self.by_runtime(model, inputs), 1, -1)


LIBRARIES = {
    "MLX": MLX,
    "PyTorch": PyTorch,
    "JAX": JAX,
    "TensorFlow, Keras": TensorFlow,
    "ONNX": ONNX,
}
