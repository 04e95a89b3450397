// YAML 1.1 and 1.2 as PyYAML, libyaml, ruamel and HyperPyYAML read it, and the front matter of
// Markdown. See README.md.
#include "scanner/config/yaml.hpp"

#include "scanner/config/config.hpp"
#include "scanner/config/rules.hpp"
#include "scanner/config/tags.hpp"
#include "scanner/config/yaml_json.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/json.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <unordered_set>

namespace hubgate {
namespace {

using config::Scalar;
using config::YamlEvent;

constexpr std::size_t k_max_text = std::size_t{32} << 20; ///< PyYAML needs minutes for it
constexpr std::size_t k_max_architecture = std::size_t{8} << 20;
constexpr std::uint64_t k_bomb_nodes = 1'000'000;
constexpr std::uint64_t k_bomb_factor = 20;
constexpr std::string_view k_names = "*.yaml|*.yml|MLmodel";
constexpr std::string_view k_duplicate_names = "*.yaml|*.yml|MLmodel|*.md";
constexpr std::array<std::string_view, 8> k_acting{
    "_target_",      "auto_map", "trust_remote_code", "data_files",
    "loader_module", "target",   "model_code_path",   "service"};

constexpr std::array<Rule, 4> k_own{{
    {"yaml-alias-bomb", "bomb", Severity::suspicious, Reach::load, "CWE-776", "AML.T0029",
     "CFG-012", "aliases of aliases: a few lines that expand to more than memory holds"},
    {"yaml-recursive-alias", "structure", Severity::suspicious, Reach::load, "CWE-674", "AML.T0029",
     "CFG-012", "a value that contains itself"},
    {"yaml-duplicate-key", "structure", Severity::informational, Reach::data, "CWE-436",
     "AML.T0076", "CFG-012",
     "a key stands twice in one map: some loaders take the last, others refuse"},
    {"yaml-tag-handle", "deception", Severity::suspicious, Reach::load, "CWE-1007", "AML.T0076",
     "CFG-011", "a %TAG line gives the tags of Python's objects another name"},
}};

constexpr auto k_rules = config::joined(k_own, config::k_tag_rules);

const Rule& k_bomb = k_rules[0];
const Rule& k_recursive = k_rules[1];
const Rule& k_duplicate = k_rules[2];
const Rule& k_handle = k_rules[3];

std::uint64_t plus(std::uint64_t a, std::uint64_t b) {
  std::uint64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? ~std::uint64_t{0} : sum;
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}

// What a plain scalar is to YAML 1.1.
Scalar kind_of(std::string_view text) {
  static constexpr std::array<std::string_view, 5> k_nulls{"", "~", "null", "Null", "NULL"};
  static constexpr std::array<std::string_view, 18> k_booleans{
      "true", "True", "TRUE", "false", "False", "FALSE", "yes", "Yes", "YES",
      "no",   "No",   "NO",   "on",    "On",    "ON",    "off", "Off", "OFF"};
  if (std::find(k_nulls.begin(), k_nulls.end(), text) != k_nulls.end()) return Scalar::null;
  if (std::find(k_booleans.begin(), k_booleans.end(), text) != k_booleans.end())
    return Scalar::boolean;
  const bool number = is_digit(text[0]) ||
                      (text.size() > 1 && (text[0] == '-' || text[0] == '+' || text[0] == '.') &&
                       is_digit(text[1]));
  if (!number) return Scalar::text;
  const bool all = std::all_of(text.begin(), text.end(), [](char c) {
    return is_digit(c) || c == '.' || c == 'e' || c == 'E' || c == '-' || c == '+' || c == '_';
  });
  return all ? Scalar::number : Scalar::text;
}

// Text that may be YAML: a key or an entry of a list in the first kilobytes. Cheap, and wrong only
// towards trying.
Claim probe(const Probe& probe) {
  if (probe.head.empty()) return Claim::no;
  const std::string_view text = as_text(probe.head);
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return Claim::maybe;
  if (text.find('\0') != std::string_view::npos) return Claim::no;
  const bool plausible =
      text.find(':') != std::string_view::npos || text.find("- ") != std::string_view::npos ||
      text.find("-\n") != std::string_view::npos || text.find('!') != std::string_view::npos ||
      text.starts_with("---") || text.starts_with("%");
  const bool more = probe.head.size() == Probe::k_head;
  return plausible || more ? Claim::maybe : Claim::no;
}

class Scan {
public:
  Scan(std::string_view text, Session& session)
      : text_(text), session_(session), reader_(text), config_(session), teller_(session) {}
  Reading run(bool front_matter);

private:
  struct Level {
    bool list = false;
    bool at_key = true;       ///< maps: the next node is a key
    std::uint64_t weight = 1; ///< nodes below, aliases expanded
    std::string anchor;
    bool complex_key = false; ///< this collection is itself a key
    std::unordered_set<std::size_t> keys;
  };

