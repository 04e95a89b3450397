#pragma once
// Enumerators and the words that stand for them in reports, policies and on command lines.
#include <optional>
#include <string_view>

namespace hubgate {

/// The word for `value`; "?" if the table has none. `table`: pairs of value and word.
template <typename Table, typename Value>
std::string_view name_of(const Table& table, Value value) {
  for (const auto& [key, name]: table)
    if (key == value) return name;
  return "?";
}

/// The value that `text` stands for, if any.
template <typename Value, typename Table>
std::optional<Value> value_of(const Table& table, std::string_view text) {
  for (const auto& [key, name]: table)
    if (name == text) return key;
  return std::nullopt;
}

} // namespace hubgate
