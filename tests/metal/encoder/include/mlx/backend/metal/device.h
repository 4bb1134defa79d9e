// MLX's header of this name without a device: what kernels/metal/eval.cpp can
// call, declared as MLX declares it, only writes down that it was called.
#pragma once

#include <Metal/Metal.hpp>
#include <functional>
#include <string>
#include <tuple>
#include <vector>

#include "mlx/array.h"
#include "mlx/backend/common/metal_kernel.h"
#include "mlx/device.h"
#include "mlx/stream.h"

namespace mlx::core::metal {

using MTLFCList =
    std::vector<std::tuple<const void*, MTL::DataType, NS::UInteger>>;

class MLX_API CommandEncoder {
 public:
  void set_input_array(const array& a, int idx, int64_t offset = 0);
  void set_output_array(array& a, int idx, int64_t offset = 0);

  void add_temporary(array arr);
  void add_temporaries(std::vector<array> arrays);

  void dispatch_threadgroups(MTL::Size grid_dims, MTL::Size group_dims);

  void set_compute_pipeline_state(MTL::ComputePipelineState* kernel);

  template <typename T>
  void set_bytes(const T* v, int n, int idx) {
    record_bytes(v, n * sizeof(T), idx);
  }

  template <typename T>
  void set_bytes(const T& v, int idx) {
    record_bytes(&v, sizeof(T), idx);
  }

 private:
  void record_bytes(const void* bytes, size_t size, int idx);
};

class MLX_API Device {
 public:
  int get_architecture_gen() const;

  MTL::Library* get_library(
      const std::string& name,
      const std::string& path = "");

  MTL::Library* get_library(
      const std::string& name,
      const CompileOptions& compile_options,
      const std::function<std::string(void)>& builder);

  MTL::Library* get_library(
      const std::string& name,
      const std::function<std::string(void)>& builder) {
    return get_library(name, {}, builder);
  }

  MTL::ComputePipelineState* get_kernel(
      const std::string& base_name,
      MTL::Library* mtl_lib,
      const std::string& hash_name = "",
      const MTLFCList& func_consts = {},
      const std::vector<MTL::Function*>& linked_functions = {});

  MTL::ComputePipelineState* get_kernel(
      const std::string& base_name,
      const std::string& hash_name = "",
      const MTLFCList& func_consts = {},
      const std::vector<MTL::Function*>& linked_functions = {});
};

MLX_API Device& device(mlx::core::Device);
MLX_API CommandEncoder& get_command_encoder(Stream s);

} // namespace mlx::core::metal
