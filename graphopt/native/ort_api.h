// The few entries of ONNX Runtime's C API that the kernels use, so that no header of ONNX Runtime is
// needed to build them: its Python packages ship none.
//
// Source of the layout: onnxruntime_c_api.h of ONNX Runtime 1.16 (API version 16); of 1.17 and 1.18
// for what is marked so. The API is a table of function pointers, and an operator a structure of
// callbacks, to which releases append and from which they never take away: an index holds in all later
// releases. tests/native/test_abi.py runs the kernels in real ones.
#pragma once

#include <cstddef>
#include <cstdint>

// Types that only ONNX Runtime looks into.
struct OrtStatus;
struct OrtSessionOptions;
struct OrtCustomOpDomain;
struct OrtKernelInfo;
struct OrtKernelContext;
struct OrtValue;
struct OrtTensorTypeAndShapeInfo;

// Function pointers that are called by index; see Api.
struct OrtApi;

struct OrtApiBase {
  const OrtApi* (*GetApi)(uint32_t version);
  const char* (*GetVersionString)();
};

namespace graphopt {

// Requested from the runtime, and stamped on the operators unless it knows a newer one below: it
// refuses what is newer than itself.
constexpr uint32_t kApiVersion = 16;
constexpr uint32_t kSinceParallelFor = 17;
constexpr uint32_t kSinceInPlace = 18;

enum class ErrorCode : int { kFail = 1, kInvalidArgument = 2 };

// Values of ONNXTensorElementDataType.
enum class ElementType : int { kFloat = 1, kFloat16 = 10, kDouble = 11, kBFloat16 = 16 };

enum class Presence : int { kRequired = 0, kOptional = 1 };

// One operator for one execution provider and element type: struct OrtCustomOp.
struct CustomOp {
  uint32_t version;
  void* (*create_kernel)(const CustomOp*, const OrtApi*, const OrtKernelInfo*);
  const char* (*get_name)(const CustomOp*);
  const char* (*get_execution_provider)(const CustomOp*);
  ElementType (*get_input_type)(const CustomOp*, size_t index);
  size_t (*get_input_count)(const CustomOp*);
  ElementType (*get_output_type)(const CustomOp*, size_t index);
  size_t (*get_output_count)(const CustomOp*);
  void (*compute)(void* kernel, OrtKernelContext*);
  void (*destroy_kernel)(void* kernel);
  Presence (*get_input_presence)(const CustomOp*, size_t index);
  Presence (*get_output_presence)(const CustomOp*, size_t index);
  int (*get_input_memory_type)(const CustomOp*, size_t index);
  int (*get_variadic_input_min_arity)(const CustomOp*);
  int (*get_variadic_input_homogeneity)(const CustomOp*);
  int (*get_variadic_output_min_arity)(const CustomOp*);
  int (*get_variadic_output_homogeneity)(const CustomOp*);
  // The runtime prefers these two to create_kernel and compute where they are set.
  OrtStatus* (*create_kernel_v2)(const CustomOp*, const OrtApi*, const OrtKernelInfo*, void** kernel);
  OrtStatus* (*compute_v2)(void* kernel, OrtKernelContext*);

  // Since 17. Left null: to make the context of infer_shape, runtimes read the type of every input,
  // and crash at an optional one that is absent.
  void* infer_shape;
  void* get_start_version;
  void* get_end_version;
  // Since 18. Output outputs[i] may take the memory of input inputs[i], for each i below the result.
  size_t (*get_in_place)(int** inputs, int** outputs);
  void (*release_in_place)(int* inputs, int* outputs);
  size_t (*get_aliases)(int** inputs, int** outputs);
  void (*release_aliases)(int* inputs, int* outputs);
};

// Calls into the runtime, each by its index in the table. A null status means success.
class Api {
 public:
  explicit Api(const OrtApi* table) : table_(reinterpret_cast<void* const*>(table)) {}

  OrtStatus* create_status(ErrorCode code, const char* message) const {
    return call<OrtStatus*>(0, code, message);
  }
  void release(OrtStatus* status) const { call<void>(93, status); }

  OrtStatus* create_domain(const char* name, OrtCustomOpDomain** domain) const {
    return call<OrtStatus*>(26, name, domain);
  }
  OrtStatus* add_operator(OrtCustomOpDomain* domain, const CustomOp* op) const {
    return call<OrtStatus*>(27, domain, op);
  }
  OrtStatus* add_domain(OrtSessionOptions* options, OrtCustomOpDomain* domain) const {
    return call<OrtStatus*>(28, options, domain);
  }
  void release(OrtCustomOpDomain* domain) const { call<void>(101, domain); }

  OrtStatus* get_attribute(const OrtKernelInfo* info, const char* name, float* value) const {
    return call<OrtStatus*>(85, info, name, value);
  }

  // The value of an input that is the same in all calls, else null.
  OrtStatus* get_constant(const OrtKernelInfo* info, size_t index, int* is_constant,
                          const OrtValue** value) const {
    return call<OrtStatus*>(249, info, index, is_constant, value);
  }

  OrtStatus* get_input_count(const OrtKernelContext* context, size_t* count) const {
    return call<OrtStatus*>(88, context, count);
  }
  OrtStatus* get_output_count(const OrtKernelContext* context, size_t* count) const {
    return call<OrtStatus*>(89, context, count);
  }
  // An optional input that is absent is a null value.
  OrtStatus* get_input(const OrtKernelContext* context, size_t index, const OrtValue** value) const {
    return call<OrtStatus*>(90, context, index, value);
  }
  // Allocates the output. An optional output that is absent is a null value.
  OrtStatus* get_output(OrtKernelContext* context, size_t index, const int64_t* shape, size_t rank,
                        OrtValue** value) const {
    return call<OrtStatus*>(91, context, index, shape, rank, value);
  }

  OrtStatus* get_shape(const OrtValue* value, OrtTensorTypeAndShapeInfo** info) const {
    return call<OrtStatus*>(65, value, info);
  }
  OrtStatus* get_rank(const OrtTensorTypeAndShapeInfo* info, size_t* rank) const {
    return call<OrtStatus*>(61, info, rank);
  }
  OrtStatus* get_dimensions(const OrtTensorTypeAndShapeInfo* info, int64_t* sizes, size_t rank) const {
    return call<OrtStatus*>(62, info, sizes, rank);
  }
  void release(OrtTensorTypeAndShapeInfo* info) const { call<void>(99, info); }
  OrtStatus* get_data(const OrtValue* value, void** data) const {
    return call<OrtStatus*>(51, const_cast<OrtValue*>(value), data);
  }

  // The cudaStream_t of the CUDA execution provider.
  OrtStatus* get_stream(const OrtKernelContext* context, void** stream) const {
    return call<OrtStatus*>(193, context, stream);
  }

  // Since 17. Calls function(argument, i) for each i < total on the threads of the session.
  OrtStatus* parallel_for(const OrtKernelContext* context, void (*function)(void*, size_t),
                          size_t total, void* argument) const {
    const size_t chosen_by_runtime = 0;
    return call<OrtStatus*>(274, context, function, total, chosen_by_runtime, argument);
  }

 private:
  template <typename Result, typename... Arguments>
  Result call(size_t index, Arguments... arguments) const {
    return reinterpret_cast<Result (*)(Arguments...)>(table_[index])(arguments...);
  }

  void* const* table_;
};

}  // namespace graphopt
