#pragma once
// Values of the symbolic machine: one 64-bit word each. A literal is the offset of the opcode that
// made it, read again when somebody asks; a container is a position in the heap. The heap is a
// ring: what was made long ago ages out and is then known by its kind only, so memory stays bounded
// whatever the pickle builds.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <unordered_map>
#include <vector>

namespace hubgate::pickle {

using Word = std::uint64_t;

enum class Tag : std::uint8_t {
  unknown,
  none,
  yes,
  no,
  integer,
  floating,
  text,
  bytes,
  kept_text, ///< a short text, copied: `payload` indexes the machine's texts
  buffer,
  // From here on words that may hide more than plain data: bit 4 is set.
  tuple = 16,
  list,
  dict,
  set,
  global, ///< `aux` is the name's index, `payload` the offset of the opcode
  object, ///< `aux` is the callee's name index, `payload` a heap position
  persistent,
};

inline constexpr Word k_not_plain = 16;
inline constexpr std::uint32_t k_max_aux = (1u << 19) - 1;

constexpr Word make_word(Tag tag, std::uint64_t payload = 0, std::uint32_t aux = 0) {
  return static_cast<Word>(tag) | (Word{aux} << 5) | (payload << 24);
}
constexpr Tag tag_of(Word w) {
  return static_cast<Tag>(w & 31);
}
constexpr std::uint64_t payload_of(Word w) {
  return w >> 24;
}
constexpr std::uint32_t aux_of(Word w) {
  return static_cast<std::uint32_t>(w >> 5) & k_max_aux;
}

/// What lies somewhere inside a container.
using Flags = std::uint8_t;
inline constexpr Flags k_has_global = 1;     ///< a class or function
inline constexpr Flags k_has_bad_global = 2; ///< one that is not allowed
inline constexpr Flags k_has_object = 4;
inline constexpr Flags k_has_unknown = 8; ///< something that the machine lost

class Heap {
public:
  static constexpr std::uint32_t k_kept = 64; ///< elements that a container keeps
  static constexpr std::uint32_t k_max_count = (1u << 24) - 1;

  void reset() {
    head_ = k_block;
    aged_.clear();
    forgot_ = 0;
  }

  /// The first word of what lies at `at` is its header: flags 8, count 24, weight 32 (float bits).
  bool alive(std::uint64_t at) const { return at + k_size - k_block > head_ && at < head_; }

  Word* at(std::uint64_t position) { return ring_.get() + (position & (k_size - 1)); }
  const Word* at(std::uint64_t position) const { return ring_.get() + (position & (k_size - 1)); }

  /// `n` <= k_block contiguous words.
  std::uint64_t allocate(std::uint32_t n) {
    if (ring_ == nullptr) ring_ = std::make_unique_for_overwrite<Word[]>(k_size);
    const std::uint64_t used = head_ & (k_size - 1);
    if (used + n > k_size) head_ += k_size - used;
    const std::uint64_t position = head_;
    head_ += n;
    return position;
  }

  /// The heap for a loop that makes nothing but what aged plainly: its end stays in a register.
  class Tip {
  public:
    explicit Tip(Heap& heap) : heap_(heap) {
      if (heap.ring_ == nullptr) heap.ring_ = std::make_unique_for_overwrite<Word[]>(k_size);
      ring_ = heap.ring_.get();
      head_ = heap.head_;
      forgets_ = heap.aged_.empty() && heap.forgot_ == 0;
    }
    ~Tip() { heap_.head_ = head_; }
    Tip(const Tip&) = delete;
    Tip& operator=(const Tip&) = delete;

    /// Where `n` <= k_block contiguous words would go; they are kept by keep(their end).
    std::uint64_t place(std::uint32_t n) const {
      const std::uint64_t used = head_ & (k_size - 1);
      return used + n > k_size ? head_ + k_size - used : head_;
    }
    void keep(std::uint64_t end) { head_ = end; }
    Word* at(std::uint64_t position) const { return ring_ + (position & (k_size - 1)); }
    /// Adds the weight of a container; false when something in it is not plain, or may not be.
    bool add_plain(std::uint64_t position, float& weight) const {
      if (position + k_size - k_block <= head_ || position >= head_) return forgets_;
      const Word header = ring_[position & (k_size - 1)];
      weight += Heap::weight(header);
      return Heap::flags(header) == 0;
    }

