// The library as ONNX Runtime loads it: kernels for each operator, element type and provider.

#include <pthread.h>

#include <atomic>
#include <climits>
#include <cstdlib>
#include <new>

#include "operators.h"
#ifdef GRAPHOPT_CUDA
#include "cuda_rows.h"
#endif

#define GRAPHOPT_EXPORT extern "C" __attribute__((visibility("default")))

namespace graphopt {

namespace {

// A thread gets no less work than this, about 3 microseconds.
constexpr size_t kElementsPerTask = 16384;

// Whether the runtime that registered the library has parallel_for.
std::atomic<bool> has_parallel_for{false};

struct Operator : CustomOp {
  const Signature* signature;
  ElementType type;
};

struct Kernel : Node {
  Select select;  // null in CUDA kernels
};

const Operator& self(const CustomOp* op) { return *static_cast<const Operator*>(op); }

OrtStatus* create(const CustomOp* op, const OrtApi* table, const OrtKernelInfo* info, Select select,
                  void** kernel) {
  const Api api(table);
  Node node = {api, nullptr, {}, 0, {}};
  if (OrtStatus* status = read_node(api, *self(op).signature, self(op).type, info, &node)) {
    return status;
  }
  void* memory = std::malloc(sizeof(Kernel));
  if (memory == nullptr) return api.create_status(ErrorCode::kFail, "graphopt: out of memory");
  *kernel = new (memory) Kernel{node, select};
  return nullptr;
}

OrtStatus* create_cpu_kernel(const CustomOp* op, const OrtApi* table, const OrtKernelInfo* info,
                             void** kernel) {
  const InstructionSet* set = choose_instruction_set();
  if (set == nullptr) {
    const char* wanted = std::getenv("GRAPHOPT_INSTRUCTION_SET");
    if (wanted == nullptr) {
      return refuse(Api(table),
                    "graphopt: this library was built for another processor alone; build it here: "
                    "python -m graphopt.native.build");
    }
    return refuse(Api(table),
                  "graphopt: GRAPHOPT_INSTRUCTION_SET is '%s', which this processor or this library "
                  "does not have; unset it",
                  wanted);
  }
  return create(op, table, info, set->select, kernel);
}

struct Tasks {
  RowsFunction function;
  const Call* call;
  size_t rows_each;
};

void run_task(void* argument, size_t index) {
  const Tasks& tasks = *static_cast<const Tasks*>(argument);
  const size_t begin = index * tasks.rows_each;
  const size_t rest = tasks.call->row_count - begin;
  tasks.function(tasks.call->rows, begin, begin + (rest < tasks.rows_each ? rest : tasks.rows_each));
}

OrtStatus* compute_cpu(void* memory, OrtKernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(memory);
  Call call;
  if (OrtStatus* status = read_call(kernel, context, &call)) return status;
  if (call.rows.size == 0 || call.row_count == 0) return nullptr;
  const RowsFunction function = kernel.select(call.form);
  const size_t rows_each = (kElementsPerTask - 1) / call.rows.size + 1;
  const size_t count = (call.row_count + rows_each - 1) / rows_each;
  if (count <= 1 || !has_parallel_for) {
    function(call.rows, 0, call.row_count);
    return nullptr;
  }
  Tasks tasks = {function, &call, rows_each};
  return kernel.api.parallel_for(context, run_task, count, &tasks);
}

void destroy(void* memory) { std::free(memory); }

const char* get_name(const CustomOp* op) { return self(op).signature->name; }
ElementType get_type(const CustomOp* op, size_t) { return self(op).type; }
size_t get_input_count(const CustomOp* op) { return self(op).signature->input_count; }
size_t get_output_count(const CustomOp* op) { return self(op).signature->output_count; }
int get_memory_type(const CustomOp*, size_t) { return 0; }  // the default of the provider

Presence get_input_presence(const CustomOp* op, size_t index) {
  return index < self(op).signature->required_inputs ? Presence::kRequired : Presence::kOptional;
}

Presence get_output_presence(const CustomOp*, size_t index) {
  return index == 0 ? Presence::kRequired : Presence::kOptional;
}

// Y may take the memory of X, and sum that of residual, where nothing else reads them.
int in_place_operands[] = {0, 1};
size_t get_in_place(int** inputs, int** outputs) {
  *inputs = *outputs = in_place_operands;
  return 1;
}
size_t get_in_place_of_skip(int** inputs, int** outputs) {
  *inputs = *outputs = in_place_operands;
  return 2;
}
void release_in_place(int*, int*) {}

Operator make_operator(const Signature& signature, ElementType type) {
  Operator op = {};
  op.get_name = get_name;
  op.get_execution_provider = [](const CustomOp*) { return "CPUExecutionProvider"; };
  op.get_input_type = get_type;
  op.get_input_count = get_input_count;
  op.get_output_type = get_type;
  op.get_output_count = get_output_count;
  op.destroy_kernel = destroy;
  op.get_input_presence = get_input_presence;
  op.get_output_presence = get_output_presence;
  op.get_input_memory_type = get_memory_type;
  op.create_kernel_v2 = create_cpu_kernel;
  op.compute_v2 = compute_cpu;
  op.get_in_place = signature.output_count == 2 ? get_in_place_of_skip : get_in_place;
  op.release_in_place = release_in_place;
  op.signature = &signature;
  op.type = type;
  return op;
}

#ifdef GRAPHOPT_CUDA
// A failure of the device, with the code that ONNX Runtime's own kernels for CUDA give it. Python
// would answer that of a failed provider by running the session on the CPU.
constexpr ErrorCode kDeviceFailure = ErrorCode::kFail;

OrtStatus* create_cuda_kernel(const CustomOp* op, const OrtApi* table, const OrtKernelInfo* info,
                              void** kernel) {
  // A driver or a GPU that the library was not built for is better known now than in the first call.
  if (const char* error = check_device()) {
    return refuse(Api(table), kDeviceFailure,
                  "graphopt: CUDA: %s; rebuild with python -m graphopt.native.build cuda", error);
  }
  return create(op, table, info, nullptr, kernel);
}

OrtStatus* compute_cuda(void* memory, OrtKernelContext* context) {
  const Kernel& kernel = *static_cast<const Kernel*>(memory);
  Call call;
  if (OrtStatus* status = read_call(kernel, context, &call)) return status;
  void* stream = nullptr;
  if (OrtStatus* status = kernel.api.get_stream(context, &stream)) return status;
  const char* error = launch_rows(call.form, call.rows, call.row_count, stream);
  if (error == nullptr) return nullptr;
  return refuse(kernel.api, kDeviceFailure, "graphopt.%s: CUDA: %s", kernel.signature->name, error);
}

// What graphopt writes for CUDA; a session there runs the others on the CPU.
bool has_cuda_kernel(const Signature& signature) {
  return signature.function == Function::kRms || signature.function == Function::kCrms;
}

Operator make_cuda_operator(const Signature& signature, ElementType type) {
  Operator op = make_operator(signature, type);
  op.get_execution_provider = [](const CustomOp*) { return "CUDAExecutionProvider"; };
  op.create_kernel_v2 = create_cuda_kernel;
  op.compute_v2 = compute_cuda;
  return op;
}
#endif

constexpr ElementType kTypes[] = {ElementType::kFloat, ElementType::kFloat16, ElementType::kBFloat16,
                                  ElementType::kDouble};

// Held as long as it lives. std::mutex may throw, and would need the C++ library for that.
class Lock {
 public:
  explicit Lock(pthread_mutex_t* mutex) : mutex_(mutex) { pthread_mutex_lock(mutex_); }
  Lock(const Lock&) = delete;
  ~Lock() { pthread_mutex_unlock(mutex_); }

