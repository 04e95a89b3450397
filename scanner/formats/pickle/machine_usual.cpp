// The fastest path: the opcodes that nearly every pickle is made of.
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

namespace hubgate::pickle {

#define HUBGATE_INLINE __attribute__((always_inline))

// What most of a pickle is made of, in a function small enough to stay in registers. It takes an
// opcode only where nothing is wrong with it and nothing has to be said: run_window() knows them
// all.
[[gnu::noinline]] Machine::Place Machine::run_usual(Place at, const std::uint8_t* end,
                                                    std::uint64_t offset_of_null) {
  constexpr std::ptrdiff_t k_longest = 5;
  const std::uint8_t* p = at.p;
  Word* sp = at.sp;
  Word* fence = at.fence;
  Word* const bottom = stack_.get();
  const auto literal = [&](Tag tag) HUBGATE_INLINE {
    return make_word(tag, offset_of_null + reinterpret_cast<std::uintptr_t>(p));
  };
  const auto pop_mark = [&]() HUBGATE_INLINE {
    Word* const mark = fence;
    --mark_count_;
    fence = bottom + (mark_count_ == 0 ? 0 : marks_[mark_count_ - 1]);
    return mark;
  };
  while (end - p >= k_longest) {
    const std::uint8_t code = *p;
    std::size_t length = 1;
    switch (code) {
    case 'N':
      *sp++ = make_word(Tag::none);
      break;
    case 0x88:
      *sp++ = make_word(Tag::yes);
      break;
    case 0x89:
      *sp++ = make_word(Tag::no);
      break;
    case 'K':
      *sp++ = literal(Tag::integer);
      length = 2;
      break;
    case 'M':
      *sp++ = literal(Tag::integer);
      length = 3;
      break;
    case 'J':
      *sp++ = literal(Tag::integer);
      length = 5;
      break;
    case 0x8c: // SHORT_BINUNICODE: too short to hide anything, and not to be kept
      length = 2 + std::size_t{p[1]};
      if (p[1] >= k_shortest_hidden || length > static_cast<std::size_t>(end - p) ||
          texts_.size() < k_max_texts)
        return {p, sp, fence};
      *sp++ = literal(Tag::text);
      break;
    case 0x94: // MEMOIZE
      if (sp == fence) return {p, sp, fence};
      memo_.append(sp[-1]);
      break;
    case 'h':   // BINGET
    case 'j': { // LONG_BINGET
      const Word value = memo_.get(code == 'h' ? p[1] : little(p + 1, 4));
      if (value == Memo::k_unset) return {p, sp, fence};
      *sp++ = value;
      length = code == 'h' ? 2 : 5;
      break;
    }
    case 0x85:   // TUPLE1
    case 0x86:   // TUPLE2
    case 0x87: { // TUPLE3
      const std::ptrdiff_t n = code - 0x84;
      if (sp - fence < n) return {p, sp, fence};
      sp -= n;
      *sp = make_tuple(sp, static_cast<std::size_t>(n));
      ++sp;
      break;
    }
    case '(': // MARK
      marks_[mark_count_++] = static_cast<std::uint64_t>(sp - bottom);
      fence = sp;
      break;
    case 't': { // TUPLE
      if (mark_count_ == 0) return {p, sp, fence};
      Word* const mark = pop_mark();
      *mark = make_tuple(mark, static_cast<std::size_t>(sp - mark));
      sp = mark + 1;
      break;
    }
    default:
      return {p, sp, fence};
    }
    seen_[code] = 1;
    p += length;
  }
  return {p, sp, fence};
}

} // namespace hubgate::pickle
