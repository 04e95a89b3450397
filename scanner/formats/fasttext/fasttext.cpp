// fastText models (.bin): options, dictionary, two matrices, each plain or quantised (fastText's
// args.cc, dictionary.cc, densematrix.cc, quantmatrix.cc). See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/release.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/tensor_sample.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <array>
#include <string>
#include <vector>

namespace hubgate {
namespace {

constexpr std::uint32_t k_magic = 793712314;
constexpr std::int32_t k_newest = 12; ///< what fastText 0.9 writes and the last that it reads
constexpr std::uint64_t k_centroids = 256;
constexpr std::size_t k_max_word = std::size_t{64} << 10;
constexpr std::size_t k_plain_word = 200; ///< longer words carry something else

constexpr std::array<Rule, 1> k_rules{{
    {"fasttext-structure", "structure", Severity::suspicious, Reach::load, "CWE-125", "AML.T0029",
     "RTF-020", "a count, type or size that can't be true: the loader trusts all of them"},
}};

struct Options {
  std::int32_t dim = 0;
  std::int32_t word_ngrams = 0;
  std::int32_t model = 0;
  std::int32_t bucket = 0;
  std::int32_t maxn = 0;
};

class Scan {
public:
  Scan(Source& source, Session& session) : source_(source), session_(session), in_(source) {}
  Reading run();

private:
  bool options();
  bool dictionary();
  bool words();
  bool word();
  bool matrix(bool quantised, std::uint64_t rows, std::string_view name);
  bool dense(std::uint64_t rows, std::string_view name);
  bool quantised(std::string_view name);
  bool quantiser(std::uint64_t& subquantisers);
  bool numbers(std::uint64_t bytes, Element element, std::string_view name);
  std::optional<bool> flag();

  bool wrong(std::uint64_t at, const std::string& what);
  bool cut();

  Source& source_;
  Session& session_;
  Cursor in_;
  Options options_;
  std::int32_t version_ = 0;
  std::int32_t entries_ = 0;
  std::int32_t words_ = 0;
  std::int32_t labels_ = 0;
  std::int64_t pruned_ = -1;

