// Derivatives and vectorisation of the contractions. The form is linear in
// each array, so every derivative is a contraction again; see primitive.h.
#include "primitive.h"

#include <limits>

namespace mlx_convt {
namespace {

using Arrays = std::vector<mx::array>;

// Which contraction returns the operand `index` of `contraction`, and whether
// the cotangent is its first operand (the order is always x, w, y).
struct Adjoint {
  Contraction contraction;
  bool cotangent_first;
};

Adjoint adjoint(Contraction contraction, int index) {
  switch (contraction) {
    case Contraction::Output: // (x, w) -> y
      return index == 0 ? Adjoint{Contraction::InputGrad, false}
                        : Adjoint{Contraction::WeightGrad, false};
    case Contraction::InputGrad: // (w, y) -> x
      return index == 0 ? Adjoint{Contraction::WeightGrad, true}
                        : Adjoint{Contraction::Output, true};
    default: // (x, y) -> w
      return index == 0 ? Adjoint{Contraction::InputGrad, true}
                        : Adjoint{Contraction::Output, false};
  }
}

// A place for a mapped axis inside one dimension: the dimension is split into
// (outer, rest) and becomes (outer, mapped, rest). `dim` may be -1, the last.
struct Place {
  int dim;
  int64_t outer;
};

// Where the mapped axis goes when one operand carries it, and where it is then
// found in the result. With groups it must stay inside each group's channels.
struct Fold {
  Place operand;
  Place result;
};

Fold fold_of(Contraction contraction, int index, int64_t groups) {
  Place batch{0, 1};
  Place channels{-1, groups}; // of x or y, inside each group
  Place weight_out{0, groups};
  Place weight_in{-1, 1};
  switch (contraction) {
    case Contraction::Output:
      return index == 0 ? Fold{batch, batch} : Fold{weight_out, channels};
    case Contraction::InputGrad:
      return index == 0 ? Fold{weight_in, channels} : Fold{batch, batch};
    default:
      return index == 0 ? Fold{channels, weight_in}
                        : Fold{channels, weight_out};
  }
}

// The place that turns the mapped axis into the outer part of the groups.
Place group_place(bool is_weight) {
  return is_weight ? Place{0, 1} : Place{-1, 1};
}

mx::array
fold(const mx::array& a, int mapped_axis, Place place, int rank, mx::Stream s) {
  auto moved = mx::moveaxis(a, mapped_axis, 0, s);
  int dim = place.dim < 0 ? static_cast<int>(moved.ndim()) - 2 : place.dim;
  int64_t mapped = moved.shape(0);
  int64_t size = moved.shape(dim + 1);
  if (mapped * size > std::numeric_limits<int32_t>::max()) {
    throw std::invalid_argument(
        "[" + function_name(rank) +
        "] vmap makes a dimension of 2^31 or more. Got " +
        std::to_string(mapped) + " times " + std::to_string(size) + ".");
  }
  // Not reshape(), which would fix the other dimensions in shapeless graphs.
  auto split = mx::unflatten(
      moved,
      dim + 1,
      {static_cast<int>(place.outer), static_cast<int>(size / place.outer)},
      s);
  return mx::flatten(mx::moveaxis(split, 0, dim + 1, s), dim, dim + 2, s);
}

// The inverse: the mapped axis becomes the first.
mx::array
unfold(const mx::array& a, int64_t mapped, Place place, mx::Stream s) {
  int dim = place.dim < 0 ? static_cast<int>(a.ndim()) - 1 : place.dim;
  int64_t rest = a.shape(dim) / (place.outer * mapped);
  auto split = mx::unflatten(
      a,
      dim,
      {static_cast<int>(place.outer),
       static_cast<int>(mapped),
       static_cast<int>(rest)},
      s);
  return mx::flatten(mx::moveaxis(split, dim + 1, 0, s), dim + 1, dim + 2, s);
}

} // namespace

Arrays ConvTranspose::jvp(
    const Arrays& primals,
    const Arrays& tangents,
    const std::vector<int>& argnums) {
  // tangents[i] belongs to primals[argnums[i]].
  std::optional<mx::array> sum;
  for (size_t i = 0; i < argnums.size(); ++i) {
    // MLX checks the shapes of tangents and cotangents, not their dtypes.
    auto tangent =
        mx::astype(tangents[i], primals[argnums[i]].dtype(), stream());
    auto term = argnums[i] == 0 ? contract(contraction_, tangent, primals[1])
        : argnums[i] == 1
        ? contract(contraction_, primals[0], tangent)
        : mx::broadcast_to(tangent, output_shapes(primals)[0], stream());
    sum = sum ? mx::add(*sum, term, stream()) : term;
  }
  return {*sum};
}

Arrays ConvTranspose::vjp(
    const Arrays& primals,
    const Arrays& cotangents,
    const std::vector<int>& argnums,
    const Arrays&) {
  auto cotangent = mx::astype(cotangents[0], primals[0].dtype(), stream());
  Arrays gradients;
  for (int index : argnums) {
    if (index == 2) { // bias
      std::vector<int> axes(cotangent.ndim() - 1);
      for (size_t axis = 0; axis < axes.size(); ++axis) {
        axes[axis] = static_cast<int>(axis);
      }
      auto terms = cotangent;
      if (terms.size() == 0) {
        // MLX's sum of nothing may be anything; a sum of zeros is 0.
        auto shape = terms.shape();
        shape.front() = 1;
        auto zeros = mx::zeros(shape, terms.dtype(), stream());
        terms = mx::concatenate({terms, zeros}, 0, stream());
      }
      gradients.push_back(mx::sum(terms, axes, false, stream()));
      continue;
    }
    auto [contraction, cotangent_first] = adjoint(contraction_, index);
    auto& other = primals[1 - index];
    gradients.push_back(
        cotangent_first ? contract(contraction, cotangent, other)
                        : contract(contraction, other, cotangent));
  }
  return gradients;
}

mx::array ConvTranspose::map_operands(
    const mx::array& first,
    int first_axis,
    const mx::array& second,
    int second_axis,
    const std::optional<mx::array>& bias) {
  auto s = stream();
  int rank = window_.rank;
  if (first_axis >= 0 && second_axis >= 0) {
    // Each element of the map is its own set of groups.
    int64_t mapped = first.shape(first_axis);
    auto place_first = group_place(contraction_ == Contraction::InputGrad);
    auto place_second = group_place(contraction_ == Contraction::Output);
    auto place_result = group_place(contraction_ == Contraction::WeightGrad);
    auto window = window_;
    window.groups *= mapped;
    ConvTranspose grouped(s, contraction_, window, forced_);
    auto result = grouped.contract(
        contraction_,
        fold(first, first_axis, place_first, rank, s),
        fold(second, second_axis, place_second, rank, s));
    return unfold(result, mapped, place_result, s);
  }
  bool is_first = first_axis >= 0;
  int axis = is_first ? first_axis : second_axis;
  auto& operand = is_first ? first : second;
  auto place = fold_of(contraction_, is_first ? 0 : 1, window_.groups);
  auto folded = fold(operand, axis, place.operand, rank, s);
  auto result = is_first ? contract(contraction_, folded, second, bias)
                         : contract(contraction_, first, folded, bias);
  return unfold(result, operand.shape(axis), place.result, s);
}

std::pair<Arrays, std::vector<int>> ConvTranspose::vmap(
    const Arrays& inputs,
    const std::vector<int>& axes) {
  auto s = stream();
  bool has_bias = inputs.size() > 2;
  bool any = axes[0] >= 0 || axes[1] >= 0;
  // Only a map over the batch leaves the output channels, and so the bias, as
  // they are; elsewhere the bias is added to the unfolded result.
  bool fused = has_bias && axes[0] >= 0 && axes[1] < 0 && axes[2] < 0;

  for (size_t i = 0; i < inputs.size(); ++i) {
    if (axes[i] >= 0 && inputs[i].shape(axes[i]) == 0) {
      Arrays single;
      for (size_t j = 0; j < inputs.size(); ++j) {
        auto shape = inputs[j].shape();
        if (axes[j] >= 0) {
          shape.erase(shape.begin() + axes[j]);
        }
        single.push_back(mx::zeros(shape, inputs[j].dtype(), s));
      }
      auto shape = output_shapes(single)[0];
      shape.insert(shape.begin(), 0);
      return {{mx::zeros(shape, inputs[0].dtype(), s)}, {0}};
    }
  }

  auto bias = fused ? std::optional(inputs[2]) : std::nullopt;
  auto result = any ? map_operands(inputs[0], axes[0], inputs[1], axes[1], bias)
                    : contract(contraction_, inputs[0], inputs[1]);
  if (has_bias && !fused) {
    auto b = inputs[2];
    if (axes[2] >= 0) {
      b = mx::moveaxis(b, axes[2], 0, s);
      mx::Shape shape(window_.rank + 3, 1);
      shape.front() = b.shape(0);
      shape.back() = b.shape(1);
      b = mx::reshape(b, shape, s);
    }
    if (result.size() > 0) {
      result = mx::add(result, b, s);
    } else {
      // Of nothing the gradient would be MLX's sum; see vjp.
      auto batch = [&](const mx::array& a) {
        return a.ndim() - window_.rank - 2;
      };
      auto shape = result.shape();
      shape[batch(result)] = 1;
      auto zeros = mx::zeros(shape, result.dtype(), s);
      auto terms = mx::concatenate({result, zeros}, batch(result), s);
      auto sum = mx::add(terms, b, s);
      auto stop = sum.shape();
      stop[batch(sum)] -= 1;
      result = mx::slice(sum, mx::Shape(sum.ndim(), 0), stop, s);
    }
  }
  return {{result}, {0}};
}

} // namespace mlx_convt
