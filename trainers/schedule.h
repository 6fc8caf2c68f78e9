// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace monsoon {

// How a worker's learning rate follows its way through the data: a factor, by
// which the rate that was asked for is multiplied. A pure function, so that a
// run can be repeated and resumed. A value. Epochs are passes of this worker
// over its own share of the data; they may be fractions.
struct Schedule {
  enum class Shape { kConstant, kStep, kCosine };

  Shape shape = Shape::kConstant;
  double epochs = 1;  // of the whole training
  // The first `warmup` epochs lead from `first` to 1 in a straight line, a step
  // at a time: gradual warmup, Goyal et al. 2017, arXiv:1706.02677, section
  // 2.2, where `first` is 1 / workers, the rate of one worker alone.
  double warmup = 0;
  double first = 1;
  // kStep: every `step_epochs` from the start, the rate is multiplied by
  // `decay`.
  double step_epochs = 1;
  double decay = 0.1;
  // kCosine: from the end of the warmup to the end of the training, (1 + cos) /
  // 2 of a half turn: Loshchilov, Hutter 2017, arXiv:1608.03983, without
  // restarts and with 0 as the lowest rate.

  // For the step that comes after `done` epochs, 0 <= done <= epochs. Above 0,
  // as a step of no length would be none: the smallest float at least.
  float Factor(double done) const;
};

}  // namespace monsoon
