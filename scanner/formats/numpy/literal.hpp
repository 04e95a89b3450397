#pragma once
// A Python literal, as ast.literal_eval would read it, without Python: dict, list, tuple, string,
// bytes, integer, True, False, None. The header of .npy is one.
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::numpy {

struct Literal {
  enum class Kind { none, boolean, integer, text, list, tuple, dict };
  Kind kind = Kind::none;
  std::uint64_t integer = 0; ///< magnitude; too large ones are refused
  bool negative = false;
  bool boolean = false;
  std::string text;           ///< of strings and bytes, escapes decoded
  std::vector<Literal> items; ///< of a dict: key, value, key, value, …
};

/// Reads one literal that fills `text` but for blanks around it. Nothing when it is anything else,
/// nested deeper than 16 or of more than 100 000 parts.
std::optional<Literal> parse_literal(std::string_view text);

} // namespace hubgate::numpy
