#pragma once
// Git's configuration files as Git reads them (config.c of Git 2.39: git_parse_source, parse_value,
// get_base_var): `.gitmodules` and `.lfsconfig` are such files. Character by character, in pieces,
// up to the first thing that Git calls a bad line; memory is bounded by the longest entry kept.
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace hubgate::prose {

class GitConfigReader {
public:
  struct Entry {
    std::string_view section;    ///< lower case
    std::string_view subsection; ///< as written, "" when there is none
    std::string_view key;        ///< lower case
    std::string_view value;      ///< unquoted and unescaped
    std::uint64_t offset = 0;    ///< of the key's first character
    bool carriage = false;       ///< a carriage return stands in it, and not in a line's end
    bool cut = false;            ///< it was longer than what is kept
  };
  using Take = std::function<void(const Entry&)>;

  explicit GitConfigReader(Take take) : take_(std::move(take)) {}
  /// The next piece; after a bad line nothing is read any more.
  void feed(std::string_view piece);
  /// The file is over.
  void finish();
  /// A bad line was met.
  bool broken() const { return state_ == State::broken; }

private:
  enum class State {
    between,
    comment,
    section,
    before_subsection,
    subsection,
    subsection_escape,
    section_end,
    name,
    before_value,
    value,
    value_escape,
    value_comment,
    broken,
  };
  void step(char c);
  void value_step(char c);
  void add(std::string& to, char c);
  void end_entry();

  Take take_;
  State state_ = State::between;
  std::string section_;
  std::string subsection_;
  std::string key_;
  std::string value_;
  std::uint64_t at_ = 0;
  std::uint64_t begin_ = 0;
  std::uint64_t blanks_ = 0; ///< in a value, not yet known to be inside of it
  std::size_t bom_ = 0;
  bool held_return_ = false; ///< a carriage return that may belong to a line's end
  bool quoted_ = false;
  bool carriage_ = false;
  bool cut_ = false;
};

} // namespace hubgate::prose
