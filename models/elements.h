// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "base/element.h"

// The element functions of models, for every device (base/flat.h).
namespace monsoon {

// t <- s g
struct ScaleTo {
  float s;
  MONSOON_ELEMENT void operator()(float& t, float g) const { t = s * g; }
};

// t <- b t + s g
struct BlendInto {
  float s, b;
  MONSOON_ELEMENT void operator()(float& t, float g) const {
    t = b * t + s * g;
  }
};

// a <- b a, and 0 where b is, whatever a holds
struct ScaleOrClear {
  float b;
  MONSOON_ELEMENT void operator()(float& a) const { a = b == 0 ? 0 : b * a; }
};

}  // namespace monsoon
