#include "specialisation.h"

#include <initializer_list>

#include "launches.h"
#include "source.h"

namespace mlx_convt::metal {
namespace {

struct Type {
  const char* metal;
  const char* suffix;
};

Type type_of(Element element) {
  switch (element) {
    case Element::Float32:
      return {"float", "_f32"};
    case Element::Float16:
      return {"half", "_f16"};
    default:
      return {"bfloat", "_bf16"};
  }
}

// `variant` tells the functions of a kernel and a type apart.
Specialisation specialise(
    const char* kernel,
    Element element,
    int64_t threads,
    const std::string& variant = "",
    std::initializer_list<std::pair<const char*, int64_t>> values = {}) {
  auto type = type_of(element);
  Specialisation made{
      kernel,
      {{"CT_NAME", "convt_" + std::string(kernel) + type.suffix + variant},
       {"CT_T", type.metal}}};
  for (auto& [name, value] : values) {
    made.defines.push_back({name, std::to_string(value)});
  }
  made.defines.push_back({"CT_THREADS", std::to_string(threads)});
  return made;
}

Specialisation
tiled(const char* kernel, Element element, const Tile& tile, int64_t depth) {
  return specialise(
      kernel,
      element,
      tile.threads(),
      "_" + std::to_string(tile.rows) + "x" + std::to_string(tile.columns),
      {{"CT_BM", tile.rows},
       {"CT_BN", tile.columns},
       {"CT_BK", depth},
       {"CT_WM", tile.sg_rows},
       {"CT_WN", tile.sg_columns}});
}

// The files of each kernel, in order.
std::vector<std::string> parts_of(const std::string& kernel) {
  if (kernel == "correlate") {
    return {"positions", "slices", "tiles", kernel};
  }
  if (kernel == "few_columns" || kernel == "few_rows") {
    return {"positions", "slices", kernel};
  }
  if (kernel == "lanes") {
    return {"positions", kernel};
  }
  if (kernel == "weight_grad") {
    return {"input_pixels", "tiles", kernel};
  }
  if (kernel == "weight_grad_direct") {
    return {"input_pixels", kernel};
  }
  return {kernel};
}

} // namespace

int64_t size_of(Element element) {
  return element == Element::Float32 ? 4 : 2;
}

Specialisation pack_weights_kernel(Element element) {
  return specialise("pack_weights", element, kThreads);
}

int64_t correlate_depth(Element element) {
  return 4 * 16 / size_of(element); // four loads
}

Specialisation correlate_kernel(Element element, const Tile& tile) {
  return tiled("correlate", element, tile, correlate_depth(element));
}

Specialisation few_columns_kernel(Element element, int columns) {
  return specialise(
      "few_columns",
      element,
      kFewColumnsThreads,
      "_" + std::to_string(columns),
      {{"CT_ROWS", kFewColumnsRows},
       {"CT_COLUMNS", columns},
       {"CT_CHANNELS", kFewColumnsChannels}});
}

Specialisation
few_rows_kernel(Element element, int rows, bool along_reduction) {
  return specialise(
      "few_rows",
      element,
      kThreads,
      "_" + std::to_string(rows) + (along_reduction ? "_reduction" : "_column"),
      {{"CT_ROWS", rows},
       {"CT_ALONG_REDUCTION", along_reduction},
       {"CT_CHANNELS", kFewRowsChannels}});
}

Specialisation lanes_kernel(Element element) {
  return specialise("lanes", element, kThreads);
}

Specialisation weight_grad_kernel(Element element, const Tile& tile) {
  return tiled("weight_grad", element, tile, 16);
}

Specialisation weight_grad_direct_kernel(Element element, bool along_pixels) {
  return specialise(
      "weight_grad_direct",
      element,
      kThreads,
      along_pixels ? "_pixel" : "_element",
      {{"CT_ALONG_PIXELS", along_pixels}});
}

Specialisation sum_splits_kernel(Element element) {
  return specialise("sum_splits", element, kThreads);
}

void add_sum(
    LaunchPlan& plan,
    Element element,
    std::vector<Slot> slots,
    const Sum& sum) {
  slots.push_back(add_constants(plan, sum));
  plan.launches.push_back(
      {sum_splits_kernel(element),
       {divide_up(sum.elements, kThreads), 1, 1},
       kThreads,
       std::move(slots)});
}

std::vector<Specialisation> all_specialisations() {
  std::vector<Specialisation> all;
  for (auto element : {Element::Float32, Element::Float16, Element::BFloat16}) {
    all.push_back(pack_weights_kernel(element));
    for (auto& tile : kCorrelateTiles) {
      all.push_back(correlate_kernel(element, tile));
    }
    for (int columns : kFewColumns) {
      all.push_back(few_columns_kernel(element, columns));
    }
    for (int rows : kFewRows) {
      all.push_back(few_rows_kernel(element, rows, true));
      all.push_back(few_rows_kernel(element, rows, false));
    }
    all.push_back(lanes_kernel(element));
    for (auto& tile : kWeightGradTiles) {
      all.push_back(weight_grad_kernel(element, tile));
    }
    all.push_back(weight_grad_direct_kernel(element, true));
    all.push_back(weight_grad_direct_kernel(element, false));
    all.push_back(sum_splits_kernel(element));
  }
  return all;
}

std::string text_of(const Specialisation& specialisation) {
  std::string text;
  for (auto& define : specialisation.defines) {
    text += "#define " + define.name + " " + define.value + "\n";
  }
  text += source_file("params");
  for (auto& part : parts_of(specialisation.kernel)) {
    text += source_file(part);
  }
  return text;
}

std::string metal_text_of(const Specialisation& specialisation) {
  return source_file("prelude") + text_of(specialisation);
}

} // namespace mlx_convt::metal
