// The rows of an operator on a CUDA device.
#pragma once

#include "rows.h"

namespace graphopt {

// Loads a kernel onto the current device. Returns null, or why it cannot run there.
const char* check_device();

// Computes count rows in device memory on a cudaStream_t. Returns null, or what went wrong.
const char* launch_rows(const Form& form, const Rows& rows, size_t count, void* stream);

}  // namespace graphopt
