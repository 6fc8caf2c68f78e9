// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>

// The matrices of the minimal filtering algorithm F(4, 3) with the points 0, 1,
// -1, 2, -2 and infinity (Lavin and Gray 2015, arXiv:1509.09308, section 4.1),
// written as the sums that they stand for. Each function multiplies a vector of
// V (a float, or several at once) by one: the second and fourth arguments are
// the distances of its elements. `from` and `to` are different.
namespace monsoon {

// B' (6x6): inputs into the places of the products.
template <typename V>
void ApplyBt(const V* d, int64_t ds, V* t, int64_t ts) {
  const V d0 = d[0], d1 = d[ds], d2 = d[2 * ds], d3 = d[3 * ds], d4 = d[4 * ds],
          d5 = d[5 * ds];
  const V even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;
  const V far = d4 - d2, twice = 2.0f * (d3 - d1);
  t[0] = 4.0f * d0 - 5.0f * d2 + d4;
  t[ts] = even + odd;
  t[2 * ts] = even - odd;
  t[3 * ts] = far + twice;
  t[4 * ts] = far - twice;
  t[5 * ts] = 4.0f * d1 - 5.0f * d3 + d5;
}

// B (6x6), its adjoint.
template <typename V>
void ApplyB(const V* d, int64_t ds, V* t, int64_t ts) {
  const V d0 = d[0], d1 = d[ds], d2 = d[2 * ds], d3 = d[3 * ds], d4 = d[4 * ds],
          d5 = d[5 * ds];
  const V sum12 = d1 + d2, difference12 = d1 - d2;
  const V sum34 = d3 + d4, difference34 = d3 - d4;
  t[0] = 4.0f * d0;
  t[ts] = 4.0f * (d5 - difference12) - 2.0f * difference34;
  t[2 * ts] = -5.0f * d0 - 4.0f * sum12 - sum34;
  t[3 * ts] = difference12 + 2.0f * difference34 - 5.0f * d5;
  t[4 * ts] = d0 + sum12 + sum34;
  t[5 * ts] = d5;
}

// A' (4x6): places into outputs.
template <typename V>
void ApplyAt(const V* m, int64_t ms, V* y, int64_t ys) {
  const V m1 = m[ms], m2 = m[2 * ms], m3 = m[3 * ms], m4 = m[4 * ms];
  const V sum12 = m1 + m2, difference12 = m1 - m2;
  const V sum34 = m3 + m4, difference34 = m3 - m4;
  y[0] = m[0] + sum12 + sum34;
  y[ys] = difference12 + 2.0f * difference34;
  y[2 * ys] = sum12 + 4.0f * sum34;
  y[3 * ys] = difference12 + 8.0f * difference34 + m[5 * ms];
}

// A (6x4), its adjoint.
template <typename V>
void ApplyA(const V* g, int64_t gs, V* t, int64_t ts) {
  const V g0 = g[0], g1 = g[gs], g2 = g[2 * gs], g3 = g[3 * gs];
  const V even = g0 + g2, odd = g1 + g3;
  const V even4 = g0 + 4.0f * g2, odd4 = 2.0f * g1 + 8.0f * g3;
  t[0] = g0;
  t[ts] = even + odd;
  t[2 * ts] = even - odd;
  t[3 * ts] = even4 + odd4;
  t[4 * ts] = even4 - odd4;
  t[5 * ts] = g3;
}

// G (6x3): weights into places.
template <typename V>
void ApplyG(const V* w, int64_t ws, V* t, int64_t ts) {
  const V w0 = w[0], w1 = w[ws], w2 = w[2 * ws];
  const V even = (w0 + w2) * (-1 / 6.0f), odd = w1 * (-1 / 6.0f);
  const V even4 = (w0 + 4.0f * w2) * (1 / 24.0f), odd4 = w1 * (1 / 12.0f);
  t[0] = 0.25f * w0;
  t[ts] = even + odd;
  t[2 * ts] = even - odd;
  t[3 * ts] = even4 + odd4;
  t[4 * ts] = even4 - odd4;
  t[5 * ts] = w2;
}

// G' (3x6), its adjoint.
template <typename V>
void ApplyGt(const V* t, int64_t ts, V* w, int64_t ws) {
  const V t1 = t[ts], t2 = t[2 * ts], t3 = t[3 * ts], t4 = t[4 * ts];
  const V sum12 = (t1 + t2) * (1 / 6.0f), sum34 = t3 + t4;
  w[0] = 0.25f * t[0] - sum12 + sum34 * (1 / 24.0f);
  w[ws] = (t2 - t1) * (1 / 6.0f) + (t3 - t4) * (1 / 12.0f);
  w[2 * ws] = sum34 * (1 / 6.0f) - sum12 + t[5 * ts];
}

}  // namespace monsoon
