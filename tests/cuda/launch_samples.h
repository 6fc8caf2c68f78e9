// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

#include "base/device_queue.h"

// Functions for each form of kernels (cuda/launch.h), of memory of a device.
namespace monsoon {

// counts[i] += i + 1
void CountIndices(DeviceQueue& queue, int64_t n, int64_t* counts);

// sums[row] += sum of values [rows, columns] over each row
void SumRows(DeviceQueue& queue, int64_t rows, int64_t columns,
             const int64_t* values, int64_t* sums);
// The same of values [columns, rows], where neighbours are of different rows.
void SumNeighbouringRows(DeviceQueue& queue, int64_t rows, int64_t columns,
                         const int64_t* values, int64_t* sums);

}  // namespace monsoon
