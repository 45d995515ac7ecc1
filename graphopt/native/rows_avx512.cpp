#define GRAPHOPT_ISA avx512
#include "row_kernels.h"
