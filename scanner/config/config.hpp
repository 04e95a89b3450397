#pragma once
// ConfigScan: the rules over configurations, as a stream of events that any syntax feeds (JSON,
// YAML, metadata of weights, attributes, hyper-parameters in a pickle). It keeps the path to the
// current value and little else, so a gigabyte of JSON lines costs no memory. What matters under
// some file names only is reported under that condition.
#include "scanner/core/session.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace hubgate::config {

enum class Scalar { text, number, boolean, null };

struct KeyRule;

/// Reports for one stream, each kind a bounded number of times: a million rows with the same fault
/// are one fault.
class Teller {
public:
  explicit Teller(Session& session) : session_(session) {}
  void find(const Rule& rule, std::uint64_t offset, std::string_view evidence,
            std::string_view condition = {}, std::optional<Severity> severity = {});
  Session& session() { return session_; }

private:
  struct Told {
    std::string_view rule;
    std::string_view condition; ///< of the tables: outlives the scan
    Severity severity;
    unsigned count;
  };
  Session& session_;
  std::vector<Told> told_;
};

class ConfigScan {
public:
  explicit ConfigScan(Session& session) : teller_(session) {}

  void map_begin(std::uint64_t offset) { open(false, offset); }
  void list_begin(std::uint64_t offset) { open(true, offset); }
  void map_end() { close(); }
  void list_end() { close(); }
  /// The key of the next value. Offsets are bytes in the stream of the session.
  void key(std::string_view text, std::uint64_t offset);
  /// A value, or an element of a list. `text` of numbers and booleans is as it is written.
  void scalar(Scalar kind, std::string_view text, std::uint64_t offset);

private:
  struct Frame {
    bool list = false;
    std::uint64_t index = 0;        ///< elements begun
    std::string key;                ///< of the value that is being read; maps only
    const KeyRule* rules = nullptr; ///< of that key
    std::size_t rule_count = 0;
  };
  /// Values of a top-level `key: ["library", "class"]`, judged when the map is known.
  struct Pair {
    std::string key;
    std::string library;
    std::string name;
    std::uint64_t offset = 0;
  };

  void open(bool list, std::uint64_t offset);
  void close();
  void begin_value();
  void top_map_ended();

  std::string path() const;

  Teller teller_;
  std::vector<Frame> frames_;
  std::size_t depth_ = 0;       ///< open containers, also those too deep to be kept
  std::size_t ruled_ = 0;       ///< frames with rules
  std::vector<Pair> pairs_;     ///< of the current top-level map
  std::uint64_t documents_ = 0; ///< top-level values begun
  bool pipeline_ = false;       ///< the top-level map has `_class_name`: a diffusers pipeline
};

/// Of the tables of keys and names, for Format::data_version: raise it with every change to them.
inline constexpr std::string_view k_config_version = "config 3 names 1";

} // namespace hubgate::config
