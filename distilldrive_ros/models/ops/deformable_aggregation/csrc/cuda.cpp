// The CUDA kernels as implementations of the op.
#include <torch/csrc/stable/accelerator.h>

#include "cuda_launch.h"
#include "tensors.h"

#if !defined(TORCH_VERSION_2_13_0)
// Older PyTorch tells a CUDA stream through the interface of its compiled models alone, whose header hides this.
extern "C" int32_t aoti_torch_get_current_cuda_stream(int32_t device, void** stream);
#endif

namespace distilldrive {
namespace {

#if defined(TORCH_VERSION_2_13_0)
void* current_stream(int32_t device) {
  return torch::stable::accelerator::getCurrentStream(device).nativeHandle();
}
#else
void* current_stream(int32_t device) {
  void* stream = nullptr;
  STD_TORCH_CHECK(aoti_torch_get_current_cuda_stream(device, &stream) == 0,
                  "deformable_aggregation: there is no CUDA stream");
  return stream;
}
#endif

CudaProblem make_cuda_problem(const Arguments& given) {
  const Tensor& features = given.features;
  CudaProblem problem;
  switch (features.scalar_type()) {
    case ScalarType::Float: problem.type = StoredType::float32; break;
    case ScalarType::Double: problem.type = StoredType::float64; break;
    case ScalarType::Half: problem.type = StoredType::float16; break;
    case ScalarType::BFloat16: problem.type = StoredType::bfloat16; break;
    default: STD_TORCH_CHECK(false, "deformable_aggregation: features must be float32, float64, float16 or bfloat16");
  }
  problem.sizes = make_problem<void, void>(given);
  problem.stream = current_stream(features.get_device_index());
  return problem;
}

void check_launch(const char* error) {
  STD_TORCH_CHECK(error == nullptr, "deformable_aggregation: the kernel could not be started: ", error ? error : "");
}

Tensor forward(Tensor features, Tensor shapes, Tensor starts, Tensor locations, Tensor weights) {
  const torch::stable::accelerator::DeviceGuard guard(features.get_device_index());
  const Arguments given = make_arguments(features, shapes, starts, locations, weights);
  Tensor output = new_output(given);
  check_launch(launch_forward(make_cuda_problem(given), output.mutable_data_ptr()));
  return output;
}

// `fixed_point`: one double on the same device, the factor of launch_backward; nothing for sums in no fixed order.
std::tuple<Tensor, Tensor, Tensor> backward(Tensor grad, Tensor features, Tensor shapes, Tensor starts,
                                            Tensor locations, Tensor weights, std::optional<Tensor> fixed_point) {
  const torch::stable::accelerator::DeviceGuard guard(features.get_device_index());
  const Arguments given = make_arguments(features, shapes, starts, locations, weights);
  const auto stored = features.scalar_type(), real = real_type(stored);
  STD_TORCH_CHECK(!fixed_point || (fixed_point->scalar_type() == ScalarType::Double && fixed_point->numel() == 1 &&
                                   fixed_point->device() == features.device()),
                  "deformable_aggregation: fixed_point must be one float64 on the device of features");
  Gradients gradients = new_gradients(grad, given, fixed_point ? ScalarType::Long : real);
  const Tensor outer = torch::stable::contiguous(grad);
  const CudaProblem problem = make_cuda_problem(given);
  const double* const factor = fixed_point ? static_cast<const double*>(fixed_point->const_data_ptr()) : nullptr;
  check_launch(launch_backward(problem, outer.const_data_ptr(), gradients.features.mutable_data_ptr(),
                               gradients.xy.mutable_data_ptr(), gradients.weights.mutable_data_ptr(), factor));
  if (fixed_point) {
    const Tensor sums = gradients.features;
    gradients.features = torch::stable::new_empty(sums, {sums.size(0), sums.size(1), sums.size(2)}, real);
    check_launch(launch_unscale(problem, sums.const_data_ptr(), gradients.features.mutable_data_ptr(), factor));
  }
  return gradients.finish(stored);
}

}  // namespace
}  // namespace distilldrive

STABLE_TORCH_LIBRARY_IMPL(distilldrive_ros, CUDA, m) {
  m.impl("deformable_aggregation", TORCH_BOX(&distilldrive::forward));
  m.impl("deformable_aggregation_backward", TORCH_BOX(&distilldrive::backward));
}
