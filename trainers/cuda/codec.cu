// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "base/registry.h"
#include "cuda/launch.h"
#include "trainers/codec_numbers.h"
#include "trainers/device_codec.h"

namespace monsoon {
namespace {

template <typename Half>
void EncodeHalves(DeviceQueue& queue, const DeviceMessage& message) {
  const float* const values = message.values;
  float* const lost = message.residual;
  auto* const halves = reinterpret_cast<uint16_t*>(message.to);
  ForIndex(CudaQueue::Of(queue), message.size,
           [values, lost, halves] MONSOON_ELEMENT_LAMBDA(int64_t i) {
             const float sent = values[i] + lost[i];
             const uint16_t number = Half::From(sent);
             halves[i] = number;
             lost[i] = sent - Half::To(number);
           });
}

struct LargestKey {
  uint32_t value = 0;
  MONSOON_ELEMENT void Add(const LargestKey& other) {
    if (other.value > value) value = other.value;
  }
};

void EncodeInt8(DeviceQueue& device, const DeviceMessage& message) {
  CudaQueue& queue = CudaQueue::Of(device);
  const int64_t size = message.size, blocks = CodecBlocks(size);
  const float* const values = message.values;
  float* const sent = message.residual;
  auto* const scales = reinterpret_cast<float*>(message.to);
  auto* const numbers = reinterpret_cast<int8_t*>(scales + blocks);
  ForRows<LargestKey>(
      queue, blocks, kCodecBlock,
      [=] MONSOON_ELEMENT_LAMBDA(int64_t block, int64_t j) {
        const int64_t i = block * kCodecBlock + j;
        if (i >= size) return LargestKey{};
        sent[i] += values[i];
        return LargestKey{MagnitudeKey(sent[i])};
      },
      [=] MONSOON_ELEMENT_LAMBDA(int64_t block, const LargestKey& largest) {
        scales[block] = Int8Numbers::Scale(FromBits(largest.value));
      });
  ForIndex(queue, size, [=] MONSOON_ELEMENT_LAMBDA(int64_t i) {
    const float scale = scales[i / kCodecBlock];
    numbers[i] = Int8Numbers::From(sent[i], scale, Int8Numbers::Inverse(scale));
  });
}

// Turns what got lost before into what is to be sent now.
void AddValues(CudaQueue& queue, const DeviceMessage& message) {
  const float* const values = message.values;
  float* const sent = message.residual;
  ForIndex(queue, message.size,
           [values, sent] MONSOON_ELEMENT_LAMBDA(int64_t i) {
             sent[i] += values[i];
           });
}

void EncodeOneBit(DeviceQueue& device, const DeviceMessage& message) {
  CudaQueue& queue = CudaQueue::Of(device);
  AddValues(queue, message);
  const int64_t size = message.size, blocks = CodecBlocks(size);
  float* const sent = message.residual;
  auto* const scales = reinterpret_cast<float*>(message.to);
  char* const bits = message.to + blocks * int64_t{sizeof(float)};
  // One thread a block, as the order of the sum is the processor's.
  ForIndex(queue, blocks, [=] MONSOON_ELEMENT_LAMBDA(int64_t block) {
    const int64_t i = block * kCodecBlock, rest = size - i;
    scales[block] =
        SignNumbers::Scale(sent + i, rest < kCodecBlock ? rest : kCodecBlock);
  });
  ForIndex(queue, (size + 7) / 8, [=] MONSOON_ELEMENT_LAMBDA(int64_t byte) {
    const int64_t begin = 8 * byte;
    const int64_t end = begin + 8 < size ? begin + 8 : size;
    bits[byte] = SignNumbers::From(sent + begin, end - begin);
    const float scale = scales[begin / kCodecBlock];
    for (int64_t i = begin; i < end; ++i) {
      sent[i] = SignNumbers::Lost(sent[i], scale);
    }
  });
}

// topk. The k-th largest key is found digit by digit, from the highest: of the
// keys that begin with the digits found, how many have which digit next?

constexpr int kDigitBits = 4, kDigits = 1 << kDigitBits;
constexpr int64_t kMostRows = 1024;

struct DigitCounts {
  uint32_t of[kDigits] = {};
  MONSOON_ELEMENT void Add(const DigitCounts& other) {
    for (int digit = 0; digit < kDigits; ++digit) of[digit] += other.of[digit];
  }
};

// The digits found, and which of the keys that begin with them is looked for:
// at the end the k-th largest key, and how many that equal it are sent.
struct Found {
  uint32_t key, left;
};

// Before an element: keys above the k-th largest, and equal ones.
struct Places {
  uint32_t above = 0, equal = 0;
  MONSOON_ELEMENT void Add(const Places& other) {
    above += other.above;
    equal += other.equal;
  }
};

// Of the vector, what one thread writes; and of such parts, what one sums up.
constexpr int64_t kPart = 1024, kGroup = 512;

// Lies in the queue's scratch memory, where there is room for the places of
// 2^32 floats: more have no index.
struct Scratch {
  Found found;
  DigitCounts rows[kMostRows];
  Places groups[(int64_t{1} << 32) / kPart / kGroup];
  // As many as there are parts lie behind.
  Places* parts() { return reinterpret_cast<Places*>(this + 1); }
};
static_assert(sizeof(Scratch) + ((int64_t{1} << 32) / kPart) * sizeof(Places) <=
              CudaQueue::kWorkspaceBytes);

void FindKey(CudaQueue& queue, const float* sent, int64_t size, int64_t kept,
             Scratch* scratch) {
  const auto k = static_cast<uint32_t>(kept);
  ForIndex(queue, 1, [scratch, k] MONSOON_ELEMENT_LAMBDA(int64_t) {
    scratch->found = {0, k};
  });
  const int64_t rows = std::min(kMostRows, CodecBlocks(size));
  const int64_t width = (size + rows - 1) / rows;
  for (int shift = 32 - kDigitBits; shift >= 0; shift -= kDigitBits) {
    ForRows<DigitCounts>(
        queue, rows, width,
        [=] MONSOON_ELEMENT_LAMBDA(int64_t row, int64_t column) {
          DigitCounts counts;
          const int64_t i = row * width + column;
          if (i >= size) return counts;
          const uint32_t key = MagnitudeKey(sent[i]);
          const uint32_t next = key >> shift;
          const bool counts_here = next >> kDigitBits == scratch->found.key;
          for (uint32_t digit = 0; digit < kDigits; ++digit) {
            counts.of[digit] = counts_here && next % kDigits == digit ? 1 : 0;
          }
          return counts;
        },
        [=] MONSOON_ELEMENT_LAMBDA(int64_t row, const DigitCounts& counts) {
          scratch->rows[row] = counts;
        });
    ForRows<DigitCounts>(
        queue, 1, rows,
        [=] MONSOON_ELEMENT_LAMBDA(int64_t, int64_t row) {
          return scratch->rows[row];
        },
        [=] MONSOON_ELEMENT_LAMBDA(int64_t, const DigitCounts& counts) {
          Found found = scratch->found;
          uint32_t digit = kDigits - 1;
          for (; digit > 0 && counts.of[digit] < found.left; --digit) {
            found.left -= counts.of[digit];
          }
          found.key = found.key << kDigitBits | digit;
          scratch->found = found;
        });
  }
}

MONSOON_ELEMENT inline Places PlaceOf(float value, uint32_t least) {
  const uint32_t key = MagnitudeKey(value);
  Places place;
  place.above = key > least ? 1 : 0;
  place.equal = key == least ? 1 : 0;
  return place;
}

// What comes before each part within its group, and before each group.
void CountPlaces(CudaQueue& queue, const float* sent, int64_t size,
                 Scratch* scratch) {
  Places* const in_part = scratch->parts();
  const int64_t parts = (size + kPart - 1) / kPart;
  const int64_t groups = (parts + kGroup - 1) / kGroup;
  ForRows<Places>(
      queue, parts, kPart,
      [=] MONSOON_ELEMENT_LAMBDA(int64_t part, int64_t j) {
        const int64_t i = part * kPart + j;
        return i < size ? PlaceOf(sent[i], scratch->found.key) : Places();
      },
      [=] MONSOON_ELEMENT_LAMBDA(int64_t part, const Places& places) {
        in_part[part] = places;
      });
  ForIndex(queue, groups, [=] MONSOON_ELEMENT_LAMBDA(int64_t group) {
    Places before;
    for (int64_t j = 0; j < kGroup && group * kGroup + j < parts; ++j) {
      Places& part = in_part[group * kGroup + j];
      const Places own = part;
      part = before;
      before.Add(own);
    }
    scratch->groups[group] = before;
  });
  ForIndex(queue, 1, [=] MONSOON_ELEMENT_LAMBDA(int64_t) {
    Places before;
    for (int64_t group = 0; group < groups; ++group) {
      const Places own = scratch->groups[group];
      scratch->groups[group] = before;
      before.Add(own);
    }
  });
}

void EncodeTopK(DeviceQueue& device, const DeviceMessage& message,
                int64_t kept) {
  CudaQueue& queue = CudaQueue::Of(device);
  auto* const scratch = static_cast<Scratch*>(queue.workspace());
  if (scratch == nullptr) return;
  AddValues(queue, message);
  const int64_t size = message.size;
  float* const sent = message.residual;
  FindKey(queue, sent, size, kept, scratch);
  CountPlaces(queue, sent, size, scratch);
  auto* const indices = reinterpret_cast<uint32_t*>(message.to);
  auto* const values = reinterpret_cast<float*>(indices + kept);
  const Places* const in_part = scratch->parts();
  const int64_t parts = (size + kPart - 1) / kPart;
  ForIndex(queue, parts, [=] MONSOON_ELEMENT_LAMBDA(int64_t part) {
    const Found found = scratch->found;
    Places before = scratch->groups[part / kGroup];
    before.Add(in_part[part]);
    const int64_t begin = part * kPart;
    const int64_t end = begin + kPart < size ? begin + kPart : size;
    for (int64_t i = begin; i < end; ++i) {
      const Places place = PlaceOf(sent[i], found.key);
      const bool is_sent =
          place.above == 1 || (place.equal == 1 && before.equal < found.left);
      if (is_sent) {
        const uint32_t at = before.above + LesserOf(before.equal, found.left);
        indices[at] = static_cast<uint32_t>(i);
        values[at] = sent[i];
        sent[i] = 0;
      }
      before.Add(place);
    }
  });
}

const bool kRegistered = [] {
  Registry<DeviceCodec>::Get().Add("cuda", {.bf16 = EncodeHalves<Bfloat16>,
                                            .fp16 = EncodeHalves<Float16>,
                                            .int8 = EncodeInt8,
                                            .onebit = EncodeOneBit,
                                            .topk = EncodeTopK});
  return true;
}();

}  // namespace
}  // namespace monsoon
