#pragma once
// YARA rules of an organisation (libyara 4.2). The gate compiles them, from files that its policy
// names; workers get them compiled and match them against every stream that the engine scans.
// Nothing of an object is ever matched outside of a worker.
#include "scanner/core/bytes.hpp"
#include "scanner/core/inspector.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hubgate::yara {

struct RuleFile {
  std::string name;  ///< for problems
  std::string space; ///< namespace of its rules, see space_of()
  std::string text;
};

struct Problem {
  std::string file;
  std::size_t line = 0; ///< from 1; 0 = the file as a whole
  std::string message;  ///< printable
  bool warning = false;
};

/// A rule as people are told of it. Texts are as in the file.
struct RuleFacts {
  std::string id; ///< of its findings: "yara:SPACE.NAME"
  std::string klass = "yara";
  Severity severity = Severity::suspicious;
  std::string description;
  std::string cwe;
  std::string atlas;
  std::string file;
  std::size_t line = 0;
};

/// Rules that workers can load.
struct Compiled {
  std::vector<std::uint8_t> bytes;
  std::vector<RuleFacts> rules; ///< those that can find something: not the private ones
  std::string digest;           ///< sha256 (hex) of the texts and the version of libyara
};

/// The namespace of a file's rules: its name without folder and suffix, [A-Za-z0-9_-] only.
std::string space_of(std::string_view file);

/// Compiles. `include` is refused, and so is every module but those that only calculate (hash,
/// math, string): the others read formats or files of their own. Null when there is an error among
/// the problems. One thread at a time.
std::unique_ptr<Compiled> compile(const std::vector<RuleFile>& files,
                                  std::vector<Problem>& problems);

/// How streams are cut for libyara. Matches that are longer than `overlap` may be missed where two
/// blocks meet.
struct Blocks {
  std::uint64_t size = std::uint64_t{4} << 20;
  std::uint64_t overlap = std::uint64_t{64} << 10;
};

/// CPU seconds that the rules may take for one object, nested streams included: a second more for
/// each k_bytes_a_second that they have read. What takes longer is a gap.
inline constexpr double k_seconds = 60;
inline constexpr double k_bytes_a_second = 16.0 * 1024 * 1024;
/// What a worker may use at most for them, however large the object.
inline constexpr double k_seconds_max = 3600;

/// Compiled rules in a worker (or its parent, which loads them once for all).
class Rules final : public StreamInspector {
public:
  /// Null when the bytes are no compiled rules of this libyara.
  static std::unique_ptr<Rules> load(Bytes compiled, Blocks blocks = {},
                                     double seconds = k_seconds);
  ~Rules() override;
  Rules(const Rules&) = delete;
  Rules& operator=(const Rules&) = delete;

  void begin() override;
  void inspect(Source& source, Session& session) override;

private:
  Rules();
  struct State;
  std::unique_ptr<State> state_;
};

/// In the place of rules that could not be loaded: every object is inconclusive.
class NoRules final : public StreamInspector {
public:
  void begin() override {}
  void inspect(Source& source, Session& session) override;
};

} // namespace hubgate::yara