 private:
  pthread_mutex_t* mutex_;
};

// The kernels, and the one domain that holds them: a runtime keeps pointers to both as long as it has
// a session.
class Domain {
 public:
  Domain() {
    for (const Signature& signature : kSignatures) {
      for (const ElementType type : kTypes) {
        operators_[count_++] = make_operator(signature, type);
#ifdef GRAPHOPT_CUDA
        if (has_cuda_kernel(signature)) operators_[count_++] = make_cuda_operator(signature, type);
#endif
      }
    }
  }

  ~Domain() {
    if (domain_ != nullptr) Api(table_).release(domain_);
  }

  OrtStatus* add_to(OrtSessionOptions* options, const OrtApi* table, uint32_t version) {
    const Api api(table);
    const Lock lock(&mutex_);
    if (domain_ == nullptr) {
      if (OrtStatus* status = create(api, version)) return status;
      table_ = table;
    }
    if (table_ != table) {
      return refuse(api,
                    "graphopt: another ONNX Runtime of this process has loaded this library; load a "
                    "copy of the file");
    }
    return api.add_domain(options, domain_);
  }

 private:
  OrtStatus* create(const Api& api, uint32_t version) {
    for (size_t i = 0; i < count_; ++i) operators_[i].version = version;
    OrtCustomOpDomain* created = nullptr;
    OrtStatus* status = api.create_domain("graphopt", &created);
    for (size_t i = 0; i < count_ && status == nullptr; ++i) {
      status = api.add_operator(created, &operators_[i]);
    }
    if (status == nullptr) {
      domain_ = created;
    } else if (created != nullptr) {
      api.release(created);
    }
    return status;
  }

#ifdef GRAPHOPT_CUDA
  static constexpr size_t kProviders = 2;
#else
  static constexpr size_t kProviders = 1;
#endif
  Operator operators_[sizeof kSignatures / sizeof *kSignatures * (sizeof kTypes / sizeof *kTypes) *
                      kProviders];  // room for every one
  size_t count_ = 0;
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;
  const OrtApi* table_ = nullptr;
  OrtCustomOpDomain* domain_ = nullptr;
};

Domain domain;

// 17 of "1.17.3"; of a later major version, which has what all before it have, a number above any.
long read_api_version(const char* version) {
  char* end = nullptr;
  const long major = std::strtol(version, &end, 10);
  if (major > 1) return LONG_MAX;
  return major == 1 && *end == '.' ? std::strtol(end + 1, nullptr, 10) : 0;
}

}  // namespace

}  // namespace graphopt

// What ONNX Runtime calls when the library is registered with session options.
GRAPHOPT_EXPORT OrtStatus* RegisterCustomOps(OrtSessionOptions* options, const OrtApiBase* base) {
  using namespace graphopt;
  const char* version = base->GetVersionString();
  const long api_version = read_api_version(version);
  if (api_version < kApiVersion) {
    return refuse(Api(base->GetApi(1)),
                  "graphopt: the kernels need ONNX Runtime 1.%u or newer; this is %s", kApiVersion,
                  version);
  }
  const uint32_t stamp = api_version >= kSinceInPlace ? kSinceInPlace : kApiVersion;
  OrtStatus* status = domain.add_to(options, base->GetApi(kApiVersion), stamp);
  if (status == nullptr) has_parallel_for = api_version >= kSinceParallelFor;
  return status;
}

// The instruction set of the CPU kernels on this machine, or null where GRAPHOPT_INSTRUCTION_SET names
// none, or the library was built for another processor alone.
GRAPHOPT_EXPORT const char* GraphoptInstructionSet() {
  const graphopt::InstructionSet* set = graphopt::choose_instruction_set();
  return set == nullptr ? nullptr : set->name;
}
