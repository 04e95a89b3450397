#pragma once
// A JSON document as a tree in flat arrays, duplicates of keys included: a configuration may say
// what it is behind what it holds. Bounded by nodes and bytes of text.
#include "scanner/core/json.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::keras {

inline constexpr std::size_t k_max_nodes = std::size_t{1} << 20;
inline constexpr std::uint32_t k_none = 0xffffffff;

class Tree {
public:
  enum class Kind : std::uint8_t { null, boolean, number, text, list, object };
  struct Node {
    std::uint64_t offset = 0; ///< in the document
    std::uint32_t key_begin = 0;
    std::uint32_t key_size = 0;
    std::uint32_t text_begin = 0;
    std::uint32_t text_size = 0;
    std::uint32_t first = k_none; ///< child
    std::uint32_t next = k_none;  ///< sibling
    Kind kind = Kind::null;
  };

  enum class State { complete, broken, truncated, limit };

  /// Reads the first value of [0, end) of `source`.
  static Tree read(Source& source, std::uint64_t end);

  State state() const { return state_; }
  std::uint64_t end() const { return end_; }
  std::uint64_t duplicates() const { return duplicates_; }
  std::uint64_t first_duplicate() const { return first_duplicate_; }

  std::size_t size() const { return nodes_.size(); }
  const Node& node(std::uint32_t index) const { return nodes_[index]; }
  std::string_view key(std::uint32_t index) const;
  /// Of a text, number or boolean.
  std::string_view text(std::uint32_t index) const;
  bool is(std::uint32_t index, Kind kind) const {
    return index != k_none && nodes_[index].kind == kind;
  }
  /// The last child of that key, which is what Python keeps.
  std::uint32_t get(std::uint32_t object, std::string_view key) const;
  /// Its text, or "" if it has none.
  std::string_view get_text(std::uint32_t object, std::string_view key) const;

private:
  std::vector<Node> nodes_;
  std::string pool_;
  State state_ = State::complete;
  std::uint64_t end_ = 0;
  std::uint64_t duplicates_ = 0;
  std::uint64_t first_duplicate_ = 0;
};

} // namespace hubgate::keras
