#include "policy/yaml.hpp"

#include "scanner/core/evidence.hpp"

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/parser.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstring>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <tuple>

namespace hubgate::yaml {

struct State {
  std::string source;
  Value root;
  std::vector<Problem> problems;

  void note(std::size_t line, std::string field, std::string message, bool warning) {
    problems.push_back({source, line, std::move(field), std::move(message), warning});
  }
};

namespace {

constexpr std::size_t k_depth_max = 32;
constexpr std::size_t k_text_max = std::size_t{4} << 20;

// Thrown through yaml-cpp out of our event handler, and caught in parse().
struct Refused {
  std::size_t line;
  std::string message;
};

// Builds the tree of Values. Every event carries its mark; keys are scalars.
class Builder final : public YAML::EventHandler {
public:
  explicit Builder(State& state) : state_(state) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    refuse_anchor(mark, anchor);
    Value value;
    value.line = line_of(mark);
    put(std::move(value));
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw Refused{line_of(mark), "aliases (*name) are not supported: write the value out"};
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& text) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    Value value;
    value.line = line_of(mark);
    // A plain ~ or null reaches us as OnNull; "?" marks plain, "!" quoted scalars.
    value.kind = Value::Kind::scalar;
    value.text = text;
    put(std::move(value));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    open(Value::Kind::list, mark);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    refuse_anchor(mark, anchor);
    refuse_tag(mark, tag);
    open(Value::Kind::map, mark);
  }
  void OnMapEnd() override { close(); }

private:
  struct Frame {
    Value value;
    std::optional<std::string> key; // of a map, when the next event is its value
  };

  static std::size_t line_of(const YAML::Mark& mark) {
    return mark.line < 0 ? 0 : static_cast<std::size_t>(mark.line) + 1;
  }
  static void refuse_anchor(const YAML::Mark& mark, YAML::anchor_t anchor) {
    if (anchor != 0) throw Refused{line_of(mark), "anchors (&name) are not supported"};
  }
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Refused{line_of(mark), "tags (!name) are not supported"};
  }
  void open(Value::Kind kind, const YAML::Mark& mark) {
    if (stack_.size() >= k_depth_max) throw Refused{line_of(mark), "nested too deeply"};
    if (!stack_.empty() && stack_.back().value.kind == Value::Kind::map && !stack_.back().key)
      throw Refused{line_of(mark), "a key must be a plain word"};
    Frame frame;
    frame.value.kind = kind;
    frame.value.line = line_of(mark);
    stack_.push_back(std::move(frame));
  }
  void close() {
    Value value = std::move(stack_.back().value);
    stack_.pop_back();
    put(std::move(value));
  }
  void put(Value value) {
    if (stack_.empty()) {
      state_.root = std::move(value);
      return;
    }
    Frame& top = stack_.back();
    if (top.value.kind == Value::Kind::list) {
      top.value.items.push_back(std::move(value));
      return;
    }
    if (!top.key) {
      if (value.kind != Value::Kind::scalar)
        throw Refused{value.line, "a key must be a plain word"};
      const auto& entries = top.value.entries;
      const auto same = std::find_if(entries.begin(), entries.end(),
                                     [&](const auto& entry) { return entry.key == value.text; });
      if (same != entries.end())
        throw Refused{value.line, "'" + printable(value.text, 60) +
                                      "' is given twice, first in line " +
                                      std::to_string(same->value.line)};
      top.key = std::move(value.text);
      return;
    }
    top.value.entries.push_back(Entry{std::move(*top.key), std::move(value)});
    top.key.reset();
  }

  State& state_;
  std::vector<Frame> stack_;
};

std::string in_quotes(std::string_view text) {
  return "'" + printable(text, 60) + "'";
}

std::string joined(std::span<const std::string_view> names) {
  std::string out;
  for (const auto& name: names) {
    if (!out.empty()) out += ", ";
    out += name;
  }
  return out;
}

std::string with_suggestion(std::string message, std::string_view word,
                            std::span<const std::string_view> names) {
  const std::string_view near = nearest(word, names);
  if (!near.empty()) message += "; did you mean '" + std::string(near) + "'?";
  return message;
}

std::string_view name_of(Value::Kind kind) {
  switch (kind) {
  case Value::Kind::null:
    return "nothing";
  case Value::Kind::scalar:
    return "a single value";
  case Value::Kind::list:
    return "a list";
  case Value::Kind::map:
    return "a mapping";
  }
  return "?";
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ')
    text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ')
    text.remove_suffix(1);
  return text;
}

