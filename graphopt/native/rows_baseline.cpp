#define GRAPHOPT_ISA baseline
#include "row_kernels.h"