  struct Numbers {
    std::uint64_t begin;
    std::uint64_t size;
    Element element;
    std::string name;
  };
  std::vector<Numbers> numbers_;
};

bool Scan::wrong(std::uint64_t at, const std::string& what) {
  session_.find(k_rules[0], at, 8, what);
  session_.gap(Reason::malformed, Reach::load, at, what);
  return false;
}

bool Scan::cut() {
  session_.gap(Reason::truncated, Reach::load, in_.position(), "the model ends early");
  return false;
}

// A bool is one byte; any but 0 counts as true for the loader, and honest writers write 1.
std::optional<bool> Scan::flag() {
  const auto value = in_.le<std::uint8_t>();
  if (!value) {
    cut();
    return std::nullopt;
  }
  if (*value > 1) {
    wrong(in_.position() - 1, "a flag of " + std::to_string(*value));
    return std::nullopt;
  }
  return *value == 1;
}

bool Scan::options() {
  const std::uint64_t at = in_.position();
  std::array<std::int32_t, 12> values{};
  for (std::int32_t& value: values) {
    const auto read = in_.le<std::int32_t>();
    if (!read) return cut();
    value = *read;
  }
  if (!in_.take(sizeof(double))) return cut();
  options_ = {.dim = values[0],
              .word_ngrams = values[5],
              .model = values[7],
              .bucket = values[8],
              .maxn = values[10]};
  // Models of version 11 that classify ignore the lengths of n-grams that they state.
  if (version_ == 11 && options_.model == 3) options_.maxn = 0;
  if (options_.dim <= 0 || options_.bucket < 0 || options_.model < 1 || options_.model > 3)
    return wrong(at, "dim " + std::to_string(options_.dim) + ", model " +
                         std::to_string(options_.model) + ", bucket " +
                         std::to_string(options_.bucket));
  return true;
}

bool Scan::dictionary() {
  const std::uint64_t at = in_.position();
  const auto entries = in_.le<std::int32_t>();
  const auto words = in_.le<std::int32_t>();
  const auto labels = in_.le<std::int32_t>();
  const auto tokens = in_.le<std::int64_t>();
  const auto pruned = in_.le<std::int64_t>();
  if (!entries || !words || !labels || !tokens || !pruned) return cut();
  if (*entries < 0 || *words < 0 || *labels < 0 || *pruned < -1 ||
      std::int64_t{*words} + *labels != *entries)
    return wrong(at, std::to_string(*entries) + " entries, " + std::to_string(*words) + " words, " +
                         std::to_string(*labels) + " labels, " + std::to_string(*pruned) +
                         " kept n-grams");
  entries_ = *entries;
  words_ = *words;
  labels_ = *labels;
  pruned_ = *pruned;
  if (!this->words()) return false;
  const std::uint64_t table = in_.position();
  for (std::int64_t i = 0; i < pruned_; ++i) {
    const auto from = in_.le<std::int32_t>();
    const auto to = in_.le<std::int32_t>();
    if (!from || !to) return cut();
    if (*to < 0 || *to >= pruned_)
      return wrong(table, "n-gram " + std::to_string(*from) + " has row " + std::to_string(*to));
    if (i % 65536 == 65535 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, in_.position(), "out of time");
      return false;
    }
  }
  return true;
}

bool Scan::words() {
  for (std::int32_t i = 0; i < entries_; ++i) {
    if (!word()) return false;
    if (i % 4096 == 4095 && !session_.budget().time_left()) {
      session_.gap(Reason::budget, Reach::load, in_.position(), "out of time");
      return false;
    }
  }
  return true;
}

// The word, ended by NUL, how often it was seen, and whether it is a word or a label.
bool Scan::word() {
  const std::uint64_t at = in_.position();
  std::string text;
  bool plain = true;
  for (;;) {
    const auto c = in_.le<std::uint8_t>();
    if (!c) return cut();
    if (*c == 0) break;
    if (text.size() == k_max_word)
      return wrong(at, "a word of more than " + std::to_string(k_max_word) + " bytes");
    plain = plain && *c > ' ';
    text += static_cast<char>(*c);
  }
  const auto seen = in_.le<std::int64_t>();
  const auto type = in_.le<std::uint8_t>();
  if (!seen || !type) return cut();
  if (*type > 1) return wrong(at, "an entry of type " + std::to_string(*type));
  if (!plain || text.size() > k_plain_word || text.starts_with("\x80") || text.starts_with("PK\3"))
    scan_text_value(session_, "word@" + std::to_string(at), text, at);
  return true;
}

bool Scan::numbers(std::uint64_t bytes, Element element, std::string_view name) {
  numbers_.push_back({in_.position(), bytes, element, std::string(name)});
  if (!release_weights(source_, session_, in_.position() + bytes) || !in_.skip(bytes)) return cut();
  return true;
}

bool Scan::dense(std::uint64_t rows, std::string_view name) {
  const std::uint64_t at = in_.position();
  const auto m = in_.le<std::int64_t>();
  const auto n = in_.le<std::int64_t>();
  if (!m || !n) return cut();
  std::uint64_t bytes = 0;
  if (*m < 0 || *n != options_.dim || static_cast<std::uint64_t>(*m) < rows ||
      __builtin_mul_overflow(static_cast<std::uint64_t>(*m),
                             static_cast<std::uint64_t>(*n) * sizeof(float), &bytes) ||
      bytes > ~std::uint64_t{0} / 4)
    return wrong(at, std::string(name) + ": " + std::to_string(*m) + " x " + std::to_string(*n) +
                         " for " + std::to_string(rows) + " rows of " +
                         std::to_string(options_.dim));
  return numbers(bytes, Element::float32, name);
}

// dim, parts, length of a part, length of the last part, centroids.
bool Scan::quantiser(std::uint64_t& subquantisers) {
  const std::uint64_t at = in_.position();
  const auto dim = in_.le<std::int32_t>();
  const auto parts = in_.le<std::int32_t>();
  const auto length = in_.le<std::int32_t>();
  const auto last = in_.le<std::int32_t>();
  if (!dim || !parts || !length || !last) return cut();
  if (*dim <= 0 || *parts <= 0 || *length <= 0 || *last <= 0 || *last > *length ||
      (std::int64_t{*parts} - 1) * *length + *last != *dim)
    return wrong(at, std::to_string(*parts) + " parts of " + std::to_string(*length) + " and " +
                         std::to_string(*last) + " in " + std::to_string(*dim));
  subquantisers = static_cast<std::uint64_t>(*parts);
  return numbers(static_cast<std::uint64_t>(*dim) * k_centroids * sizeof(float), Element::float32,
                 "centroids");
}

bool Scan::quantised(std::string_view name) {
  const auto with_norms = flag();
  if (!with_norms) return false;
  const std::uint64_t at = in_.position();
  const auto m = in_.le<std::int64_t>();
  const auto n = in_.le<std::int64_t>();
  const auto codes = in_.le<std::int32_t>();
  if (!m || !n || !codes) return cut();
  if (*m < 0 || *n != options_.dim || *codes < 0)
    return wrong(at, std::string(name) + ": " + std::to_string(*m) + " x " + std::to_string(*n) +
                         ", " + std::to_string(*codes) + " codes");
  if (!numbers(static_cast<std::uint64_t>(*codes), Element::other, "codes")) return false;
  std::uint64_t parts = 0;
  if (!quantiser(parts)) return false;
  if (static_cast<std::uint64_t>(*m) > static_cast<std::uint64_t>(*codes) / parts)
    return wrong(at, std::to_string(*codes) + " codes for " + std::to_string(*m) + " rows");
  if (!*with_norms) return true;
  return numbers(static_cast<std::uint64_t>(*m), Element::other, "norms") && quantiser(parts);
}

bool Scan::matrix(bool quantised, std::uint64_t rows, std::string_view name) {
  return quantised ? this->quantised(name) : dense(rows, name);
}

Reading Scan::run() {
  const auto magic = in_.le<std::uint32_t>();
  const auto version = in_.le<std::int32_t>();
  if (magic != k_magic || !version || *version < 1) return Reading::none;
  if (*version > k_newest) {
    session_.gap(Reason::unsupported, Reach::load, 4,
                 "fastText of version " + std::to_string(*version));
    return Reading::broken;
  }
  version_ = *version;
  if (!options() || !dictionary()) return Reading::broken;
  session_.release(in_.position() - std::min(in_.position(), k_held_tail));

  const auto quantised_input = flag();
  if (!quantised_input) return Reading::broken;
  const auto ngrams = static_cast<std::uint64_t>(
      pruned_ < 0 && (options_.maxn > 0 || options_.word_ngrams > 1) ? options_.bucket : 0);
  if (!matrix(*quantised_input, static_cast<std::uint64_t>(words_) + ngrams, "input"))
    return Reading::broken;
  const auto quantised_output = flag();
  if (!quantised_output) return Reading::broken;
  const std::int32_t rows = options_.model == 3 ? labels_ : words_;
  if (!matrix(*quantised_input && *quantised_output, static_cast<std::uint64_t>(rows), "output"))
    return Reading::broken;

  for (const Numbers& part: numbers_)
    sample_tensor(source_, session_, part.begin, part.size, part.element, part.name);
  session_.ends_at(in_.position());
  return Reading::valid;
}

Claim probe(const Probe& probe) {
  return Reader(probe.head).le<std::uint32_t>() == k_magic ? Claim::yes : Claim::no;
}

Reading scan(Source& source, Session& session) {
  return Scan(source, session).run();
}

} // namespace

extern const Format format_fasttext;
const Format format_fasttext{
    .name = "fasttext", .family = "fasttext", .probe = probe, .scan = scan, .rules = k_rules};

} // namespace hubgate