// A decimal number with an optional fraction, and the unit behind it.
bool split_number(std::string_view text, double& number, std::string_view& unit) {
  text = trimmed(text);
  std::size_t digits = 0;
  while (digits < text.size() &&
         ((text[digits] >= '0' && text[digits] <= '9') || text[digits] == '.'))
    ++digits;
  if (digits == 0) return false;
  const std::string decimal(text.substr(0, digits));
  const char* behind = decimal.data() + decimal.size();
  const auto [end, error] = std::from_chars(decimal.data(), behind, number);
  if (error != std::errc{} || end != behind) return false;
  unit = trimmed(text.substr(digits));
  return true;
}

} // namespace

std::string to_string(const Problem& problem) {
  std::string out = problem.source;
  if (problem.line != 0) out += ":" + std::to_string(problem.line);
  out += ": ";
  if (problem.warning) out += "warning: ";
  if (!problem.field.empty()) out += problem.field + ": ";
  return out + problem.message;
}

std::optional<std::uint64_t> size_from(std::string_view text) {
  double number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) return std::nullopt;
  static constexpr std::pair<std::string_view, double> k_units[] = {
      {"", 1},         {"B", 1},        {"k", 1e3},     {"K", 1e3},      {"kB", 1e3},
      {"KB", 1e3},     {"KiB", 0x1p10}, {"Ki", 0x1p10}, {"M", 1e6},      {"MB", 1e6},
      {"MiB", 0x1p20}, {"Mi", 0x1p20},  {"G", 1e9},     {"GB", 1e9},     {"GiB", 0x1p30},
      {"Gi", 0x1p30},  {"T", 1e12},     {"TB", 1e12},   {"TiB", 0x1p40}, {"Ti", 0x1p40},
  };
  for (const auto& [name, factor]: k_units) {
    if (unit != name) continue;
    const double bytes = number * factor;
    if (!(bytes <= 0x1p60)) return std::nullopt;
    return static_cast<std::uint64_t>(std::llround(bytes));
  }
  return std::nullopt;
}

std::optional<std::chrono::milliseconds> duration_from(std::string_view text) {
  double number = 0;
  std::string_view unit;
  if (!split_number(text, number, unit)) return std::nullopt;
  static constexpr std::pair<std::string_view, double> k_units[] = {
      {"ms", 1}, {"s", 1e3}, {"m", 6e4}, {"min", 6e4}, {"h", 3.6e6}, {"d", 8.64e7}};
  for (const auto& [name, factor]: k_units) {
    if (unit != name) continue;
    const double ms = number * factor;
    if (!(ms <= 1e14)) return std::nullopt;
    return std::chrono::milliseconds(std::llround(ms));
  }
  return std::nullopt;
}

Result<std::string> read_file(const std::filesystem::path& file, std::uintmax_t max) {
  const std::string name = printable(file.string(), 300);
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) return Error{name + ": no such file"};
  if (std::filesystem::is_directory(status)) return Error{name + ": is a directory"};
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return Error{name + ": can't be opened: " + std::strerror(errno)};
  std::string text;
  std::array<char, 65536> piece{};
  while (stream.read(piece.data(), piece.size()), stream.gcount() > 0) {
    text.append(piece.data(), static_cast<std::size_t>(stream.gcount()));
    if (text.size() > max)
      return Error{name + ": larger than " + std::to_string(max >> 10) + " KiB"};
  }
  if (stream.bad()) return Error{name + ": can't be read"};
  return text;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> names) {
  if (word.size() > 64) return {};
  std::string_view best;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, word.size() / 3);
  for (const auto& name: names) {
    if (name.size() > 64) continue;
    // Edit distance, one row at a time; a swap of neighbours counts as two.
    std::vector<std::size_t> row(name.size() + 1);
    for (std::size_t j = 0; j <= name.size(); ++j)
      row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= name.size(); ++j) {
        const std::size_t change = diagonal + (word[i - 1] == name[j - 1] ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, change});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = name;
    }
  }
  return best;
}

Mapping::Mapping(std::shared_ptr<State> state, const Value& value, std::string path)
    : state_(std::move(state)), value_(&value), path_(std::move(path)) {}

