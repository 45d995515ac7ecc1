// Runs a model once through ONNX Runtime's C API, with graphopt's kernels, and prints its outputs.
//
//     g++ -std=c++17 -O2 examples/run_model.cpp -o run_model -ldl
//     ./run_model libonnxruntime.so model.onnx 1,3,224,224 libgraphopt_cpu.so
//
// The model has one input, of float32. Without the last argument it runs without the kernels.
//
// libonnxruntime is opened by dlopen: a program that is linked against one release does not start
// with another one. No header of ONNX Runtime is needed either. Its API is a table of functions to
// which releases append, so the places below, of API version 16 (ONNX Runtime 1.16), hold in all
// newer releases. With its header, onnxruntime_c_api.h, each is the member of OrtApi of that name.

#include <dlfcn.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace {

enum Place {
  GetErrorMessage = 2,
  CreateEnv = 3,
  CreateSession = 7,
  Run = 9,
  CreateSessionOptions = 10,
  SetIntraOpNumThreads = 24,
  RegisterCustomOpsLibrary = 29,
  SessionGetInputCount = 30,
  SessionGetOutputCount = 31,
  SessionGetInputName = 36,
  SessionGetOutputName = 37,
  CreateTensorWithDataAsOrtValue = 49,
  GetTensorMutableData = 51,
  GetTensorElementType = 60,
  GetDimensionsCount = 61,
  GetDimensions = 62,
  GetTensorTypeAndShape = 65,
  CreateCpuMemoryInfo = 69,
  GetAllocatorWithDefaultOptions = 78,
};

constexpr uint32_t kApiVersion = 16;
constexpr int kWarnings = 2;        // OrtLoggingLevel
constexpr int kFloat = 1;           // ONNXTensorElementDataType
constexpr int kArena = 1;           // OrtAllocatorType
constexpr int kDefaultMemory = 0;   // OrtMemType

struct Status;  // what a failed call returns; null is success
using Handle = void*;

struct ApiBase {
  void* const* (*get_api)(uint32_t version);
  const char* (*get_version)();
};

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "run_model: %s\n", why.c_str());
  std::exit(1);
}

class Api {
 public:
  explicit Api(void* const* table) : table_(table) {}

  template <typename... Arguments>
  void operator()(Place place, Arguments... arguments) const {
    auto function = reinterpret_cast<Status* (*)(Arguments...)>(table_[place]);
    if (Status* status = function(arguments...)) {
      auto message = reinterpret_cast<const char* (*)(const Status*)>(table_[GetErrorMessage]);
      fail(message(status));
    }
  }

 private:
  void* const* table_;
};

Api open_runtime(const char* path) {
  void* library = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr) fail(dlerror());
  auto get_base = reinterpret_cast<const ApiBase* (*)()>(dlsym(library, "OrtGetApiBase"));
  if (get_base == nullptr) fail(std::string(path) + " is no ONNX Runtime");
  void* const* table = get_base()->get_api(kApiVersion);
  if (table == nullptr) fail(std::string(path) + " is older than ONNX Runtime 1.16");
  std::printf("ONNX Runtime %s\n", get_base()->get_version());
  return Api(table);
}

std::vector<int64_t> sizes_of(const std::string& text) {
  std::vector<int64_t> sizes;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) {
    char* end = nullptr;
    sizes.push_back(std::strtoll(part.c_str(), &end, 10));
    if (part.empty() || *end != '\0' || sizes.back() < 1) fail("write sizes as 1,3,224,224");
  }
  return sizes;
}

size_t count_of(const std::vector<int64_t>& sizes) {
  return std::accumulate(sizes.begin(), sizes.end(), size_t{1}, std::multiplies<size_t>());
}

void print(const Api& api, const char* name, Handle value) {
  Handle info = nullptr;
  int type = 0;
  size_t rank = 0;
  api(GetTensorTypeAndShape, static_cast<const void*>(value), &info);
  api(GetTensorElementType, static_cast<const void*>(info), &type);
  if (type != kFloat) fail(std::string(name) + " is not of float32");
  api(GetDimensionsCount, static_cast<const void*>(info), &rank);
  std::vector<int64_t> sizes(rank);
  api(GetDimensions, static_cast<const void*>(info), sizes.data(), rank);
  float* entries = nullptr;
  api(GetTensorMutableData, value, &entries);
  std::printf("%s", name);
  for (int64_t size : sizes) std::printf(" %lld", static_cast<long long>(size));
  std::printf(":");
  for (size_t i = 0; i < count_of(sizes); ++i) std::printf(" %.9g", entries[i]);
  std::printf("\n");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 4 && count != 5) {
    fail("give LIBONNXRUNTIME MODEL SIZES [KERNELS], such as libonnxruntime.so m.onnx 1,8,64");
  }
  const Api api = open_runtime(arguments[1]);
  Handle environment = nullptr, options = nullptr, session = nullptr, kernels = nullptr;
  api(CreateEnv, kWarnings, "run_model", &environment);
  api(CreateSessionOptions, &options);
  api(SetIntraOpNumThreads, options, 1);
  if (count == 5) api(RegisterCustomOpsLibrary, options, arguments[4], &kernels);
  api(CreateSession, static_cast<const void*>(environment), arguments[2],
      static_cast<const void*>(options), &session);

  Handle allocator = nullptr;
  size_t inputs = 0, outputs = 0;
  api(GetAllocatorWithDefaultOptions, &allocator);
  api(SessionGetInputCount, static_cast<const void*>(session), &inputs);
  api(SessionGetOutputCount, static_cast<const void*>(session), &outputs);
  if (inputs != 1) fail("the model has " + std::to_string(inputs) + " inputs, not one");
  char* input_name = nullptr;
  std::vector<char*> output_names(outputs);
  api(SessionGetInputName, static_cast<const void*>(session), size_t{0}, allocator, &input_name);
  for (size_t i = 0; i < outputs; ++i) {
    api(SessionGetOutputName, static_cast<const void*>(session), i, allocator, &output_names[i]);
  }

  const std::vector<int64_t> sizes = sizes_of(arguments[3]);
  std::vector<float> entries(count_of(sizes));
  for (size_t i = 0; i < entries.size(); ++i) entries[i] = static_cast<float>(i % 7) - 3.0f;
  Handle memory = nullptr, input = nullptr;
  api(CreateCpuMemoryInfo, kArena, kDefaultMemory, &memory);
  api(CreateTensorWithDataAsOrtValue, static_cast<const void*>(memory),
      static_cast<void*>(entries.data()), entries.size() * sizeof(float), sizes.data(),
      sizes.size(), kFloat, &input);
  std::vector<Handle> results(outputs, nullptr);
  api(Run, session, static_cast<const void*>(nullptr), &input_name, &input, size_t{1},
      output_names.data(), outputs, results.data());
  for (size_t i = 0; i < outputs; ++i) print(api, output_names[i], results[i]);
  return 0;  // the process ends here, and with it all that was made
}
