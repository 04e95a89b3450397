#include "scanner/core/words.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace hubgate {
namespace {

constexpr std::size_t k_block = 32;

bool has_wide() {
#if defined(__x86_64__)
  static const bool has = __builtin_cpu_supports("avx2") != 0;
  return has;
#else
  return false;
#endif
}

} // namespace

void WordStarts::add(std::string_view word) {
  pairs_.set(pair(word[0], word[1]));
  // Words that begin alike share a group: fewer halves of bytes then go together by chance.
  const auto group =
      static_cast<std::uint8_t>(1U << (static_cast<unsigned char>(lower_ascii(word[0])) % 8));
  for (std::size_t i = 0; i < k_letters; ++i) {
    if (i >= word.size()) {
      for (std::size_t half = 0; half < 16; ++half) {
        masks_[i].low[half] |= group;
        masks_[i].high[half] |= group;
      }
      continue;
    }
    const char small = lower_ascii(word[i]);
    const bool letter = small >= 'a' && small <= 'z';
    for (const char c: {small, letter ? static_cast<char>(small & ~0x20) : small}) {
      const auto byte = static_cast<unsigned char>(c);
      masks_[i].low[byte & 15U] |= group;
      masks_[i].high[byte >> 4U] |= group;
    }
  }
}

#if defined(__x86_64__)
#define HUBGATE_WIDE __attribute__((target("avx2")))
namespace {

// One bit a group for each byte: which groups have it in this letter.
HUBGATE_WIDE inline __m256i groups_of(__m256i bytes, const std::uint8_t* low,
                                      const std::uint8_t* high) {
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i lows =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(low)));
  const __m256i highs =
      _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(high)));
  return _mm256_and_si256(
      _mm256_shuffle_epi8(lows, _mm256_and_si256(bytes, nibble)),
      _mm256_shuffle_epi8(highs, _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble)));
}

} // namespace

// Whole blocks from `at` on; each reads two bytes beyond its end.
HUBGATE_WIDE std::size_t WordStarts::wide(std::string_view text, std::size_t blocks,
                                          std::size_t at) const {
  for (std::size_t block = 0; block < blocks; ++block, at += k_block) {
    __m256i fits = _mm256_set1_epi8(-1);
    for (std::size_t i = 0; i < k_letters; ++i)
      fits = _mm256_and_si256(
          fits, groups_of(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(&text[at + i])),
                          masks_[i].low.data(), masks_[i].high.data()));
    const auto none = static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_cmpeq_epi8(fits, _mm256_setzero_si256())));
    for (std::uint32_t places = ~none; places != 0; places &= places - 1) {
      const std::size_t place = at + static_cast<std::size_t>(std::countr_zero(places));
      if (pairs_.test(pair(text[place], text[place + 1]))) return place;
    }
  }
  return std::string_view::npos;
}
#undef HUBGATE_WIDE
#else
std::size_t WordStarts::wide(std::string_view, std::size_t, std::size_t) const {
  return std::string_view::npos;
}
#endif

std::size_t WordStarts::next(std::string_view text, std::size_t at) const {
  if (!has_wide()) {
    while (at < text.size() && !may_begin(text, at))
      ++at;
    return at < text.size() ? at : std::string_view::npos;
  }
  constexpr std::size_t k_beyond = k_letters - 1;
  if (at < text.size() && text.size() - at >= k_block + k_beyond) {
    const std::size_t blocks = (text.size() - at - k_beyond) / k_block;
    const std::size_t found = wide(text, blocks, at);
    if (found != std::string_view::npos) return found;
    at += blocks * k_block;
  }
  // What is left is shorter than a block and what is read beyond it.
  while (at < text.size()) {
    std::array<char, 2 * k_block> rest{};
    const std::size_t length = std::min(text.size() - at, k_block + k_beyond);
    std::memcpy(rest.data(), text.data() + at, length);
    const std::size_t found = wide({rest.data(), rest.size()}, 1, 0);
    if (found != std::string_view::npos) return at + found;
    at += k_block;
  }
  return std::string_view::npos;
}

} // namespace hubgate
