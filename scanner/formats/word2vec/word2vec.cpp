// Word vectors as word2vec writes them with -binary 1: a line with two numbers, then each word, a
// space and its numbers (word2vec.c; gensim's and spaCy's readers). See README.md.
#include "scanner/core/cursor.hpp"
#include "scanner/core/format.hpp"
#include "scanner/core/session.hpp"
#include "scanner/generic/tensor_sample.hpp"
#include "scanner/generic/text_value.hpp"

#include <algorithm>
#include <optional>
#include <string>

namespace hubgate {
namespace {

constexpr std::size_t k_digits = 10;
constexpr std::uint64_t k_max_dimensions = 1 << 20;
constexpr std::size_t k_max_word = 4096;
constexpr std::size_t k_plain_word = 200; ///< longer words carry something else
constexpr std::uint64_t k_certain = 16;   ///< words after which nothing else is likely
constexpr std::uint64_t k_release_step = std::uint64_t{1} << 20;

struct Head {
  std::uint64_t words;
  std::uint64_t dimensions;
  std::size_t length; ///< of the line
};

bool is_digit(std::uint8_t c) {
  return c >= '0' && c <= '9';
}

std::optional<std::uint64_t> number(Bytes bytes, std::size_t& at) {
  std::uint64_t value = 0;
  const std::size_t begin = at;
  for (; at < bytes.size() && is_digit(bytes[at]); ++at) {
    if (at - begin == k_digits) return std::nullopt;
    value = value * 10 + (bytes[at] - std::uint64_t{'0'});
  }
  if (at == begin || value == 0) return std::nullopt;
  return value;
}

std::optional<Head> head_of(Bytes bytes) {
  std::size_t at = 0;
  const auto words = number(bytes, at);
  if (!words || at >= bytes.size() || (bytes[at] != ' ' && bytes[at] != '\t')) return std::nullopt;
  ++at;
  const auto dimensions = number(bytes, at);
  if (!dimensions || *dimensions > k_max_dimensions) return std::nullopt;
  if (at < bytes.size() && bytes[at] == '\r') ++at;
  if (at >= bytes.size() || bytes[at] != '\n') return std::nullopt;
  return Head{*words, *dimensions, at + 1};
}

// The same line begins text vectors; numbers in binary have bytes that no text has.
bool shows_numbers(Bytes bytes) {
  return std::any_of(bytes.begin(), bytes.end(), [](std::uint8_t c) { return c < 9; });
}

Claim probe(const Probe& probe) {
  const auto head = head_of(probe.head);
  return head && shows_numbers(probe.head.subspan(head->length)) ? Claim::maybe : Claim::no;
}

// A word and the space behind it; nothing when it is none. word2vec.c ends each line with a line
// feed, gensim does not, and every reader drops it.
std::optional<std::string> word(Cursor& in) {
  std::string text;
  for (;;) {
    const auto c = in.le<std::uint8_t>();
    if (!c) return std::nullopt;
    if (*c == ' ' && !text.empty()) return text;
    if (*c == '\n' && text.empty()) continue;
    if (*c < ' ' || text.size() == k_max_word) return std::nullopt;
    text += static_cast<char>(*c);
  }
}

Reading scan(Source& source, Session& session) {
  const auto head = head_of(source.view(0, Probe::k_head));
  if (!head) return Reading::none;
  Cursor in(source, head->length);
  const std::uint64_t vector = head->dimensions * sizeof(float);
  std::uint64_t released = 0;
  for (std::uint64_t i = 0; i < head->words; ++i) {
    const std::uint64_t at = in.position();
    const auto text = word(in);
    const std::uint64_t numbers = in.position();
    if (!text || source.view(numbers + vector - 1, 1).empty()) {
      if (i < k_certain) return Reading::none;
      const bool cut = !text ? source.view(in.position(), 1).empty() : true;
      session.gap(cut ? Reason::truncated : Reason::malformed, Reach::load, at,
                  "only " + std::to_string(i) + " of " + std::to_string(head->words) + " words");
      return Reading::broken;
    }
    if (i < k_sampled_tensors)
      sample_tensor(source, session, numbers, vector, Element::float32,
                    "the vector at " + std::to_string(numbers));
    if (text->size() > k_plain_word || text->starts_with("\x80") || text->starts_with("PK\3"))
      scan_text_value(session, "word@" + std::to_string(at), *text, at);
    in.seek(numbers + vector);
    if (in.position() > k_held_tail && i >= k_certain &&
        in.position() - k_held_tail > released + k_release_step) {
      released = in.position() - k_held_tail;
      session.release(released);
    }
    if (i % 4096 == 4095 && !session.budget().time_left()) {
      session.gap(Reason::budget, Reach::data, in.position(), "out of time");
      return Reading::broken;
    }
  }
  const Bytes next = source.view(in.position(), 1);
  session.ends_at(in.position() + (!next.empty() && next[0] == '\n' ? 1 : 0));
  return Reading::valid;
}

} // namespace

extern const Format format_word2vec;
const Format format_word2vec{.name = "word2vec",
                             .family = "word2vec",
                             .probe = probe,
                             .scan = scan,
                             .rules = {},
                             .data_version = "1"};

} // namespace hubgate