  private:
    Heap& heap_;
    Word* ring_;
    std::uint64_t head_;
    bool forgets_; ///< what aged out was plain, all of it
  };

  static Word header(Flags flags, std::uint64_t count, float weight) {
    return flags | (std::min<std::uint64_t>(count, k_max_count) << 8) |
           (Word{std::bit_cast<std::uint32_t>(weight)} << 32);
  }
  static Flags flags(Word header) { return static_cast<Flags>(header & 0xff); }
  static std::uint32_t count(Word header) {
    return static_cast<std::uint32_t>(header >> 8) & k_max_count;
  }
  static float weight(Word header) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(header >> 32));
  }

  /// Flags of something that may have aged out. Only what is not plain is remembered then.
  Flags flags_at(std::uint64_t position) const {
    if (alive(position)) return flags(*at(position));
    if (aged_.empty()) return forgot_;
    const auto found = aged_.find(position);
    return static_cast<Flags>(forgot_ | (found == aged_.end() ? 0 : found->second));
  }
  void taint(std::uint64_t position, Flags more) {
    if (more == 0) return;
    if (alive(position)) *at(position) |= more;
    if (const auto found = aged_.find(position); found != aged_.end()) {
      found->second |= more;
    } else if (aged_.size() < k_max_aged) {
      aged_.emplace(position, more);
    } else {
      forgot_ |= more;
    }
  }

  // A list, dict, set or object has an "items" word: block position 40, capacity 12, kept 12.
  static std::uint64_t items_block(Word items) { return items >> 24; }
  static std::uint32_t items_capacity(Word items) {
    return static_cast<std::uint32_t>(items >> 12) & 0xfff;
  }
  static std::uint32_t items_kept(Word items) { return static_cast<std::uint32_t>(items) & 0xfff; }

  /// Adds up to `n` words behind what the items word at `slot` keeps already.
  void keep_items(std::uint64_t slot, const Word* words, std::size_t n) {
    Word items = *at(slot);
    std::uint32_t kept = items_kept(items);
    if (kept >= k_kept) return;
    const auto more = static_cast<std::uint32_t>(std::min<std::size_t>(n, k_kept - kept));
    std::uint64_t block = items_block(items);
    std::uint32_t capacity = items_capacity(items);
    if (kept != 0 && !alive(block)) return;
    if (kept + more > capacity) {
      capacity = std::min(k_kept, std::max(kept + more, capacity * 2));
      const std::uint64_t fresh = allocate(capacity);
      // The old block may have aged out by this very allocation.
      const std::uint32_t copy = alive(block) ? kept : 0;
      for (std::uint32_t i = 0; i < copy; ++i)
        at(fresh)[i] = at(block)[i];
      kept = copy;
      block = fresh;
    }
    for (std::uint32_t i = 0; i < more; ++i)
      at(block)[kept + i] = words[i];
    *at(slot) = (block << 24) | (Word{capacity} << 12) | (kept + more);
  }

private:
  static constexpr std::uint64_t k_size = std::uint64_t{1} << 18; ///< words: 2 MiB
  static constexpr std::uint64_t k_block = 128;
  static constexpr std::size_t k_max_aged = 1 << 16;

  std::unique_ptr<Word[]> ring_;
  std::uint64_t head_ = k_block;
  std::unordered_map<std::uint64_t, Flags> aged_;
  Flags forgot_ = 0;
};

