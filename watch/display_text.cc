// SPDX-License-Identifier: Apache-2.0
#include "watch/display_text.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace monsoon {
namespace {

struct Range {
  uint32_t first, last;
};

// Of Unicode 15: what takes two columns, in whole blocks.
constexpr Range kWide[] = {
    {0x1100, 0x115F}, {0x2E80, 0xA4CF},   {0xAC00, 0xD7A3},
    {0xF900, 0xFAFF}, {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6}, {0x1F300, 0x1FAFF}, {0x20000, 0x3FFFD},
};
// What takes none.
constexpr Range kJoining[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},
    {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F},
};
// Controls, and what has no shape but changes that of others.
constexpr Range kControls[] = {
    {0x0000, 0x001F}, {0x007F, 0x009F}, {0x00AD, 0x00AD}, {0x200B, 0x200F},
    {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB},
};

template <size_t kCount>
bool IsIn(const Range (&ranges)[kCount], uint32_t c) {
  return std::any_of(ranges, ranges + kCount, [c](const Range& range) {
    return range.first <= c && c <= range.last;
  });
}

// One character of a text.
struct Character {
  uint32_t code = 0;
  size_t bytes = 1;
  bool is_valid = true;
};

// The first of a text that is not empty.
Character FirstOf(absl::string_view text) {
  const auto byte = [text](size_t i) {
    return static_cast<uint32_t>(static_cast<unsigned char>(text[i]));
  };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {.code = lead};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || bytes > text.size()) {
    return {.is_valid = false};
  }
  Character c{.code = lead & (0x7FU >> bytes), .bytes = bytes};
  for (size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return {.is_valid = false};
    c.code = (c.code << 6U) | (byte(i) & 0x3FU);
  }
  // Too long for what they mean, halves of pairs, and beyond the end.
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  const bool is_half = c.code >= 0xD800 && c.code <= 0xDFFF;
  if (c.code < kLeast[bytes] || is_half || c.code > 0x10FFFF) {
    return {.is_valid = false};
  }
  return c;
}

int ColumnsOf(const Character& c) {
  if (IsIn(kJoining, c.code)) return 0;
  return IsIn(kWide, c.code) ? 2 : 1;
}

}  // namespace

std::string Printable(absl::string_view text, bool utf8) {
  std::string printable;
  for (size_t at = 0; at < text.size();) {
    const Character c = FirstOf(text.substr(at));
    if (!c.is_valid || (!utf8 && c.code >= 0xA0)) {
      printable += '?';
    } else if (!IsIn(kControls, c.code)) {
      printable.append(text.data() + at, c.bytes);
    }
    at += c.bytes;
  }
  return printable;
}

int ColumnsOf(absl::string_view printable) {
  int columns = 0;
  for (size_t at = 0; at < printable.size();) {
    const Character c = FirstOf(printable.substr(at));
    columns += ColumnsOf(c);
    at += c.bytes;
  }
  return columns;
}

std::string Cut(absl::string_view printable, int columns) {
  size_t at = 0;
  for (int taken = 0; at < printable.size();) {
    const Character c = FirstOf(printable.substr(at));
    taken += ColumnsOf(c);
    if (taken > columns) break;
    at += c.bytes;
  }
  return std::string(printable.substr(0, at));
}

std::string Grouped(double number) {
  std::string digits = Decimal(number, 0);
  if (!std::isfinite(number)) return digits;
  const size_t sign = digits.front() == '-' ? 1 : 0;
  for (size_t at = digits.size(); at > sign + 3;) {
    at -= 3;
    digits.insert(at, ",");
  }
  return digits;
}

std::string Decimal(double number, int decimals) {
  return std::isfinite(number) ? absl::StrFormat("%.*f", decimals, number)
                               : "-";
}

std::string Duration(double seconds) {
  constexpr double kYears = 1e9;  // beyond which nobody waits
  if (!(std::abs(seconds) < kYears)) return "-";
  if (seconds < 100) return Decimal(seconds, 1) + " s";
  const int64_t whole = std::llround(seconds);
  const int64_t minutes = whole / 60;
  if (minutes < 60) return absl::StrFormat("%d:%02d", minutes, whole % 60);
  return absl::StrFormat("%d:%02d:%02d", minutes / 60, minutes % 60,
                         whole % 60);
}

}  // namespace monsoon
