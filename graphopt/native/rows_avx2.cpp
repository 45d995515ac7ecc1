#define GRAPHOPT_ISA avx2
#include "row_kernels.h"
