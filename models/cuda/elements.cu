// SPDX-License-Identifier: Apache-2.0
#include "cuda/for_each.h"
#include "models/elements.h"

namespace monsoon {
namespace {

const RegisterElement<ScaleTo> kScaleTo;
const RegisterElement<BlendInto> kBlendInto;
const RegisterElement<ScaleOrClear> kScaleOrClear;

}  // namespace
}  // namespace monsoon
