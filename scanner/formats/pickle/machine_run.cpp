// The fast path: opcodes that lie whole in the window. Everything rare leaves through a call.
#include "scanner/formats/pickle/machine.hpp"
#include "scanner/formats/pickle/walk.hpp"

#include <algorithm>
#include <cstring>

namespace hubgate::pickle {
namespace {

#define HUBGATE_INLINE __attribute__((always_inline))

/// Literals from this length on are looked at for something nested.
constexpr std::uint64_t k_long_literal = 20;

} // namespace

// Invariant: the stack has room for one push a byte of the window (grow_stack), so pushes are not
// checked. `sp` points behind the top, `fence` to the lowest item above the last mark.
template <bool k_trace> Machine::Step Machine::run_window(Bytes window) {
  const std::uint8_t* const first = window.data();
  const std::uint8_t* const end = first + window.size();
  const std::uint64_t base = position_;
  const std::uint8_t* p = first;
  const std::uint8_t* op = p;
  Word* const bottom = stack_.get();
  Word* sp = bottom + stack_size_;
  Word* fence = bottom + (mark_count_ == 0 ? 0 : marks_[mark_count_ - 1]);

  // Inlined by force: a lambda that is called would keep p and sp in memory.
  const auto offset = [&]()
                          HUBGATE_INLINE { return base + static_cast<std::uint64_t>(op - first); };
  const auto literal = [&](Tag tag) HUBGATE_INLINE { return make_word(tag, offset()); };
  const auto here = [&]()
                        HUBGATE_INLINE { return At{offset(), static_cast<std::uint64_t>(p - op)}; };
  const auto save = [&]() HUBGATE_INLINE {
    position_ = base + static_cast<std::uint64_t>(p - first);
    stack_size_ = static_cast<std::size_t>(sp - bottom);
    touched_ = false;
  };
  const auto pop_mark = [&]() HUBGATE_INLINE {
    Word* const at = fence;
    --mark_count_;
    fence = bottom + (mark_count_ == 0 ? 0 : marks_[mark_count_ - 1]);
    return at;
  };
  const auto recall = [&](std::uint64_t index) HUBGATE_INLINE {
    const Word value = memo_.get(index);
    return value == Memo::k_unset ? unset_slot(index, here()) : value;
  };
  const auto line = [end](const std::uint8_t* from) {
    return static_cast<const std::uint8_t*>(
        std::memchr(from, '\n', static_cast<std::size_t>(end - from)));
  };

#define HUBGATE_NEED(n)                                                                            \
  if (static_cast<std::uint64_t>(end - p) < static_cast<std::uint64_t>(n)) goto need
#define HUBGATE_STACK(n)                                                                           \
  if (sp - fence < (n)) goto underflow
#define HUBGATE_MARK()                                                                             \
  if (mark_count_ == 0) goto no_mark
// A slow operation ran; it may have read the source, which makes the window stale.
#define HUBGATE_AFTER_SLOW()                                                                       \
  if (touched_) {                                                                                  \
    if constexpr (k_trace) trace();                                                                \
    return Step::more;                                                                             \
  }

  for (;;) {
    if constexpr (!k_trace) {
      const Place at =
          run_usual({p, sp, fence}, end, base - reinterpret_cast<std::uintptr_t>(first));
      p = at.p;
      sp = at.sp;
      fence = at.fence;
    }
    op = p;
    if (p == end) break;
    const std::uint8_t code = *p++;
    seen_[code] = 1;
    if constexpr (k_trace) {
      // Whole opcodes only: what does not fit is run again with a window of its own.
      pending_trace_ = offset();
      pending_code_ = code;
    }
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
      HUBGATE_NEED(1);
      *sp++ = literal(Tag::integer);
      p += 1;
      break;
    case 'M':
      HUBGATE_NEED(2);
      *sp++ = literal(Tag::integer);
      p += 2;
      break;
    case 'J':
      HUBGATE_NEED(4);
      *sp++ = literal(Tag::integer);
      p += 4;
      break;
    case 'G':
      HUBGATE_NEED(8);
      *sp++ = literal(Tag::floating);
      p += 8;
      break;
    case 0x8a: { // LONG1
      HUBGATE_NEED(1);
      const std::size_t n = p[0];
      HUBGATE_NEED(1 + n);
      *sp++ = literal(Tag::integer);
      p += 1 + n;
      break;
    }
    case 0x8c:  // SHORT_BINUNICODE
    case 'U':   // SHORT_BINSTRING
    case 'C': { // SHORT_BINBYTES
      HUBGATE_NEED(1);
      const std::size_t n = p[0];
      HUBGATE_NEED(1 + n);
      const std::uint8_t* const data = p + 1;
      p = data + n;
      if (code == 'C') {
        *sp++ = literal(Tag::bytes);
      } else if (n <= k_short_text && texts_.size() < k_max_texts && !may_hide(data, n)) {
        *sp++ = keep_text(data, n);
        break;
      } else {
        *sp++ = literal(Tag::text);
        names_target_ = names_target_ || is_target(data, n);
      }
      if (n >= k_long_literal) goto long_literal;
      break;
    }
    case 'X':    // BINUNICODE
    case 'B':    // BINBYTES
    case 'T':    // BINSTRING
    case 0x8b: { // LONG4
      HUBGATE_NEED(4);
      const std::uint64_t n = little(p, 4);
      if ((code == 'T' || code == 0x8b) && n > 0x7fffffff) goto negative;
      HUBGATE_NEED(4 + n);
      const std::uint8_t* const data = p + 4;
      p = data + n;
      if (code == 'X' && n <= k_short_text && texts_.size() < k_max_texts &&
          !may_hide(data, static_cast<std::size_t>(n))) {
        *sp++ = keep_text(data, static_cast<std::size_t>(n));
        break;
      }
      *sp++ = literal(code == 'B' ? Tag::bytes : code == 0x8b ? Tag::integer : Tag::text);
      names_target_ = names_target_ || is_target(data, static_cast<std::size_t>(n));
      if (n >= k_long_literal) goto long_literal;
      break;
    }
    case 0x8d:   // BINUNICODE8
    case 0x8e:   // BINBYTES8
    case 0x96: { // BYTEARRAY8
      HUBGATE_NEED(8);
      const std::uint64_t n = little(p, 8);
      // Compared before it is added to: a length near 2^64 must not wrap.
      if (n > static_cast<std::uint64_t>(end - p - 8)) goto need;
      p += 8 + n;
      *sp++ = literal(code == 0x8d ? Tag::text : Tag::bytes);
      names_target_ = names_target_ || is_target(p - n, static_cast<std::size_t>(n));
      if (n >= k_long_literal) goto long_literal;
      break;
    }
    case 0x94: // MEMOIZE
      HUBGATE_STACK(1);
      memo_.append(sp[-1]);
      break;
    case 'q': // BINPUT
      HUBGATE_STACK(1);
      HUBGATE_NEED(1);
      memo_.put(p[0], sp[-1]);
      p += 1;
      break;
    case 'r': { // LONG_BINPUT
      HUBGATE_STACK(1);
      HUBGATE_NEED(4);
      const std::uint64_t index = little(p, 4);
      p += 4;
      memo_.put(index, sp[-1]);
      if (index > k_absurd_index) find(R::memo_slot, here(), "PUT " + std::to_string(index));
      break;
    }
    case 'h': // BINGET
      HUBGATE_NEED(1);
      p += 1;
      *sp++ = recall(p[-1]);
      break;
    case 'j': // LONG_BINGET
      HUBGATE_NEED(4);
      p += 4;
      *sp++ = recall(little(p - 4, 4));
      break;
    case ')':
    case 0x85:
    case 0x86:
    case 0x87: {
      const std::size_t n = code == ')' ? 0 : code - 0x84u;
      HUBGATE_STACK(static_cast<std::ptrdiff_t>(n));
      sp -= n;
      *sp = make_tuple(sp, n);
      ++sp;
      break;
    }
    case ']':
      *sp++ = make_container(Tag::list);
      break;
    case '}':
      *sp++ = make_container(Tag::dict);
      break;
    case 0x8f:
      *sp++ = make_container(Tag::set);
      break;
    case '(': // MARK
      marks_[mark_count_++] = static_cast<std::uint64_t>(sp - bottom);
      fence = sp;
      break;
    case 't': { // TUPLE
      HUBGATE_MARK();
      Word* const at = pop_mark();
      *at = make_tuple(at, static_cast<std::size_t>(sp - at));
      sp = at + 1;
      break;
    }
    case 'l':    // LIST
    case 'd':    // DICT
    case 0x91: { // FROZENSET
      HUBGATE_MARK();
      Word* const at = pop_mark();
      const auto n = static_cast<std::size_t>(sp - at);
      if (code == 'd' && n % 2 != 0) goto odd;
      const Word made = make_container(code == 'd'   ? Tag::dict
                                       : code == 'l' ? Tag::list
                                                     : Tag::set);
      extend(made, at, n, code == 'd' ? n / 2 : n);
      *at = made;
      sp = at + 1;
      break;
    }
    case 'e':    // APPENDS
    case 'u':    // SETITEMS
    case 0x90: { // ADDITEMS
      HUBGATE_MARK();
      Word* const at = pop_mark();
      const auto n = static_cast<std::size_t>(sp - at);
      sp = at;
      if (sp - fence < 1) goto underflow;
      if (code == 'u' && n % 2 != 0) goto odd;
      const Word target = sp[-1];
      const Tag natural = code == 'e' ? Tag::list : code == 'u' ? Tag::dict : Tag::set;
      if (tag_of(target) != natural) {
        save();
        check_item_target(target, here(), code == 'u');
        if (program_) show_items(target, at, n, code == 'u');
        if (tag_of(target) < Tag::list || tag_of(target) == Tag::global ||
            tag_of(target) == Tag::persistent) {
          HUBGATE_AFTER_SLOW();
          break;
        }
        extend(target, at, n, code == 'u' ? n / 2 : n);
        HUBGATE_AFTER_SLOW();
        break;
      }
      extend(target, at, n, code == 'u' ? n / 2 : n);
      break;
    }
    case 'a':   // APPEND
    case 's': { // SETITEM
      const std::ptrdiff_t n = code == 'a' ? 1 : 2;
      HUBGATE_STACK(n + 1);
      sp -= n;
      const Word target = sp[-1];
      const bool natural = tag_of(target) == (code == 'a' ? Tag::list : Tag::dict);
      if (!natural) {
        save();
        check_item_target(target, here(), code == 's');
        if (program_) show_items(target, sp, static_cast<std::size_t>(n), code == 's');
      }
      if (natural || tag_of(target) == Tag::object || tag_of(target) == Tag::list ||
          tag_of(target) == Tag::dict || tag_of(target) == Tag::set)
        extend(target, sp, static_cast<std::size_t>(n), 1);
      if (!natural) HUBGATE_AFTER_SLOW();
      break;
    }
    case '0': // POP: takes the mark when nothing lies above it
      if (mark_count_ != 0 && sp == fence) {
        pop_mark();
      } else {
        HUBGATE_STACK(1);
        --sp;
      }
      break;
    case '1': // POP_MARK
      HUBGATE_MARK();
      sp = pop_mark();
      break;
    case '2': // DUP
      HUBGATE_STACK(1);
      *sp = sp[-1];
      ++sp;
      break;
    case '.': // STOP
      HUBGATE_STACK(1);
      result_ = *--sp;
      save();
      if constexpr (k_trace) trace();
      return Step::stop;
    case 0x80: // PROTO
      HUBGATE_NEED(1);
      protocol_byte(p[0], offset());
      p += 1;
      break;
    case 0x95: { // FRAME
      HUBGATE_NEED(8);
      const std::uint64_t length = little(p, 8);
      p += 8;
      save();
      if (!enter_frame(length, here())) return Step::fail;
      if constexpr (k_trace) trace();
      return Step::more; // the window is cut at the frame's end
    }
    case 'I':
    case 'L':
    case 'F': {
      const std::uint8_t* const stop = line(p);
      if (stop == nullptr) goto need;
      const std::string_view text(reinterpret_cast<const char*>(p),
                                  static_cast<std::size_t>(stop - p));
      p = stop + 1;
      const bool boolean = code == 'I' && text.size() == 2 && text[0] == '0';
      if (boolean && (text[1] == '0' || text[1] == '1')) {
        *sp++ = make_word(text[1] == '1' ? Tag::yes : Tag::no);
      } else {
        *sp++ = literal(code == 'F' ? Tag::floating : Tag::integer);
        save();
        if (!check_number(code, text, here())) return Step::fail;
        HUBGATE_AFTER_SLOW();
      }
      break;
    }
    case 'S':
    case 'V': {
      const std::uint8_t* const stop = line(p);
      if (stop == nullptr) goto need;
      const std::string_view text(reinterpret_cast<const char*>(p),
                                  static_cast<std::size_t>(stop - p));
      p = stop + 1;
      if (code == 'S' && !is_quoted(text)) {
        save();
        return fail("a STRING without quotes");
      }
      *sp++ = literal(Tag::text);
      if (text == k_target || text == "'_target_'") names_target_ = true;
      if (text.size() >= k_long_literal) goto long_literal;
      break;
    }
    case 'p':
    case 'g': {
      const std::uint8_t* const stop = line(p);
      if (stop == nullptr) goto need;
      const std::string_view text(reinterpret_cast<const char*>(p),
                                  static_cast<std::size_t>(stop - p));
      std::uint64_t index = 0;
      if (code == 'p') HUBGATE_STACK(1);
      p = stop + 1;
      save();
      if (!memo_line(text, index)) return fail("a memo index that is no number");
      if (code == 'p') {
        memo_.put(index, sp[-1]);
        if (index > k_absurd_index) find(R::memo_slot, here(), "PUT " + std::string(text));
      } else {
        *sp++ = recall(index);
      }
      break;
    }
    case 'c': {
      const std::uint8_t* const one = line(p);
      const std::uint8_t* const two = one == nullptr ? nullptr : line(one + 1);
      if (two == nullptr) goto need;
      const std::string_view module(reinterpret_cast<const char*>(p),
                                    static_cast<std::size_t>(one - p));
      const std::string_view name(reinterpret_cast<const char*>(one + 1),
                                  static_cast<std::size_t>(two - one - 1));
      p = two + 1;
      save();
      *sp++ = import(module, name, here());
      stack_size_ = static_cast<std::size_t>(sp - bottom);
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 'i': { // INST
      HUBGATE_MARK();
      const std::uint8_t* const one = line(p);
      const std::uint8_t* const two = one == nullptr ? nullptr : line(one + 1);
      if (two == nullptr) goto need;
      const std::string_view module(reinterpret_cast<const char*>(p),
                                    static_cast<std::size_t>(one - p));
      const std::string_view name(reinterpret_cast<const char*>(one + 1),
                                  static_cast<std::size_t>(two - one - 1));
      p = two + 1;
      Word* const at = pop_mark();
      const Word args = make_tuple(at, static_cast<std::size_t>(sp - at));
      sp = at;
      save();
      const Word callee = import(module, name, here());
      *sp++ = call(callee, args, 0, How::inst, here());
      ++stack_size_;
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 'o': { // OBJ
      HUBGATE_MARK();
      if (sp == fence) goto underflow;
      Word* const at = pop_mark();
      const Word args = make_tuple(at + 1, static_cast<std::size_t>(sp - at - 1));
      const Word callee = *at;
      sp = at;
      save();
      *sp++ = call(callee, args, 0, How::obj, here());
      ++stack_size_;
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 'R':    // REDUCE
    case 0x81:   // NEWOBJ
    case 0x92: { // NEWOBJ_EX
      const std::ptrdiff_t n = code == 0x92 ? 3 : 2;
      HUBGATE_STACK(n);
      sp -= n;
      const Word kwargs = code == 0x92 ? sp[2] : 0;
      save();
      *sp = call(sp[0], sp[1], kwargs,
                 code == 'R'    ? How::reduce
                 : code == 0x81 ? How::newobj
                                : How::newobj_ex,
                 here());
      ++sp;
      ++stack_size_;
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 0x93: { // STACK_GLOBAL
      HUBGATE_STACK(2);
      sp -= 2;
      save();
      *sp = stack_global(sp[0], sp[1], here());
      ++sp;
      ++stack_size_;
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 'b': { // BUILD
      HUBGATE_STACK(2);
      --sp;
      save();
      const Step step = build(sp[-1], sp[0], here());
      if (step != Step::more) return step;
      // Raw bytes that follow were skipped: the window does not begin where it did.
      if (position_ != base + static_cast<std::uint64_t>(p - first)) touched_ = true;
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 'P': { // PERSID
      const std::uint8_t* const stop = line(p);
      if (stop == nullptr) goto need;
      // CPython: "persistent IDs in protocol 0 must be ASCII strings".
      if (std::any_of(p, stop, [](std::uint8_t c) { return c >= 0x80; })) {
        p = op;
        save();
        return fail("a persistent id that is not ASCII");
      }
      p = stop + 1;
      *sp++ = literal(Tag::text);
      save();
      sp[-1] = persistent(sp[-1], here());
      HUBGATE_AFTER_SLOW();
      break;
    }
    case 'Q': // BINPERSID
      HUBGATE_STACK(1);
      save();
      sp[-1] = persistent(sp[-1], here());
      HUBGATE_AFTER_SLOW();
      break;
    case 0x82:
    case 0x83:
    case 0x84: { // EXT1, EXT2, EXT4
      const std::size_t n = std::size_t{1} << (code - 0x82);
      HUBGATE_NEED(n);
      auto number = static_cast<std::int64_t>(little(p, n));
      if (n == 4) number = static_cast<std::int32_t>(number);
      p += n;
      save();
      *sp++ = extension(number, here());
      ++stack_size_;
      break;
    }
    case 0x97: // NEXT_BUFFER
      if (!options_.buffers_supplied) find(R::out_of_band, here(), "NEXT_BUFFER");
      *sp++ = make_word(Tag::buffer);
      break;
    case 0x98: // READONLY_BUFFER
      HUBGATE_STACK(1);
      break;
    default:
      p = op;
      save();
      return fail("an opcode that does not exist");
    }
    if constexpr (k_trace) trace();
    continue;

  long_literal:
    save();
    check_long(code, here());
    HUBGATE_AFTER_SLOW();
    if constexpr (k_trace) trace();
  }
  p = op;
  save();
  return Step::more;

need:
  p = op;
  save();
  return Step::need;
underflow:
  p = op;
  save();
  return fail("an opcode takes more from the stack than there is");
no_mark:
  p = op;
  save();
  return fail("an opcode wants a mark and there is none");
odd:
  save();
  return fail("a key without a value");
negative:
  p = op;
  save();
  return fail("a negative length");

#undef HUBGATE_NEED
#undef HUBGATE_STACK
#undef HUBGATE_MARK
#undef HUBGATE_AFTER_SLOW
}

Machine::Step Machine::run_some(Bytes window) {
  return tracer_ == nullptr ? run_window<false>(window) : run_window<true>(window);
}

} // namespace hubgate::pickle
