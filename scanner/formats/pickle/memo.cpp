#include "scanner/formats/pickle/value.hpp"

#include <new>
#include <sys/mman.h>

namespace hubgate::pickle {

void Memo::next_chunk() {
  constexpr std::size_t k_chunk_bytes = k_chunk * sizeof(Word);
  constexpr std::size_t k_huge_page = std::size_t{2} << 20;
  constexpr std::uint64_t k_per_page = k_huge_page / k_chunk_bytes;
  if (chunks_ == nullptr) chunks_ = std::make_unique<Word*[]>(k_max_dense / k_chunk);
  const std::uint64_t number = dense_size_ >> k_chunk_bits;
  Word*& chunk = chunks_[number];
  if (chunk == nullptr) {
    // A large memo is filled front to back: one fault a huge page instead of 512.
    const bool large = number >= k_per_page;
    const std::size_t bytes = large ? k_huge_page : k_chunk_bytes;
    auto* const words = static_cast<Word*>(std::aligned_alloc(large ? k_huge_page : 64, bytes));
    if (words == nullptr) throw std::bad_alloc();
    blocks_.emplace_back(words);
    if (large) (void)madvise(words, bytes, MADV_HUGEPAGE);
    for (std::uint64_t i = 0; i < (large ? k_per_page : 1); ++i)
      chunks_[number + i] = words + i * k_chunk;
  }
  tail_ = chunk;
}

} // namespace hubgate::pickle
