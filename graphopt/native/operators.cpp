#include "operators.h"

#include <cstdarg>
#include <cstdio>

namespace graphopt {

namespace {

constexpr const char* kOperandNames[] = {"X", "residual", "gamma", "bias"};

constexpr size_t kMaxRank = 64;

struct Shape {
  size_t rank;
  int64_t sizes[kMaxRank];

  bool operator==(const Shape& other) const {
    bool equal = rank == other.rank;
    for (size_t axis = 0; equal && axis < rank; ++axis) equal = sizes[axis] == other.sizes[axis];
    return equal;
  }
};

// A shape in an error message: "[2, 3]", cut where it is long.
struct ShapeText {
  explicit ShapeText(const Shape& shape) {
    size_t length = std::snprintf(text, sizeof text, "[");
    for (size_t axis = 0; axis < shape.rank && length < sizeof text; ++axis) {
      length += std::snprintf(text + length, sizeof text - length, axis == 0 ? "%lld" : ", %lld",
                              static_cast<long long>(shape.sizes[axis]));
    }
    if (length < sizeof text) std::snprintf(text + length, sizeof text - length, "]");
  }
  char text[128];
};

OrtStatus* read_shape(const Api& api, const Signature& signature, const OrtValue* value,
                      Shape* shape) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  OrtStatus* status = api.get_shape(value, &info);
  if (status == nullptr) status = api.get_rank(info, &shape->rank);
  if (status == nullptr && shape->rank > kMaxRank) {
    status = refuse(api, "graphopt.%s: a tensor has %zu axes; at most %zu are supported",
                    signature.name, shape->rank, kMaxRank);
  }
  if (status == nullptr) status = api.get_dimensions(info, shape->sizes, shape->rank);
  if (info != nullptr) api.release(info);
  return status;
}

OrtStatus* check_x(const Api& api, const Signature& signature, const Shape& x) {
  if (x.rank == 0) {
    return refuse(api, "graphopt.%s: X is a scalar; it needs an axis to normalize", signature.name);
  }
  if (x.sizes[x.rank - 1] == 0) {
    return refuse(api, "graphopt.%s: X has shape %s; the last axis, which is normalized, is empty",
                  signature.name, ShapeText(x).text);
  }
  return nullptr;
}

OrtStatus* check_operand(const Api& api, const Signature& signature, Operand operand,
                         const Shape& shape, const Shape& x) {
  const char* name = kOperandNames[operand];
  if (operand == kResidual) {
    if (shape == x) return nullptr;
    return refuse(api,
                  "graphopt.%s: residual has shape %s but X has shape %s; they must be equal, "
                  "nothing is broadcast",
                  signature.name, ShapeText(shape).text, ShapeText(x).text);
  }
  if (shape.rank == 1 && shape.sizes[0] == x.sizes[x.rank - 1]) return nullptr;
  return refuse(api, "graphopt.%s: %s has shape %s but X has shape %s; it must have shape [%lld]",
                signature.name, name, ShapeText(shape).text, ShapeText(x).text,
                static_cast<long long>(x.sizes[x.rank - 1]));
}

// Allocates an output of the shape of X; data stays null where an optional output is absent.
OrtStatus* allocate(const Api& api, OrtKernelContext* context, size_t index, const Shape& shape,
                    void** data) {
  OrtValue* value = nullptr;
  if (OrtStatus* status = api.get_output(context, index, shape.sizes, shape.rank, &value)) {
    return status;
  }
  return value == nullptr ? nullptr : api.get_data(value, data);
}

}  // namespace

OrtStatus* refuse(const Api& api, const char* format, ...) {
  char message[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  return api.create_status(ErrorCode::kInvalidArgument, message);
}

OrtStatus* read_epsilon(const Api& api, const Signature& signature, const OrtKernelInfo* info,
                        double* epsilon) {
  float value = 0;
  if (OrtStatus* status = api.get_attribute(info, "epsilon", &value)) {
    api.release(status);
    return refuse(api, "graphopt.%s: the attribute epsilon, a float, is missing", signature.name);
  }
  if (!(value >= 0)) {
    return refuse(api, "graphopt.%s: epsilon is %g; it must be 0 or more", signature.name, value);
  }
  *epsilon = value;
  return nullptr;
}

OrtStatus* read_call(const Api& api, const Signature& signature, ElementType type, double epsilon,
                     OrtKernelContext* context, Call* call) {
  size_t input_count = 0, output_count = 0;
  if (OrtStatus* status = api.get_input_count(context, &input_count)) return status;
  if (OrtStatus* status = api.get_output_count(context, &output_count)) return status;

  Shape x, shape;
  void* data[4] = {};  // by Operand
  for (size_t index = 0; index < signature.input_count; ++index) {
    const Operand operand = signature.inputs[index];
    const OrtValue* value = nullptr;
    if (index < input_count) {
      if (OrtStatus* status = api.get_input(context, index, &value)) return status;
    }
    if (value == nullptr && index < signature.required_inputs) {
      return refuse(api, "graphopt.%s: %s is missing", signature.name, kOperandNames[operand]);
    }
    if (value == nullptr) continue;
    const bool is_x = operand == kX;
    if (OrtStatus* status = read_shape(api, signature, value, is_x ? &x : &shape)) return status;
    OrtStatus* status = is_x ? check_x(api, signature, x)
                             : check_operand(api, signature, operand, shape, x);
    if (status != nullptr) return status;
    if (OrtStatus* failure = api.get_data(value, &data[operand])) return failure;
  }

  void* y = nullptr;
  void* sum = nullptr;
  if (OrtStatus* status = allocate(api, context, 0, x, &y)) return status;
  if (output_count > 1) {
    if (OrtStatus* status = allocate(api, context, 1, x, &sum)) return status;
  }

  const void* residual = data[kResidual];
  const void* gamma = data[kGamma];
  const void* bias = data[kBias];
  const bool has_residual = signature.output_count == 2;
  call->form = {type, signature.crms, has_residual, bias != nullptr, gamma != nullptr};
  call->rows = {data[0], residual, bias, gamma, y, sum, static_cast<size_t>(x.sizes[x.rank - 1]),
                epsilon};
  call->row_count = 1;
  for (size_t axis = 0; axis + 1 < x.rank; ++axis) call->row_count *= x.sizes[axis];
  return nullptr;
}

}  // namespace graphopt
