#pragma once
// Entities: how large the text of a document becomes when its internal entities are expanded,
// computed without expanding one. XML 1.0, 4.4.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace hubgate::xml {

class Entities {
public:
  struct Bomb {
    std::uint64_t offset;
    std::string evidence;
  };

  /// `value` is the declared text, `offset` where the declaration stands. The first one counts.
  void declare(const std::string& name, std::string_view value, std::uint64_t offset);

  /// `uses`: how often the document refers to each; `size`: its own bytes. Nothing when what it
  /// becomes is no more than what honest documents become.
  std::optional<Bomb> bomb(const std::map<std::string, std::uint64_t>& uses, std::uint64_t size);

private:
  struct Entity {
    std::uint64_t own = 0;                      ///< bytes that are no reference
    std::map<std::string, std::uint64_t> parts; ///< references in it
    std::uint64_t expanded = 0;
    enum class State { untouched, open, done } state = State::untouched;
    std::uint64_t offset = 0;
  };
  std::uint64_t expand(const std::string& name, unsigned depth);

  std::map<std::string, Entity> entities_;
  bool cyclic_ = false;
};

} // namespace hubgate::xml
