// The fastest path: the opcodes that nearly every pickle is made of.
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

namespace hubgate::pickle {
namespace {

#define HUBGATE_INLINE __attribute__((always_inline))

constexpr std::ptrdiff_t k_longest = 9;

} // namespace

// What most of a pickle is made of, in a function small enough to stay in registers. It takes an
// opcode only where nothing is wrong with it and nothing has to be said: run_window() knows them
// all. Opcodes that differ in a constant or a length share their code, for which of them comes next
// no processor can guess.
[[gnu::noinline]] Machine::Place Machine::run_usual(Place at, const std::uint8_t* end,
                                                    std::uint64_t offset_of_null) {
  const std::uint8_t* p = at.p;
  Word* sp = at.sp;
  Word* fence = at.fence;
  Word* const bottom = stack_.get();
  std::uint16_t* const seen = seen_.data();
  std::uint64_t* const marks = marks_.get();
  std::size_t mark_count = mark_count_;
  const bool keeps_texts = texts_.size() < k_max_texts;
  Heap::Tip heap(heap_);
  Memo::Tip memo(memo_);
  const auto literal = [&](Tag tag) HUBGATE_INLINE {
    return make_word(tag, offset_of_null + reinterpret_cast<std::uintptr_t>(p));
  };
  // A tuple of the items [from, from + n) in their place; false when they are not plain.
  const auto tuple = [&](Word* from, std::size_t n) HUBGATE_INLINE {
    const auto kept = static_cast<std::uint32_t>(std::min<std::size_t>(n, Heap::k_kept));
    const std::uint64_t position = heap.place(1 + kept);
    Word* const block = heap.at(position);
    Word all = 0;
    for (std::uint32_t i = 0; i < kept; ++i)
      all |= block[1 + i] = from[i];
    for (std::size_t i = kept; i < n; ++i)
      all |= from[i];
    auto weight = static_cast<float>(static_cast<std::int64_t>(n + 1));
    if ((all & k_not_plain) != 0) {
      for (std::size_t i = 0; i < n; ++i) {
        const Word w = from[i];
        if ((w & k_not_plain) == 0) continue;
        if (tag_of(w) > Tag::set || !heap.add_plain(payload_of(w), weight)) return false;
      }
    }
    heap.keep(position + 1 + kept);
    block[0] = Heap::header(0, n, weight);
    *from = make_word(Tag::tuple, position);
    sp = from + 1;
    return true;
  };
  // What is memoized nearly always is, here, without another turn.
  const auto memoize = [&](std::size_t& length) HUBGATE_INLINE {
    if (p[length] != 0x94 || !memo.append(sp[-1])) return;
    seen[0x94] = 1;
    ++length;
  };
  while (end - p >= k_longest) {
    const std::uint8_t code = *p;
    std::size_t length = 1;
    switch (code) {
    case 'N':  // NONE
    case 0x88: // NEWTRUE
    case 0x89: // NEWFALSE
      static_assert(make_word(Tag::none) == 1 && make_word(Tag::yes) == 2 &&
                    make_word(Tag::no) == 3);
      *sp++ = code == 'N' ? 1u : code - 0x86u;
      break;
    case 'J':   // BININT
    case 'K':   // BININT1
    case 'M': { // BININT2
      constexpr std::uint32_t k_lengths = 0x3025;
      *sp++ = literal(Tag::integer);
      length = (k_lengths >> (code - 'J') * 4u) & 15;
      break;
    }
    case 'G': // BINFLOAT
      *sp++ = literal(Tag::floating);
      length = 9;
      break;
    case 0x8c: { // SHORT_BINUNICODE: too short to hide anything, and not to be kept
      const std::size_t n = p[1];
      length = 2 + n;
      // A byte behind it is read below.
      if (n >= k_shortest_hidden || length >= static_cast<std::size_t>(end - p) || keeps_texts ||
          (n == k_target.size() && is_target(p + 2, n)))
        goto leave;
      *sp++ = literal(Tag::text);
      memoize(length);
      break;
    }
    case 0x94: // MEMOIZE
      if (sp == fence || !memo.append(sp[-1])) goto leave;
      break;
    case 'q':   // BINPUT
    case 'r': { // LONG_BINPUT
      if (sp == fence || !memo.put(code == 'q' ? p[1] : little(p + 1, 4), sp[-1])) goto leave;
      length = code == 'q' ? 2 : 5;
      break;
    }
    case 'h':   // BINGET
    case 'j': { // LONG_BINGET
      const Word value = memo.get(code == 'h' ? p[1] : little(p + 1, 4));
      if (value == Memo::k_unset) goto leave;
      *sp++ = value;
      length = code == 'h' ? 2 : 5;
      break;
    }
    case 0x85:   // TUPLE1
    case 0x86:   // TUPLE2
    case 0x87: { // TUPLE3
      const std::ptrdiff_t n = code - 0x84;
      if (sp - fence < n || !tuple(sp - n, static_cast<std::size_t>(n))) goto leave;
      memoize(length);
      break;
    }
    case '(': // MARK
      marks[mark_count++] = static_cast<std::uint64_t>(sp - bottom);
      fence = sp;
      break;
    case 't': // TUPLE
      if (mark_count == 0 || !tuple(fence, static_cast<std::size_t>(sp - fence))) goto leave;
      --mark_count;
      fence = bottom + (mark_count == 0 ? 0 : marks[mark_count - 1]);
      memoize(length);
      break;
    default:
      goto leave;
    }
    seen[code] = 1;
    p += length;
  }
leave:
  mark_count_ = mark_count;
  return {p, sp, fence};
}

} // namespace hubgate::pickle
