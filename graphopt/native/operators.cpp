#include "operators.h"

#include <cstdarg>
#include <cstdio>

namespace graphopt {

namespace {

constexpr const char* kOperandNames[] = {"X", "residual", "gamma", "bias", "beta"};

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

OrtStatus* read_shape(const Api& api, const char* name, const OrtValue* value, Shape* shape) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  OrtStatus* status = api.get_shape(value, &info);
  if (status == nullptr) status = api.get_rank(info, &shape->rank);
  if (status == nullptr && shape->rank > kMaxRank) {
    status = refuse(api, "graphopt.%s: a tensor has %zu axes; at most %zu are supported", name,
                    shape->rank, kMaxRank);
  }
  if (status == nullptr) status = api.get_dimensions(info, shape->sizes, shape->rank);
  if (info != nullptr) api.release(info);
  return status;
}

OrtStatus* check_x(const Node& node, const Shape& x) {
  if (!is_norm(node.signature->function)) return nullptr;  // of any shape
  const char* name = node.signature->name;
  if (x.rank == 0) {
    return refuse(node.api, "graphopt.%s: X is a scalar; it needs an axis to normalize", name);
  }
  if (x.sizes[x.rank - 1] == 0) {
    return refuse(node.api,
                  "graphopt.%s: X has shape %s; the last axis, which is normalized, is empty", name,
                  ShapeText(x).text);
  }
  return nullptr;
}

// The size of the last axis; 1 of a scalar.
int64_t last_size(const Shape& x) { return x.rank == 0 ? 1 : x.sizes[x.rank - 1]; }

// Reads the shape of a residual, gamma, bias or beta and compares it with that of X.
OrtStatus* check_operand(const Node& node, Operand operand, const OrtValue* value, const Shape& x) {
  const int64_t size = last_size(x);
  if (node.lengths[operand] == size) return nullptr;
  const char* name = node.signature->name;
  Shape shape;
  if (OrtStatus* status = read_shape(node.api, name, value, &shape)) return status;
  if (operand == kResidual) {
    if (shape == x) return nullptr;
    return refuse(node.api,
                  "graphopt.%s: residual has shape %s but X has shape %s; they must be equal, "
                  "nothing is broadcast",
                  name, ShapeText(shape).text, ShapeText(x).text);
  }
  if (shape.rank == 1 && shape.sizes[0] == size) return nullptr;
  return refuse(node.api,
                "graphopt.%s: %s has shape %s but X has shape %s; it must have shape [%lld]", name,
                kOperandNames[operand], ShapeText(shape).text, ShapeText(x).text,
                static_cast<long long>(size));
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

OrtStatus* make_status(const Api& api, ErrorCode code, const char* format, va_list arguments) {
  char message[512];
  std::vsnprintf(message, sizeof message, format, arguments);
  return api.create_status(code, message);
}

}  // namespace

OrtStatus* refuse(const Api& api, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  OrtStatus* status = make_status(api, ErrorCode::kInvalidArgument, format, arguments);
  va_end(arguments);
  return status;
}

OrtStatus* refuse(const Api& api, ErrorCode code, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  OrtStatus* status = make_status(api, code, format, arguments);
  va_end(arguments);
  return status;
}

OrtStatus* read_node(const Api& api, const Signature& signature, ElementType type,
                     const OrtKernelInfo* info, Node* node) {
  float epsilon = 0;
  const bool has_epsilon = is_norm(signature.function);
  if (OrtStatus* status = has_epsilon ? api.get_attribute(info, "epsilon", &epsilon) : nullptr) {
    api.release(status);
    return refuse(api, "graphopt.%s: the attribute epsilon, a float, is missing", signature.name);
  }
  if (!(epsilon >= 0)) {
    return refuse(api, "graphopt.%s: epsilon is %g; it must be 0 or more", signature.name, epsilon);
  }
  *node = {api, &signature, type, epsilon, {}};
  for (size_t index = 0; index < signature.input_count; ++index) {
    const Operand operand = signature.inputs[index];
    if (operand == kX || operand == kResidual) continue;
    int is_constant = 0;
    const OrtValue* value = nullptr;
    if (OrtStatus* status = api.get_constant(info, index, &is_constant, &value)) return status;
    if (!is_constant || value == nullptr) continue;
    Shape shape;
    if (OrtStatus* status = read_shape(api, signature.name, value, &shape)) return status;
    if (shape.rank == 1) node->lengths[operand] = shape.sizes[0];
  }
  return nullptr;
}

OrtStatus* read_call(const Node& node, OrtKernelContext* context, Call* call) {
  const Api& api = node.api;
  const Signature& signature = *node.signature;
  size_t input_count = 0, output_count = 0;
  if (OrtStatus* status = api.get_input_count(context, &input_count)) return status;
  if (OrtStatus* status = api.get_output_count(context, &output_count)) return status;

  Shape x;
  void* data[kOperandCount] = {};  // by Operand
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
    OrtStatus* status = nullptr;
    if (operand == kX) {
      status = read_shape(api, signature.name, value, &x);
      if (status == nullptr) status = check_x(node, x);
    } else {
      status = check_operand(node, operand, value, x);
    }
    if (status == nullptr) status = api.get_data(value, &data[operand]);
    if (status != nullptr) return status;
  }

  void* y = nullptr;
  void* sum = nullptr;
  if (OrtStatus* status = allocate(api, context, 0, x, &y)) return status;
  if (output_count > 1) {
    if (OrtStatus* status = allocate(api, context, 1, x, &sum)) return status;
  }

  const bool has_residual = data[kResidual] != nullptr;
  call->form = {node.type, signature.function, has_residual, data[kBias] != nullptr,
                data[kGamma] != nullptr};
  const size_t size = last_size(x);
  call->rows = {data[kX], data[kResidual], data[kBias],  data[kGamma], y,
                sum,      size,            node.epsilon, data[kBeta]};
  call->row_count = 1;
  for (size_t axis = 0; axis + 1 < x.rank; ++axis) call->row_count *= x.sizes[axis];
  return nullptr;
}

}  // namespace graphopt
