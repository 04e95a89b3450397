#pragma once
// YAML files that people write and we read strictly: typed fields, line numbers, every problem of
// the file at once, unknown and duplicate keys as errors with the nearest known name. Anchors,
// aliases, tags and several documents in a file are refused: a reviewer must see what is read.
//
//   auto document = yaml::parse(text, "hubgate.yaml");
//   yaml::Mapping top = document.top();
//   auto listen = top.text("listen").value_or("127.0.0.1:8443");
//   if (auto limits = top.mapping("limits")) { …; limits->finish(); }
//   top.finish();                                  // unknown keys become problems
//   if (auto error = document.first_error()) …
#include "scanner/core/result.hpp"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace hubgate::yaml {

struct Problem {
  std::string source;   ///< name of the file
  std::size_t line = 0; ///< from 1; 0 = the file as a whole
  std::string field;    ///< "rules[2].match.size", "" at the top
  std::string message;
  bool warning = false;
};

/// "policy.yaml:12: rules[2].match.size: …" in one line.
std::string to_string(const Problem& problem);

struct Entry;

/// A node of the file. Scalars keep their text; what it means is the reader's to say.
struct Value {
  enum class Kind { null, scalar, list, map };
  Kind kind = Kind::null;
  std::size_t line = 0;
  std::string text;
  std::vector<Value> items;   ///< of a list
  std::vector<Entry> entries; ///< of a map, in order, keys unique
};

struct Entry {
  std::string key;
  Value value;
};

struct State;

/// A list's item or a field's value with its line, for errors that the caller finds.
struct Item {
  std::string text;
  std::size_t line = 0;
};

/// Reads the fields of one mapping. Each getter returns nothing when the key is absent or its value
/// is wrong; in the latter case it has noted the problem.
class Mapping {
public:
  std::optional<std::string> text(std::string_view key);
  std::optional<bool> flag(std::string_view key);
  std::optional<std::uint64_t> number(std::string_view key);
  /// Bytes: "512", "64 KiB", "1.5GB"; k, M, G, T with or without i and B.
  std::optional<std::uint64_t> size(std::string_view key);
  /// "250ms", "30s", "5m", "12h", "30d".
  std::optional<std::chrono::milliseconds> duration(std::string_view key);
  /// A scalar or a list of scalars.
  std::optional<std::vector<Item>> list(std::string_view key);
  /// One of `names`; the index of the one given.
  std::optional<std::size_t> choice(std::string_view key, std::span<const std::string_view> names);
  std::optional<Mapping> mapping(std::string_view key);
  /// A list of mappings.
  std::optional<std::vector<Mapping>> mappings(std::string_view key);

  bool has(std::string_view key) const;
  /// In their order.
  std::vector<std::string> keys() const;
  /// Leaves a key to another part of the program that reads the same file.
  void skip(std::string_view key) { known_.emplace_back(key); }
  /// Notes every key that no getter asked for.
  void finish();

  std::size_t line() const;
  /// The line of a key's value, or of the mapping.
  std::size_t line(std::string_view key) const;
  /// Notes a problem at a key ("" = the mapping itself).
  void error(std::string_view key, std::string message);
  void warning(std::string_view key, std::string message);
  /// Notes a problem in an item of a list.
  void error(std::string_view key, const Item& item, std::string message);
  void warning(std::string_view key, const Item& item, std::string message);
  /// Notes a problem in another file that this one names.
  void note_in(std::string source, std::size_t line, std::string message, bool warning);

private:
  friend class Document;
  Mapping(std::shared_ptr<State> state, const Value& value, std::string path);
  const Value* find(std::string_view key);
  void note(std::string_view key, std::size_t line, std::string message, bool warning);

  std::shared_ptr<State> state_;
  const Value* value_; ///< owned by state_
  std::string path_;
  std::vector<std::string> known_;
};

class Document {
public:
  /// The top mapping; empty when the file is not one (a problem says so).
  Mapping top();
  /// Sorted by line; those in other files come last.
  std::vector<Problem> problems() const;
  /// The first error in words with the number of the others, or nothing.
  std::optional<Error> first_error() const;

private:
  friend Document parse(std::string_view text, std::string_view source);
  std::shared_ptr<State> state_;
};

/// Never throws; syntax errors are problems of the document.
Document parse(std::string_view text, std::string_view source);

/// A file's bytes, at most `max` of them; the error names the file.
Result<std::string> read_file(const std::filesystem::path& file, std::uintmax_t max);

/// The name of `names` nearest to `word`, or "" when none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> names);

/// The values of Mapping::size() and duration() for flags.
std::optional<std::uint64_t> size_from(std::string_view text);
std::optional<std::chrono::milliseconds> duration_from(std::string_view text);

} // namespace hubgate::yaml