  bool event(YamlEvent event);
  void scalar();
  void alias();
  void begin(bool list);
  void end();
  void add_weight(std::uint64_t weight);
  void after_node();
  void key_seen(std::string_view key);
  void tag_lines();

  std::string_view text_;
  Session& session_;
  config::YamlReader reader_;
  config::ConfigScan config_;
  config::Teller teller_;
  std::vector<Level> levels_;
  std::map<std::string, std::uint64_t> weights_; ///< of anchors
  std::uint64_t nodes_ = 0;
  std::uint64_t documents_ = 0;
  bool structured_ = false; ///< a map, a list or a tag was seen
  bool told_bomb_ = false;
};

void Scan::add_weight(std::uint64_t weight) {
  ++nodes_;
  if (!levels_.empty()) levels_.back().weight = plus(levels_.back().weight, weight);
  if (weight > k_bomb_nodes && weight > k_bomb_factor * text_.size() && !told_bomb_) {
    told_bomb_ = true;
    session_.find(k_bomb, reader_.offset(), 0,
                  std::to_string(text_.size()) + " bytes expand to more than " +
                      std::to_string(k_bomb_nodes) + " values");
  }
}

// The node that was just read was a key, or a value.
void Scan::after_node() {
  if (levels_.empty() || levels_.back().list) return;
  levels_.back().at_key = !levels_.back().at_key;
}

void Scan::key_seen(std::string_view key) {
  config_.key(key, reader_.offset());
  Level& level = levels_.back();
  if (!level.keys.insert(std::hash<std::string_view>{}(key)).second && key != "<<") {
    // Where loaders act on the key, two values are two verdicts.
    const bool matters = std::find(k_acting.begin(), k_acting.end(), key) != k_acting.end();
    teller_.find(k_duplicate, reader_.offset(), key, k_duplicate_names,
                 matters ? std::optional(Severity::suspicious) : std::nullopt);
  }
}

void Scan::scalar() {
  if (!reader_.tag().empty()) structured_ = true;
  config::check_tag(teller_, reader_.tag(), reader_.value(), reader_.offset());
  if (!reader_.anchor().empty()) weights_[reader_.anchor()] = 1;
  const bool is_key = !levels_.empty() && !levels_.back().list && levels_.back().at_key;
  if (is_key) {
    key_seen(reader_.value());
  } else {
    config_.scalar(reader_.is_plain() ? kind_of(reader_.value()) : Scalar::text, reader_.value(),
                   reader_.offset());
  }
  add_weight(1);
  after_node();
}

void Scan::alias() {
  const auto known = weights_.find(reader_.anchor());
  const bool open = std::any_of(levels_.begin(), levels_.end(), [&](const Level& level) {
    return level.anchor == reader_.anchor();
  });
  if (open) teller_.find(k_recursive, reader_.offset(), "*" + reader_.anchor());
  const bool is_key = !levels_.empty() && !levels_.back().list && levels_.back().at_key;
  if (is_key)
    config_.key("*" + reader_.anchor(), reader_.offset());
  else
    config_.scalar(Scalar::null, "", reader_.offset());
  add_weight(known == weights_.end() ? 1 : known->second);
  after_node();
}

void Scan::begin(bool list) {
  structured_ = true;
  config::check_tag(teller_, reader_.tag(), "", reader_.offset());
  const bool is_key = !levels_.empty() && !levels_.back().list && levels_.back().at_key;
  if (is_key) config_.key("?", reader_.offset());
  list ? config_.list_begin(reader_.offset()) : config_.map_begin(reader_.offset());
  levels_.push_back({.list = list, .anchor = reader_.anchor(), .complex_key = is_key, .keys = {}});
}

void Scan::end() {
  if (levels_.empty()) return;
  const Level level = std::move(levels_.back());
  levels_.pop_back();
  level.list ? config_.list_end() : config_.map_end();
  if (level.complex_key) config_.key("?", reader_.offset());
  if (!level.anchor.empty()) weights_[level.anchor] = level.weight;
  add_weight(level.weight);
  after_node();
}

bool Scan::event(YamlEvent event) {
  switch (event) {
  case YamlEvent::document_begin:
    ++documents_;
    weights_.clear();
    return true;
  case YamlEvent::document_end:
    return true;
  case YamlEvent::map_begin:
  case YamlEvent::list_begin:
    begin(event == YamlEvent::list_begin);
    return true;
  case YamlEvent::map_end:
  case YamlEvent::list_end:
    end();
    return true;
  case YamlEvent::scalar:
    scalar();
    return true;
  case YamlEvent::alias:
    alias();
    return true;
  case YamlEvent::end:
  case YamlEvent::error:
    return false;
  }
  return false;
}

// "%TAG !x! tag:yaml.org,2002:python/": tags that look like somebody's own are Python's then.
void Scan::tag_lines() {
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t end = std::min(text_.find('\n', at), text_.size());
    const std::string_view line = text_.substr(at, end - at);
    if (line.starts_with("%TAG") && line.find("yaml.org,2002:py") != std::string_view::npos) {
      structured_ = true;
      session_.find(k_handle, at, line.size(), line);
    }
    // Directives stand before the first document's '---' or nowhere.
    if (line.starts_with("---")) return;
    at = end + 1;
  }
}

Reading Scan::run(bool front_matter) {
  if (text_.starts_with('%')) tag_lines();
  YamlEvent next = reader_.next();
  for (std::uint64_t events = 1; event(next); next = reader_.next(), ++events) {
    if (events % 4096 == 0 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::data, reader_.position(), "out of time", k_names);
      return Reading::broken;
    }
  }
  // One word or one paragraph is a YAML scalar too: that says nothing.
  if (!structured_) return Reading::none;
  if (next == YamlEvent::end) return Reading::valid;
  // The prose below a front matter is no YAML; the front matter was.
  if (front_matter && documents_ > 1) return Reading::valid;
  // Text that is filled in before it is read as YAML.
  if (text_.find("{%") != std::string_view::npos || text_.find("{{") != std::string_view::npos)
    return Reading::valid;
  // Much other text begins with a bracket; without tags, what fails there loads nothing.
  const std::size_t first = text_.find_first_not_of(" \t\r\n");
  if (text_[first] == '[' || text_[first] == '{') {
    if (text_.find('!') == std::string_view::npos) return Reading::none;
  }
  session_.gap(Reason::malformed, Reach::load, reader_.position(), reader_.error(), k_names);
  return Reading::broken;
}