/// The memo: dense for what picklers write (0, 1, 2, …), sparse for the rest, bounded in both.
class Memo {
public:
  /// False when the bound was met and the value was not kept.
  bool put(std::uint64_t index, Word value) {
    if (index < dense_size_) {
      Word& slot = chunks_[index >> k_chunk_bits][index & (k_chunk - 1)];
      if (slot == k_unset) ++used_;
      slot = value;
      return true;
    }
    // A gap of less than what is there is filled; anything farther is sparse.
    if (index < 2 * dense_size_ + 64 && index < k_max_dense) {
      while (dense_size_ <= index)
        append_dense(k_unset);
      chunks_[index >> k_chunk_bits][index & (k_chunk - 1)] = value;
      ++used_;
      return true;
    }
    if (sparse_.size() >= k_max_sparse && !sparse_.contains(index)) {
      ++used_;
      lossy_ = true;
      return false;
    }
    if (sparse_.insert_or_assign(index, value).second) ++used_;
    return true;
  }

  /// MEMOIZE: the next index is how many there are.
  [[gnu::always_inline]] bool append(Word value) {
    if (used_ == dense_size_ && used_ < k_max_dense) {
      append_dense(value);
      ++used_;
      return true;
    }
    return put(used_, value);
  }

  /// k_unset when nothing is there.
  Word get(std::uint64_t index) const {
    if (index < dense_size_) return chunks_[index >> k_chunk_bits][index & (k_chunk - 1)];
    const auto found = sparse_.find(index);
    return found == sparse_.end() ? k_unset : found->second;
  }

  /// The memo for a loop of MEMOIZE and GET: where it ends stays in registers.
  class Tip {
  public:
    explicit Tip(Memo& memo) : memo_(memo), begin_(memo.dense_size_) {
      const std::uint64_t in_chunk = begin_ & (k_chunk - 1);
      if (memo.used_ != begin_ || in_chunk == 0) return;
      slot_ = first_ = memo.tail_ + in_chunk;
      end_ = memo.tail_ + k_chunk;
    }
    ~Tip() { memo_.used_ += added(), memo_.dense_size_ += added(); }
    Tip(const Tip&) = delete;
    Tip& operator=(const Tip&) = delete;

    /// False when Memo::append() has to do it.
    bool append(Word value) {
      if (slot_ == end_) return false;
      *slot_++ = value;
      return true;
    }
    /// PUT of the next index, as picklers number them; false when Memo::put() has to do it.
    bool put(std::uint64_t index, Word value) { return index == begin_ + added() && append(value); }
    /// k_unset when nothing is there or Memo::get() has to find it.
    Word get(std::uint64_t index) const {
      if (index >= begin_ + added()) return k_unset;
      return memo_.chunks_[index >> k_chunk_bits][index & (k_chunk - 1)];
    }

  private:
    std::uint64_t added() const { return static_cast<std::uint64_t>(slot_ - first_); }

    Memo& memo_;
    std::uint64_t begin_;
    Word* slot_ = nullptr; ///< the next; all null when the next index is none of the tail
    Word* first_ = nullptr;
    Word* end_ = nullptr;
  };

  bool lossy() const { return lossy_; }
  void reset() {
    dense_size_ = used_ = 0;
    tail_ = nullptr;
    sparse_.clear();
    lossy_ = false;
  }

  static constexpr Word k_unset = ~Word{0};

private:
  static constexpr unsigned k_chunk_bits = 14;
  static constexpr std::uint64_t k_chunk = std::uint64_t{1} << k_chunk_bits; ///< 128 KiB
  static constexpr std::uint64_t k_max_dense = std::uint64_t{24} << 20;      ///< 192 MiB
  static constexpr std::size_t k_max_sparse = 1 << 20;

  [[gnu::always_inline]] void append_dense(Word value) {
    const std::uint64_t in_chunk = dense_size_ & (k_chunk - 1);
    if (in_chunk == 0) [[unlikely]]
      next_chunk();
    tail_[in_chunk] = value;
    ++dense_size_;
  }
  void next_chunk();

  struct Free {
    void operator()(Word* words) const { std::free(words); }
  };
  std::unique_ptr<Word*[]> chunks_;
  /// What the chunks lie in: one chunk each at first, then as many as fill a huge page.
  std::vector<std::unique_ptr<Word, Free>> blocks_;
  std::uint64_t dense_size_ = 0;
  std::uint64_t used_ = 0;
  Word* tail_ = nullptr;
  std::unordered_map<std::uint64_t, Word> sparse_;
  bool lossy_ = false;
};

} // namespace hubgate::pickle
