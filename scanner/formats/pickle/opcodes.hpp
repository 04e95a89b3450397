#pragma once
// Pickle opcodes, protocols 0 to 5, as CPython's Modules/_pickle.c and Lib/pickletools.py define
// them: how the argument of each is stored and what it does to the stack.
#include <array>
#include <cstdint>

namespace hubgate::pickle {

/// How an opcode's argument lies behind it.
enum class Arg : std::uint8_t {
  invalid, ///< no such opcode
  none,
  fixed,  ///< `size` bytes
  data1,  ///< one byte of length, then that many bytes
  data4,  ///< four bytes of length, little-endian, unsigned
  data4s, ///< the same, negative is an error
  data8,  ///< eight bytes of length
  line,   ///< up to a newline
  lines,  ///< two lines
};

struct Opcode {
  Arg arg = Arg::invalid;
  std::uint8_t size = 0;     ///< of Arg::fixed
  std::uint8_t needs = 0;    ///< items that must be on the stack (above the last mark)
  std::uint8_t pushes = 0;   ///< items on the stack afterwards, in their place
  bool to_mark = false;      ///< takes everything down to the last mark as well
  std::uint8_t protocol = 0; ///< the first that has it
};

constexpr std::array<Opcode, 256> make_opcodes() {
  std::array<Opcode, 256> t{};
  const auto put = [&](std::uint8_t c, Arg arg, std::uint8_t size, std::uint8_t needs,
                       std::uint8_t pushes, bool to_mark, std::uint8_t protocol) {
    t[c] = {arg, size, needs, pushes, to_mark, protocol};
  };
  using enum Arg;
  put('(', none, 0, 0, 0, false, 0);    // MARK
  put('.', none, 0, 1, 0, false, 0);    // STOP
  put('0', none, 0, 0, 0, false, 0);    // POP: also takes a mark, handled apart
  put('1', none, 0, 0, 0, true, 1);     // POP_MARK
  put('2', none, 0, 1, 2, false, 0);    // DUP
  put('F', line, 0, 0, 1, false, 0);    // FLOAT
  put('I', line, 0, 0, 1, false, 0);    // INT
  put('J', fixed, 4, 0, 1, false, 1);   // BININT
  put('K', fixed, 1, 0, 1, false, 1);   // BININT1
  put('L', line, 0, 0, 1, false, 0);    // LONG
  put('M', fixed, 2, 0, 1, false, 1);   // BININT2
  put('N', none, 0, 0, 1, false, 0);    // NONE
  put('P', line, 0, 0, 1, false, 0);    // PERSID
  put('Q', none, 0, 1, 1, false, 1);    // BINPERSID
  put('R', none, 0, 2, 1, false, 0);    // REDUCE
  put('S', line, 0, 0, 1, false, 0);    // STRING
  put('T', data4s, 0, 0, 1, false, 1);  // BINSTRING
  put('U', data1, 0, 0, 1, false, 1);   // SHORT_BINSTRING
  put('V', line, 0, 0, 1, false, 0);    // UNICODE
  put('X', data4, 0, 0, 1, false, 1);   // BINUNICODE
  put('a', none, 0, 2, 1, false, 0);    // APPEND
  put('b', none, 0, 2, 1, false, 0);    // BUILD
  put('c', lines, 0, 0, 1, false, 0);   // GLOBAL
  put('d', none, 0, 0, 1, true, 0);     // DICT
  put('}', none, 0, 0, 1, false, 1);    // EMPTY_DICT
  put('e', none, 0, 1, 1, true, 1);     // APPENDS
  put('g', line, 0, 0, 1, false, 0);    // GET
  put('h', fixed, 1, 0, 1, false, 1);   // BINGET
  put('i', lines, 0, 0, 1, true, 0);    // INST
  put('j', fixed, 4, 0, 1, false, 1);   // LONG_BINGET
  put('l', none, 0, 0, 1, true, 0);     // LIST
  put(']', none, 0, 0, 1, false, 1);    // EMPTY_LIST
  put('o', none, 0, 0, 1, true, 1);     // OBJ
  put('p', line, 0, 1, 1, false, 0);    // PUT
  put('q', fixed, 1, 1, 1, false, 1);   // BINPUT
  put('r', fixed, 4, 1, 1, false, 1);   // LONG_BINPUT
  put('s', none, 0, 3, 1, false, 0);    // SETITEM
  put('t', none, 0, 0, 1, true, 0);     // TUPLE
  put(')', none, 0, 0, 1, false, 1);    // EMPTY_TUPLE
  put('u', none, 0, 1, 1, true, 1);     // SETITEMS
  put('G', fixed, 8, 0, 1, false, 1);   // BINFLOAT
  put(0x80, fixed, 1, 0, 0, false, 2);  // PROTO
  put(0x81, none, 0, 2, 1, false, 2);   // NEWOBJ
  put(0x82, fixed, 1, 0, 1, false, 2);  // EXT1
  put(0x83, fixed, 2, 0, 1, false, 2);  // EXT2
  put(0x84, fixed, 4, 0, 1, false, 2);  // EXT4
  put(0x85, none, 0, 1, 1, false, 2);   // TUPLE1
  put(0x86, none, 0, 2, 1, false, 2);   // TUPLE2
  put(0x87, none, 0, 3, 1, false, 2);   // TUPLE3
  put(0x88, none, 0, 0, 1, false, 2);   // NEWTRUE
  put(0x89, none, 0, 0, 1, false, 2);   // NEWFALSE
  put(0x8a, data1, 0, 0, 1, false, 2);  // LONG1
  put(0x8b, data4s, 0, 0, 1, false, 2); // LONG4
  put('B', data4, 0, 0, 1, false, 3);   // BINBYTES
  put('C', data1, 0, 0, 1, false, 3);   // SHORT_BINBYTES
  put(0x8c, data1, 0, 0, 1, false, 4);  // SHORT_BINUNICODE
  put(0x8d, data8, 0, 0, 1, false, 4);  // BINUNICODE8
  put(0x8e, data8, 0, 0, 1, false, 4);  // BINBYTES8
  put(0x8f, none, 0, 0, 1, false, 4);   // EMPTY_SET
  put(0x90, none, 0, 1, 1, true, 4);    // ADDITEMS
  put(0x91, none, 0, 0, 1, true, 4);    // FROZENSET
  put(0x92, none, 0, 3, 1, false, 4);   // NEWOBJ_EX
  put(0x93, none, 0, 2, 1, false, 4);   // STACK_GLOBAL
  put(0x94, none, 0, 1, 1, false, 4);   // MEMOIZE
  put(0x95, fixed, 8, 0, 0, false, 4);  // FRAME
  put(0x96, data8, 0, 0, 1, false, 5);  // BYTEARRAY8
  put(0x97, none, 0, 0, 1, false, 5);   // NEXT_BUFFER
  put(0x98, none, 0, 1, 1, false, 5);   // READONLY_BUFFER
  return t;
}

inline constexpr std::array<Opcode, 256> k_opcodes = make_opcodes();

} // namespace hubgate::pickle