const Value* Mapping::find(std::string_view key) {
  known_.emplace_back(key);
  for (const auto& [name, value]: value_->entries)
    if (name == key) return &value;
  return nullptr;
}

void Mapping::note(std::string_view key, std::size_t at, std::string message, bool is_warning) {
  std::string field = path_;
  if (!key.empty()) field += (field.empty() ? "" : ".") + std::string(key);
  state_->note(at, std::move(field), std::move(message), is_warning);
}

std::size_t Mapping::line() const {
  return value_->line;
}

std::size_t Mapping::line(std::string_view key) const {
  for (const auto& [name, value]: value_->entries)
    if (name == key) return value.line;
  return value_->line;
}

bool Mapping::has(std::string_view key) const {
  return std::any_of(value_->entries.begin(), value_->entries.end(),
                     [&](const auto& entry) { return entry.key == key; });
}

std::vector<std::string> Mapping::keys() const {
  std::vector<std::string> out;
  for (const auto& entry: value_->entries)
    out.push_back(entry.key);
  return out;
}

void Mapping::error(std::string_view key, std::string message) {
  note(key, line(key), std::move(message), false);
}
void Mapping::warning(std::string_view key, std::string message) {
  note(key, line(key), std::move(message), true);
}
void Mapping::error(std::string_view key, const Item& item, std::string message) {
  note(key, item.line, std::move(message), false);
}
void Mapping::warning(std::string_view key, const Item& item, std::string message) {
  note(key, item.line, std::move(message), true);
}
void Mapping::note_in(std::string source, std::size_t at, std::string message, bool is_warning) {
  state_->problems.push_back({std::move(source), at, "", std::move(message), is_warning});
}

std::optional<std::string> Mapping::text(std::string_view key) {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != Value::Kind::scalar) {
    error(key, "expected a single value, got " + std::string(name_of(value->kind)));
    return std::nullopt;
  }
  return value->text;
}

std::optional<bool> Mapping::flag(std::string_view key) {
  const auto word = text(key);
  if (!word) return std::nullopt;
  if (*word == "true" || *word == "yes" || *word == "on") return true;
  if (*word == "false" || *word == "no" || *word == "off") return false;
  error(key, in_quotes(*word) + " is neither true nor false");
  return std::nullopt;
}

std::optional<std::uint64_t> Mapping::number(std::string_view key) {
  const auto word = text(key);
  if (!word) return std::nullopt;
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(word->data(), word->data() + word->size(), number);
  if (failed == std::errc{} && end == word->data() + word->size()) return number;
  error(key, in_quotes(*word) + " is not a whole number");
  return std::nullopt;
}

std::optional<std::uint64_t> Mapping::size(std::string_view key) {
  const auto word = text(key);
  if (!word) return std::nullopt;
  const auto bytes = size_from(*word);
  if (!bytes) error(key, in_quotes(*word) + " is not a size, like 512, 64KiB, 1.5GB");
  return bytes;
}

std::optional<std::chrono::milliseconds> Mapping::duration(std::string_view key) {
  const auto word = text(key);
  if (!word) return std::nullopt;
  const auto time = duration_from(*word);
  if (!time) error(key, in_quotes(*word) + " is not a duration, like 250ms, 30s, 5m, 12h, 30d");
  return time;
}

std::optional<std::vector<Item>> Mapping::list(std::string_view key) {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  std::vector<Item> out;
  if (value->kind == Value::Kind::scalar) {
    out.push_back({value->text, value->line});
    return out;
  }
  if (value->kind != Value::Kind::list) {
    error(key, "expected a value or a list of values, got " + std::string(name_of(value->kind)));
    return std::nullopt;
  }
  for (const Value& item: value->items) {
    if (item.kind != Value::Kind::scalar) {
      note(key, item.line, "expected a single value, got " + std::string(name_of(item.kind)),
           false);
      return std::nullopt;
    }
    out.push_back({item.text, item.line});
  }
  if (out.empty()) {
    error(key, "an empty list matches nothing: name something or leave the key out");
    return std::nullopt;
  }
  return out;
}

std::optional<std::size_t> Mapping::choice(std::string_view key,
                                           std::span<const std::string_view> names) {
  const auto word = text(key);
  if (!word) return std::nullopt;
  const auto at = std::find(names.begin(), names.end(), *word);
  if (at != names.end()) return static_cast<std::size_t>(at - names.begin());
  error(key, with_suggestion(in_quotes(*word) + " is not one of " + joined(names), *word, names));
  return std::nullopt;
}