// JSON is YAML's flow style, and the json format has read it.
bool is_json(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || (text[first] != '{' && text[first] != '[')) return false;
  MemorySource source(as_bytes(text));
  for (std::uint64_t at = 0;;) {
    while (at < text.size() &&
           (text[at] == ' ' || text[at] == '\n' || text[at] == '\r' || text[at] == '\t'))
      ++at;
    if (at == text.size()) return true;
    JsonReader json(source, at, text.size(), {.dialect = JsonOptions::Dialect::python});
    for (JsonEvent event = json.next(); event != JsonEvent::end; event = json.next())
      if (event == JsonEvent::error) return false;
    at = json.position();
  }
}

Reading scan(Source& source, Session& session) {
  std::string text;
  for (std::uint64_t at = 0;;) {
    const Bytes piece = source.some(at, std::size_t{256} << 10);
    if (piece.empty()) break;
    if (text.size() + piece.size() > k_max_text) {
      session.gap(Reason::budget, Reach::data, at, "a YAML text of more than 32 MiB", k_names);
      return Reading::none;
    }
    text += as_text(piece);
    at += piece.size();
  }
  if (text.find('\0') != std::string::npos || is_json(text)) return Reading::none;
  const bool front_matter = text.starts_with("---\n") || text.starts_with("---\r\n") ||
                            text.starts_with("\xef\xbb\xbf---");
  const Reading reading = Scan(text, session).run(front_matter);
  // An architecture (Keras' to_yaml): judged like its twin in JSON.
  const bool architecture =
      text.find("class_name") != std::string::npos && text.find("config") != std::string::npos;
  if (architecture) {
    const auto json = config::yaml_as_json(text, k_max_architecture);
    if (json) {
      MemorySource twin(as_bytes(*json));
      session.embedded("architecture.json", twin);
    } else if (reading == Reading::valid && text.size() > k_max_architecture / 2) {
      session.gap(Reason::budget, Reach::load, 0, "an architecture of more than 8 MiB", k_names);
    }
  }
  if (reading == Reading::valid)
    session.release(text.size() - std::min<std::size_t>(text.size(), k_held_tail));
  return reading;
}

} // namespace

extern const Format format_yaml;
const Format format_yaml{.name = "yaml",
                         .family = "text",
                         .probe = probe,
                         .scan = scan,
                         .rules = k_rules,
                         .data_version = config::k_config_version,
                         .weak = true};

} // namespace hubgate
