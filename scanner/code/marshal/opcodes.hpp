#pragma once
// What the listing knows of CPython's opcodes: those that load names, call or store, by version. An
// opcode that is defined and not listed is `other`: what it does to the stack is not followed.
#include <array>
#include <cstdint>
#include <span>

namespace hubgate::marshal {

enum class Op : std::uint8_t {
  undefined,
  other,       ///< the stack is unknown behind it
  other_keeps, ///< the stack is as before, as far as a listing cares
  load_const,
  load_small_int,
  load_name,
  load_global,
  load_fast,
  load_fast_twice,
  load_deref,
  load_attr,
  load_method,
  import_name,
  import_from,
  store_name,
  store_fast,
  pop,
  duplicate,
  call_function,
  call_method,
  call_function_kw,
  call_function_ex,
  call_python2,
  call,
  call_kw,
  push_null,
  make_function,
  set_function_attribute,
  build,
  build_map,
  build_key_map,
  subscript,
  binary,
  extended_arg,
};

struct Row {
  std::uint8_t number;
  Op op;
};

struct Table {
  int version;                          ///< 306 is 3.6, 314 is 3.14
  std::span<const Row> rows;            ///< by number
  std::array<std::uint64_t, 4> defined; ///< bit i % 64 of word i / 64
};

/// Tables of all versions, oldest first.
std::span<const Table> opcode_tables();

} // namespace hubgate::marshal
