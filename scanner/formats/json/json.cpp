// JSON (RFC 8259, with what Python's json.loads accepts beyond it), JSON lines, and JSON with
// comments. See README.md.
#include "scanner/core/json.hpp"

#include "scanner/config/config.hpp"
#include "scanner/config/names.hpp"
#include "scanner/config/rules.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"

#include <algorithm>
#include <array>

namespace hubgate {
namespace {

constexpr std::uint32_t k_max_depth = 1'000'000; ///< a frame costs 16 bytes
constexpr std::size_t k_window = std::size_t{64} << 10;
constexpr std::size_t k_deep = 900;         ///< Python's reader gives up at about 1000 levels
constexpr std::size_t k_long_number = 4300; ///< sys.get_int_max_str_digits()
constexpr std::size_t k_small = std::size_t{32} << 20; ///< with comments: editors' files are small
constexpr std::string_view k_names =
    "*.json|*.jsonl|*.ndjson|*.json5|*.jsonc|*.geojson|*.ipynb|*.webmanifest";
constexpr std::string_view k_atlas_dos = "AML.T0029";

constexpr std::array<Rule, 4> k_own{{
    {"json-depth", "bomb", Severity::suspicious, Reach::load, "CWE-674", k_atlas_dos, "DAT-020",
     "nested so deep that readers of JSON run out of stack"},
    {"json-number", "bomb", Severity::suspicious, Reach::load, "CWE-400", k_atlas_dos, "DAT-020",
     "a number of so many digits that turning it into one takes a reader very long"},
    {"json-duplicate-key", "structure", Severity::informational, Reach::data, "CWE-436",
     "AML.T0076", "DAT-020", "a key stands twice in one object, so two readers see two values"},
    {"json-comments", "structure", Severity::informational, Reach::data, "", "", "",
     "JSON with comments or trailing commas, which editors read and most loaders don't"},
}};
constexpr auto k_rules = config::joined(k_own, config::k_rules);

const Rule& k_depth = k_rules[0];
const Rule& k_number = k_rules[1];
const Rule& k_duplicate = k_rules[2];
const Rule& k_comments = k_rules[3];

bool is_blank(std::uint8_t c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

std::size_t first_byte(Bytes head) {
  std::size_t at = starts_with(head, "\xef\xbb\xbf") ? 3 : 0;
  while (at < head.size() && is_blank(head[at]))
    ++at;
  return at;
}

Claim probe(const Probe& probe) {
  const std::size_t at = first_byte(probe.head);
  if (at == probe.head.size()) return at == Probe::k_head ? Claim::maybe : Claim::no;
  const std::uint8_t c = probe.head[at];
  if (c == '/' && at + 1 < probe.head.size())
    return probe.head[at + 1] == '/' || probe.head[at + 1] == '*' ? Claim::maybe : Claim::no;
  return c == '{' || c == '[' ? Claim::maybe : Claim::no;
}

enum class Outcome {
  valid,
  not_json, ///< failed before it was clear that it is JSON at all
  failed,
};

// One pass over the text, to its end.
class Scan {
public:
  /// `base` is where the text begins in the stream of the session: offsets are told by it.
  Scan(Source& source, Session& session, std::uint64_t begin)
      : source_(source), session_(session), config_(session), at_(begin) {}
  Outcome run();
  std::uint64_t position() const { return at_; }
  std::string_view error() const { return error_; }
  JsonFailure failure() const { return failure_; }
  /// Whether anything was told before it was clear what the text is.
  bool committed() const { return committed_; }

private:
  Outcome value();
  bool event(JsonReader& json, JsonEvent event);
  bool skip_blanks();

  Source& source_;
  Session& session_;
  config::ConfigScan config_;
  std::uint64_t at_;
  std::uint64_t values_ = 0;
  std::size_t window_ = k_window;
  std::uint64_t events_ = 0;
  std::string_view error_;
  JsonFailure failure_ = JsonFailure::none;
  bool committed_ = false;
  bool told_depth_ = false;
  bool told_number_ = false;
  bool told_duplicate_ = false;
};

// To the next byte that is no blank; false at the end.
bool Scan::skip_blanks() {
  for (;;) {
    const Bytes piece = source_.some(at_, std::size_t{64} << 10);
    if (piece.empty()) return false;
    std::size_t i = 0;
    // NUL and form feed pad files that were allocated in blocks.
    while (i < piece.size() && (is_blank(piece[i]) || piece[i] == 0x0c))
      ++i;
    at_ += i;
    if (i < piece.size()) return true;
  }
}

bool Scan::event(JsonReader& json, JsonEvent event) {
  const std::uint64_t at = json.offset();
  switch (event) {
  case JsonEvent::object_begin:
    config_.map_begin(at);
    break;
  case JsonEvent::array_begin:
    config_.list_begin(at);
    break;
  case JsonEvent::object_end:
    config_.map_end();
    break;
  case JsonEvent::array_end:
    config_.list_end();
    break;
  case JsonEvent::key:
    committed_ = true;
    config_.key(json.text(), at);
    break;
  case JsonEvent::string:
    config_.scalar(config::Scalar::text, json.text(), at);
    break;
  case JsonEvent::boolean:
    config_.scalar(config::Scalar::boolean, json.text(), at);
    break;
  case JsonEvent::null:
    config_.scalar(config::Scalar::null, "", at);
    break;
  case JsonEvent::number:
    if (json.text().size() > k_long_number && !told_number_) {
      told_number_ = committed_ = true;
      session_.find(k_number, at, json.text().size(),
                    "a number of " + std::to_string(json.text().size()) + " characters");
    }
    config_.scalar(config::Scalar::number, json.text(), at);
    break;
  case JsonEvent::end:
  case JsonEvent::error:
    return false;
  }
  if (json.depth() > k_deep && !told_depth_) {
    told_depth_ = true;
    committed_ = true;
    session_.find(k_depth, at, 0, "more than " + std::to_string(k_deep) + " levels");
  }
  return true;
}

Outcome Scan::value() {
  const std::uint64_t end = ~std::uint64_t{0};
  JsonReader json(
      source_, at_, end,
      {.dialect = JsonOptions::Dialect::python, .depth = k_max_depth, .window = window_});
  const std::uint64_t begin = at_;
  for (;;) {
    const JsonEvent next = json.next();
    if (!event(json, next)) {
      at_ = json.position();
      if (next == JsonEvent::end) break;
      error_ = json.error();
      failure_ = json.failure();
      return committed_ ? Outcome::failed : Outcome::not_json;
    }
    if (++events_ % 4096 == 0) {
      session_.release(at_ = json.position());
      if (!session_.budget().time_left()) {
        error_ = "out of time";
        failure_ = JsonFailure::limit;
        return Outcome::failed;
      }
    }
  }
  // The next line will be about as long.
  window_ = std::clamp<std::size_t>(
      static_cast<std::size_t>(std::min<std::uint64_t>(2 * (at_ - begin), k_window)), 1024,
      k_window);
  if (json.duplicates() > 0 && !told_duplicate_) {
    told_duplicate_ = true;
    session_.find(k_duplicate, json.first_duplicate(), 0,
                  std::to_string(json.duplicates()) + " keys stand twice");
  }
  return Outcome::valid;
}

Outcome Scan::run() {
  while (skip_blanks()) {
    const Bytes next = source_.view(at_, 1);
    // Behind a value only another one of JSON lines may follow.
    if (values_ > 0 && next[0] != '{' && next[0] != '[' && next[0] != '"') {
      error_ = "text follows the JSON value";
      failure_ = JsonFailure::malformed;
      return committed_ ? Outcome::failed : Outcome::not_json;
    }
    const Outcome outcome = value();
    if (outcome != Outcome::valid) return outcome;
    ++values_;
    session_.release(at_ - std::min(at_, k_held_tail));
  }
  return values_ > 0 ? Outcome::valid : Outcome::not_json;
}

// The text with comments and trailing commas blanked, at the same offsets; nothing where it has
// neither.
std::optional<std::string> without_comments(std::string text) {
  bool changed = false;
  std::size_t comma = std::string::npos;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (c == '"') {
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\') ++i;
      ++i;
      comma = std::string::npos;
    } else if (c == '/' && i + 1 < text.size() && (text[i + 1] == '/' || text[i + 1] == '*')) {
      const bool line = text[i + 1] == '/';
      std::size_t end = text.find(line ? "\n" : "*/", i + 2);
      end = end == std::string::npos ? text.size() : end + (line ? 0 : 2);
      for (; i < end; ++i)
        if (text[i] != '\n') text[i] = ' ';
      changed = true;
    } else {
      if ((c == '}' || c == ']') && comma != std::string::npos) {
        text[comma] = ' ';
        changed = true;
      }
      if (c == ',')
        comma = i;
      else if (!is_blank(static_cast<std::uint8_t>(c)))
        comma = std::string::npos;
      ++i;
    }
  }
  return changed ? std::optional(std::move(text)) : std::nullopt;
}

std::string whole_text(Source& source) {
  std::string text;
  for (std::uint64_t at = 0; text.size() <= k_small;) {
    const Bytes piece = source.view(at, std::size_t{256} << 10);
    if (piece.empty()) break;
    text += as_text(piece);
    at += piece.size();
  }
  return text;
}

Reading scan(Source& source, Session& session) {
  std::uint64_t begin = 0;
  bool comment = false;
  {
    const Bytes head = source.view(0, Probe::k_head);
    begin = first_byte(head);
    comment = begin < head.size() && head[begin] == '/';
  }
  Scan strict(source, session, begin);
  Outcome outcome = comment ? Outcome::not_json : strict.run();
  std::string_view error = strict.error();
  JsonFailure failure = strict.failure();
  std::uint64_t at = strict.position();
  if (outcome == Outcome::valid) return Reading::valid;
  std::string text = whole_text(source);
  if (text.size() <= k_small && failure != JsonFailure::limit) {
    if (const auto cleaned = without_comments(std::move(text))) {
      MemorySource memory(as_bytes(*cleaned));
      Scan lenient(memory, session, begin);
      if (lenient.run() == Outcome::valid) {
        session.find(k_comments, 0, 0, "comments or trailing commas");
        return Reading::valid;
      }
      if (outcome == Outcome::not_json && lenient.committed()) {
        outcome = Outcome::failed;
        error = lenient.error();
        failure = lenient.failure();
        at = lenient.position();
      }
    }
  }
  if (outcome == Outcome::not_json) return Reading::none;
  const Reason reason = failure == JsonFailure::limit       ? Reason::budget
                        : failure == JsonFailure::truncated ? Reason::truncated
                                                            : Reason::malformed;
  session.gap(reason, Reach::data, at, error, k_names);
  return Reading::broken;
}

} // namespace

extern const Format format_json;
const Format format_json{.name = "json",
                         .family = "json",
                         .probe = probe,
                         .scan = scan,
                         .rules = k_rules,
                         .data_version = config::k_config_version};

} // namespace hubgate