std::optional<Mapping> Mapping::mapping(std::string_view key) {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != Value::Kind::map) {
    error(key, "expected a mapping, got " + std::string(name_of(value->kind)));
    return std::nullopt;
  }
  return Mapping(state_, *value, (path_.empty() ? "" : path_ + ".") + std::string(key));
}

std::optional<std::vector<Mapping>> Mapping::mappings(std::string_view key) {
  const Value* value = find(key);
  if (value == nullptr) return std::nullopt;
  if (value->kind != Value::Kind::list) {
    error(key, "expected a list, got " + std::string(name_of(value->kind)));
    return std::nullopt;
  }
  std::vector<Mapping> out;
  for (std::size_t i = 0; i < value->items.size(); ++i) {
    const Value& item = value->items[i];
    std::string path =
        (path_.empty() ? "" : path_ + ".") + std::string(key) + "[" + std::to_string(i + 1) + "]";
    if (item.kind == Value::Kind::map)
      out.push_back(Mapping(state_, item, std::move(path)));
    else
      state_->note(item.line, std::move(path),
                   "expected a mapping, got " + std::string(name_of(item.kind)), false);
  }
  return out;
}

void Mapping::finish() {
  const std::vector<std::string_view> known(known_.begin(), known_.end());
  for (const auto& [name, value]: value_->entries) {
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    std::string message = "unknown key " + in_quotes(name);
    if (nearest(name, known).empty() && known.size() <= 20)
      message += "; known here: " + joined(known);
    note("", value.line, with_suggestion(std::move(message), name, known), false);
  }
}

Mapping Document::top() {
  static const Value k_empty = [] {
    Value value;
    value.kind = Value::Kind::map;
    return value;
  }();
  return Mapping(state_, state_->root.kind == Value::Kind::map ? state_->root : k_empty, "");
}

std::vector<Problem> Document::problems() const {
  std::vector<Problem> out = state_->problems;
  const auto elsewhere = [&](const Problem& problem) { return problem.source != state_->source; };
  std::stable_sort(out.begin(), out.end(), [&](const Problem& a, const Problem& b) {
    return std::tuple(elsewhere(a), std::string_view(elsewhere(a) ? a.source : ""), a.line) <
           std::tuple(elsewhere(b), std::string_view(elsewhere(b) ? b.source : ""), b.line);
  });
  return out;
}

std::optional<Error> Document::first_error() const {
  std::size_t errors = 0;
  std::optional<Error> first;
  for (const auto& problem: problems()) {
    if (problem.warning) continue;
    if (errors++ == 0) first = Error{to_string(problem)};
  }
  if (first && errors > 1) first->message += " (and " + std::to_string(errors - 1) + " more)";
  return first;
}

Document parse(std::string_view text, std::string_view source) {
  Document document;
  document.state_ = std::make_shared<State>();
  State& state = *document.state_;
  state.source = source;
  if (text.size() > k_text_max) {
    state.note(0, "", "larger than 4 MiB", false);
    return document;
  }
  if (text.find('\0') != std::string_view::npos) {
    state.note(0, "", "holds a NUL byte", false);
    return document;
  }
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    Builder builder(state);
    if (!parser.HandleNextDocument(builder)) {
      state.note(0, "", "is empty", false);
      return document;
    }
    const std::size_t line = state.root.line;
    Value first = std::move(state.root);
    State rest;
    Builder more(rest);
    if (parser.HandleNextDocument(more))
      state.note(rest.root.line, "", "a second document (after ---) is not read", false);
    state.root = std::move(first);
    if (state.root.kind != Value::Kind::map)
      state.note(line, "", "expected a mapping, got " + std::string(name_of(state.root.kind)),
                 false);
  } catch (const Refused& refused) {
    state.note(refused.line, "", refused.message, false);
  } catch (const YAML::ParserException& error) {
    state.note(error.mark.line < 0 ? 0 : static_cast<std::size_t>(error.mark.line) + 1, "",
               printable(error.msg, 200), false);
  } catch (const std::exception& error) {
    state.note(0, "", printable(error.what(), 200), false);
  }
  return document;
}

} // namespace hubgate::yaml
